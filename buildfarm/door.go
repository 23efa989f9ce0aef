package buildfarm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
)

const (
	// maxFiles bounds what is unpacked of one build: the job's own bound is of what
	// the build sees of it.
	maxFiles = 8 << 30
	// imageLife is how long images stay here that are in the registry too: for their
	// layers, and to list their packages.
	imageLife = 7 * 24 * time.Hour
)

// DoorConfig says how a builder builds.
type DoorConfig struct {
	DockerHost string // empty: as the docker command finds it
	// Registry is where images go.
	Registry buildpipeline.Destination
	// Dir is where builds' files are unpacked; it is emptied first.
	Dir     string
	Version string
	Notes   *slog.Logger
}

// Door is the builder's end: it does what a Farm asks of its machine. It trusts who
// reaches it.
type Door struct {
	config DoorConfig

	mu       sync.Mutex
	settings Settings
	builder  *buildpipeline.Builder // by settings; nil before the first request
}

// OpenDoor makes a Door. It does not talk to the engine yet.
func OpenDoor(config DoorConfig) (*Door, error) {
	if err := errors.Join(os.RemoveAll(config.Dir), os.MkdirAll(config.Dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make room for builds' files: %w", err)
	}
	return &Door{config: config}, nil
}

// ServeHTTP does one operation. It ends when the request does.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := bufio.NewReader(r.Body)
	asked, err := readRequest(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	told := newAnswer(w)
	end, err := d.perform(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), asked, body, told)
	end.Error = failureOf(err)
	told.tell(event{End: &end})
}

func readRequest(body *bufio.Reader) (request, error) {
	line, err := body.ReadBytes('\n')
	if err != nil {
		return request{}, fmt.Errorf("read the request: %w", err)
	}
	var asked request
	return asked, json.Unmarshal(line, &asked)
}

func (d *Door) perform(ctx context.Context, operation string, asked request, body *bufio.Reader, told *answer) (end ending, err error) {
	b, err := d.builderFor(asked.Settings)
	if err != nil {
		return ending{}, err
	}
	if operation != opBuild { // whose files follow
		if err := drain(body); err != nil {
			return ending{}, err
		}
	}
	app := asked.App.app()
	asked.Job.Log = doorLog{told}
	switch operation {
	case opBuild:
		end.Result, err = d.build(ctx, b, asked.Job, body)
	case opAdopt:
		end.Result, err = d.adopt(ctx, b, asked.Job, asked.Reference)
	case opRemove:
		err = b.RemoveImages(ctx, app)
	case opRetain:
		err = b.RetainImages(ctx, app, asked.Keep)
	case opSweep:
		err = errors.Join(b.RemoveOlder(ctx, imageLife), b.Sweep(ctx, asked.Budget, asked.PerApp))
	case opHas:
		end.Has = b.HasImage(ctx, asked.Image)
	case opPackages:
		end.Document, err = b.Packages(ctx, app, asked.Image)
	case opPublish:
		end.Manifest, err = b.Publish(ctx, asked.Image, app.ID.String(), d.config.Registry)
	default:
		err = models.Errorf(models.Unavailable, "the builder knows no %q", operation).WithRemedy("upgrade its agent")
	}
	return end, err
}

// builderFor returns the Builder for the control plane's settings: the one there is,
// unless they are others.
func (d *Door) builderFor(settings Settings) (*buildpipeline.Builder, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.builder != nil && reflect.DeepEqual(d.settings, settings) {
		return d.builder, nil
	}
	reach, err := buildpipeline.ParseReach(settings.Allow)
	if err != nil {
		return nil, err
	}
	made, err := buildpipeline.New(buildpipeline.Config{
		DockerHost: d.config.DockerHost, ExtraCA: settings.ExtraCA, MinFreeBytes: settings.MinFreeBytes, Reach: reach,
		Version: d.config.Version, Notes: d.config.Notes,
	})
	if err != nil {
		return nil, err
	}
	d.builder, d.settings = made, settings
	return made, nil
}

// build unpacks the job's files, builds, and takes the image to the registry.
func (d *Door) build(ctx context.Context, b *buildpipeline.Builder, job buildpipeline.Job, files *bufio.Reader) (result buildpipeline.Result, err error) {
	dir, err := os.MkdirTemp(d.config.Dir, "build-")
	if err != nil {
		return buildpipeline.Result{}, fmt.Errorf("make room for the files: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return buildpipeline.Result{}, fmt.Errorf("open the files: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if err := errors.Join(readFiles(files, root, maxFiles), drain(files)); err != nil {
		return buildpipeline.Result{}, err
	}
	job.Files = root.FS()
	result, err = b.Build(ctx, job)
	if err != nil || result.Manifest != "" { // a former build's image is there
		return result, err
	}
	return d.publish(ctx, b, job, result)
}

func (d *Door) adopt(ctx context.Context, b *buildpipeline.Builder, job buildpipeline.Job, reference string) (buildpipeline.Result, error) {
	result, err := b.Adopt(ctx, job, reference)
	if err != nil {
		return result, err
	}
	return d.publish(ctx, b, job, result)
}

// publish takes what was built to the registry.
func (d *Door) publish(ctx context.Context, b *buildpipeline.Builder, job buildpipeline.Job, result buildpipeline.Result) (_ buildpipeline.Result, err error) {
	result.Manifest, err = b.Publish(ctx, result.Image, job.AppID.String(), d.config.Registry)
	return result, err
}

// drain reads a body to its end: only then does the server see that who asked is gone.
func drain(body io.Reader) error {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	return nil
}

// doorLog hands a build's log on.
type doorLog struct{ to *answer }

// Say implements buildpipeline.Log.
func (l doorLog) Say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	l.to.tell(event{Say: &line})
}

// Detail implements buildpipeline.Log.
func (l doorLog) Detail(text string) { l.to.tell(event{Detail: &text}) }
