package buildpipeline

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/client"
	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// Log receives what a build has to tell.
type Log interface {
	// Say writes a line that the pusher reads.
	Say(format string, args ...any)
	// Detail writes a line of the full log.
	Detail(text string)
}

// Options are what the App's owner decided about its builds.
type Options = buildpacks.Options

// Manifest is what the repository's app.json asks of the platform.
type Manifest = buildpacks.Manifest

// ReadManifest reads the app.json in the directory root of files.
func ReadManifest(files fs.FS, root string) (Manifest, error) {
	return buildpacks.ReadManifest(files, root)
}

// Job is one commit to build.
type Job struct {
	App     string
	AppID   models.ID
	Number  int // the Build's number within its App
	Commit  string
	Files   fs.FS `json:"-"`
	Options Options
	// Runtimes are the admin's rows to choose from.
	Runtimes []models.Runtime
	// Variables may be read by the steps of the build, as secrets. VariablesHash
	// changes with their values and tells nothing of them: steps run again when it
	// does.
	Variables     map[string]string
	VariablesHash string
	// Formers are Builds of the App whose images may be had again, the newest first.
	Formers []Former
	// ClearCache builds without any cache.
	ClearCache bool
	// Organisation takes turns with others that have builds waiting.
	Organisation models.ID
	Limits       Limits
	Log          Log `json:"-"`
}

// Result is what a build made.
type Result struct {
	Plan *buildpacks.Plan
	// Runtime is language and version for people: "Node.js 22".
	Runtime string
	// RuntimeType and RuntimeVersion name the admin's row that was chosen.
	RuntimeType    string
	RuntimeVersion string
	Dockerfile     string
	Image          string // by digest of its configuration
	// Manifest is what the image is pulled by from the control plane's registry; empty
	// where it is in none yet.
	Manifest string
	// Builder names the machine that built it; empty is the control plane's own.
	Builder string
	// Inputs are what it was made of, and Steps what was done; none when the image
	// of a former build was taken.
	Inputs models.BuildInputs
	Steps  []models.BuildStep
}

// Builder builds on one engine. It may be used from many goroutines; how many builds
// run at once is for its callers to bound.
type Builder struct {
	docker *client.Client
	// extraCA is a PEM bundle that builds trust beside their own, or nil.
	extraCA []byte
	stacks  sync.Mutex // one stack image is made at a time
	looks   sync.Mutex // one image is looked into at a time
	pulls   pullMemory
	// minFree is the free space on the engine's disk below which a build ends.
	minFree int64
	version string
	reach   Reach
	// notes are for the operator; unbounded is said once.
	notes     *slog.Logger
	unbounded sync.Once
}

// Config says where and how to build.
type Config struct {
	DockerHost string // empty: as the docker command finds it
	ExtraCA    []byte
	// MinFreeBytes is the free space on the engine's disk below which builds end.
	MinFreeBytes int64
	// Version is Sky's own, which every image bears as a label.
	Version string
	// Reach is what builds may reach beside the internet.
	Reach Reach
	// Notes are for the operator; nil keeps them from everybody.
	Notes *slog.Logger
}

// New returns a Builder; it does not talk to the engine yet.
func New(config Config) (*Builder, error) {
	options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if config.DockerHost != "" {
		options = append(options, client.WithHost(config.DockerHost))
	}
	docker, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("docker client: %w", err)
	}
	if config.Notes == nil {
		config.Notes = slog.New(slog.DiscardHandler)
	}
	return &Builder{
		docker: docker, extraCA: config.ExtraCA, minFree: config.MinFreeBytes, version: config.Version, reach: config.Reach, notes: config.Notes,
	}, nil
}

// CheckBuildpack says why no build can be forced to use the buildpack of this
// name, or returns nil. An empty name forces none.
func CheckBuildpack(name string) error {
	if name == "" || slices.Contains(buildpacks.Names(), name) {
		return nil
	}
	return models.Errorf(models.Invalid, "there is no such buildpack").WithField("buildpack").
		WithRemedy("use one of %s; an empty one detects it", strings.Join(buildpacks.Names(), ", "))
}

// Close lets go of the engine.
func (b *Builder) Close() error { return b.docker.Close() }

// Check reports whether the engine answers; when it does not, the error is
// models.Unavailable and says what to do.
func (b *Builder) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := b.docker.Ping(ctx); err != nil {
		return models.Errorf(models.Unavailable, "Docker does not answer on this server: %w", err).
			WithRemedy("the operator starts it with `systemctl start docker` (or `make docker`); then push again")
	}
	return nil
}

// Build turns job's commit into an image. It blocks until that is done or has
// failed; when ctx ends, the running step is killed. Errors that the user can
// mend are models.Failed or models.Invalid.
func (b *Builder) Build(ctx context.Context, job Job) (Result, error) {
	if err := b.Check(ctx); err != nil {
		return Result{}, err
	}
	leave, err := b.floor(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := b.makeRoom(ctx, leave, job.Log); err != nil {
		return Result{}, err
	}
	result, err := b.detect(ctx, job)
	if err != nil {
		return Result{}, err
	}
	if job.Files, err = fs.Sub(job.Files, result.Plan.Context); err != nil {
		return Result{}, fmt.Errorf("open %s: %w", result.Plan.Context, err)
	}
	return b.compileWithin(ctx, job, result, leave)
}

// compileWithin compiles under the job's limits, and leaves the floor free.
func (b *Builder) compileWithin(ctx context.Context, job Job, result Result, leave floor) (Result, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	if job.Limits.Time > 0 {
		timer := time.AfterFunc(job.Limits.Time, func() {
			end(models.Errorf(models.Failed, "the build took longer than the %s that its plan allows", job.Limits.Time).
				WithRemedy("the last lines of `sky builds logs` show what it was doing; a larger plan allows longer builds"))
		})
		defer timer.Stop()
	}
	warden := newWarden(job.Limits)
	var err error
	if warden.network, err = b.bounds(ctx); err != nil {
		return Result{}, err
	}
	warden.end = end
	watching, stop := context.WithCancel(ctx)
	var watchers sync.WaitGroup
	watchers.Go(func() { warden.watch(watching) })
	if leave.least > 0 {
		watchers.Go(func() { leave.watch(watching, end) })
	}
	built, err := b.compile(ctx, job, result, warden)
	stop()
	watchers.Wait()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return Result{}, cause
	}
	return built, warden.explain(err)
}

// detect finds the plan and its base images, and says both to the pusher.
func (b *Builder) detect(ctx context.Context, job Job) (Result, error) {
	plan, images, err := b.plan(ctx, job)
	if err != nil {
		return Result{}, err
	}
	if plan.DockerfilePath != "" {
		job.Log.Say("%s", narrative.Field("Detect", plan.Language+" ("+strings.Join(plan.Reasons, "; ")+")"))
		row, err := allowsDockerfile(job.Runtimes)
		if err != nil {
			return Result{}, err
		}
		dockerfile, err := b.ownDockerfile(job.Files, path.Join(plan.Context, plan.DockerfilePath))
		return Result{Plan: plan, Runtime: plan.Language, RuntimeType: row.Type, RuntimeVersion: row.Version, Dockerfile: dockerfile}, err
	}
	images.Variables = len(job.Variables) > 0
	name := plan.Language
	if plan.Need.Type != "static" { // whose version says nothing to anybody
		name += " " + images.Version
	}
	reasons := plan.Reasons
	if plan.Need.Source != "" {
		reasons = append(reasons, "version from "+plan.Need.Source)
	}
	job.Log.Say("%s", narrative.Field("Detect", name+" ("+strings.Join(reasons, "; ")+")"))
	return Result{
		Plan: plan, Runtime: name, RuntimeType: plan.Need.Type, RuntimeVersion: images.Version, Dockerfile: plan.Render(images),
	}, nil
}

// dockerType is the type of the row that lets apps bring a Dockerfile.
const dockerType = "docker"

func allowsDockerfile(rows []models.Runtime) (models.Runtime, error) {
	for _, row := range rows {
		if row.Type == dockerType && row.Active {
			return row, nil
		}
	}
	return models.Runtime{}, models.Errorf(models.Failed, "a Dockerfile is not allowed here: custom images are switched off, or the app's plan has none").
		WithRemedy("remove the Dockerfile, so that a buildpack is used, or ask for a plan that allows it: sky plans list")
}

func (b *Builder) ownDockerfile(files fs.FS, path string) (string, error) {
	text, err := fs.ReadFile(files, path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	if b.extraCA == nil {
		return string(text), nil
	}
	mounted, err := buildpacks.MountCA(text)
	return string(mounted), err
}

// compile has BuildKit build the Dockerfile, and says how long it took.
func (b *Builder) compile(ctx context.Context, job Job, result Result, by *warden) (Result, error) {
	started := time.Now()
	ignore, err := ignored(job.Files, result.Plan)
	if err != nil {
		return Result{}, err
	}
	arguments := map[string]string{}
	maps.Copy(arguments, result.Plan.BuildArgs)
	if len(job.Variables) > 0 {
		arguments[buildpacks.VariablesHash] = job.VariablesHash
	}
	s := solve{
		args: arguments, target: result.Plan.Target,
		by: by, ignore: ignore, maxContext: job.Limits.ContextBytes,
		files: job.Files, dockerfile: result.Dockerfile, noCache: job.ClearCache, log: job.Log,
		sharedKey: "sky-" + job.AppID.String(), secrets: secrets(job.Variables),
		tag: ImageName(job.AppID, job.Number),
		labels: map[string]string{
			LabelApp: job.App, LabelAppID: job.AppID.String(),
			"sky.build": strconv.Itoa(job.Number), "sky.commit": job.Commit, "sky.version": b.version,
		},
	}
	if result.Inputs, err = b.inputs(ctx, s, job.VariablesHash); err != nil {
		return Result{}, err
	}
	if former, found := b.reuse(ctx, job, s, result.Inputs.Fingerprint()); found {
		result.Image, result.Manifest = former.Image, former.Manifest
		return result, nil
	}
	image, steps, err := b.solve(ctx, s)
	if err != nil {
		return Result{}, err
	}
	result.Image, result.Steps = image, steps
	job.Log.Say("%s", narrative.Timed("Build", "image "+short(image), time.Since(started)))
	return result, nil
}

// ignored is what is left out of the build context beside what its .dockerignore
// names: a buildpack's choice, or the file beside the repository's own Dockerfile
// that bears its name. It is nil where .dockerignore decides.
func ignored(files fs.FS, plan *buildpacks.Plan) (*string, error) {
	if plan.DockerfilePath == "" {
		return &plan.Ignore, nil
	}
	text, err := fs.ReadFile(files, plan.DockerfilePath+".dockerignore")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	own := string(text)
	return &own, err
}

// secrets are the build secrets of variables: a script that sets them all, for
// rendered Dockerfiles, and each by its name for a repository's own.
func secrets(variables map[string]string) map[string][]byte {
	all := map[string][]byte{}
	for name, value := range variables {
		all[name] = []byte(value)
	}
	if len(variables) > 0 {
		all[buildpacks.VariablesSecret] = buildpacks.VariablesScript(variables)
	}
	return all
}

// The labels by which Sky knows its own images again.
const (
	LabelApp   = "sky.app"
	LabelAppID = "sky.app-id"
	LabelStack = "sky.stack"
	// labelRecipe says by which Dockerfiles a stack image was made.
	labelRecipe = "sky.stack-recipe"
)

// ImageName is the name of the image that an App's Build makes.
func ImageName(app models.ID, number int) string {
	return imagePrefix(app) + strconv.Itoa(number)
}

func short(image string) string {
	image = strings.TrimPrefix(image, "sha256:")
	return image[:min(12, len(image))]
}
