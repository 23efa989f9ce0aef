package buildpipeline

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/image"
	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// resolve finds the base images of a plan: the language's own, and the build
// images of its tools.
func (b *Builder) resolve(ctx context.Context, plan *buildpacks.Plan, rows []models.Runtime, log Log) (buildpacks.Images, error) {
	images, err := b.find(ctx, *plan.Need, plan.Language, rows, log)
	if err != nil {
		return buildpacks.Images{}, err
	}
	images.ExtraCA = b.extraCA != nil
	images.Tools = map[string]string{}
	for _, tool := range plan.Tools {
		found, err := b.find(ctx, tool, tool.Type, rows, log)
		if err != nil {
			return buildpacks.Images{}, err
		}
		images.Tools[tool.Type] = found.Build
	}
	return images, nil
}

// find returns images that meet need: the admin's rows in order of preference,
// each by its own images or else by a stack image. name is need's language for
// people.
func (b *Builder) find(ctx context.Context, need buildpacks.Requirement, name string, rows []models.Runtime, log Log) (buildpacks.Images, error) {
	candidates, offered := choose(need, rows)
	for _, row := range candidates {
		images, ok, err := b.obtain(ctx, row, log)
		if err != nil || ok {
			return images, err
		}
	}
	wanted := strings.TrimSpace(name + " " + need.Constraint)
	failure := models.Errorf(models.Failed, "%s is not available", wanted).WithField(need.Source).
		WithRemedy("ask for one of %s", strings.Join(offered, ", "))
	if need.Source != "" {
		failure.Message += ", which " + need.Source + " asks for"
	}
	return buildpacks.Images{}, failure
}

// choose orders the active rows of the needed type that satisfy its constraint:
// the default first, then the newest. It also lists all versions there are.
func choose(need buildpacks.Requirement, rows []models.Runtime) (candidates []models.Runtime, offered []string) {
	accept := constraint(need.Constraint)
	for _, row := range rows {
		if row.Type != need.Type || !row.Active {
			continue
		}
		offered = append(offered, row.Version)
		if accept(row) {
			candidates = append(candidates, row)
		}
	}
	slices.SortStableFunc(candidates, func(a, b models.Runtime) int {
		switch {
		case a.Default != b.Default && a.Default:
			return -1
		case a.Default != b.Default:
			return 1
		default:
			return version(b.Version).Compare(version(a.Version))
		}
	})
	slices.SortFunc(offered, func(a, b string) int { return version(a).Compare(version(b)) })
	return candidates, offered
}

func version(text string) *semver.Version {
	parsed, err := semver.NewVersion(text)
	if err != nil {
		return semver.New(0, 0, 0, "", "")
	}
	return parsed
}

// ltsNames are Node.js's code names for its long-term releases, as .nvmrc files
// use them.
var ltsNames = map[string]string{"hydrogen": "18", "iron": "20", "jod": "22", "krypton": "24"}

// anyVersion are the words that ask for no version in particular.
var anyVersion = []string{"", "*", "x", "node", "latest", "current", "stable", "lts", "lts/*"}

// constraint reads a version range and returns whether a row can satisfy it. A
// row is a whole release line: "22" stands for every 22.x.y.
func constraint(text string) func(models.Runtime) bool {
	text = strings.TrimLeft(strings.ToLower(strings.TrimSpace(text)), "=v ")
	if number, ok := ltsNames[strings.TrimPrefix(text, "lts/")]; ok {
		text = number
	}
	if slices.Contains(anyVersion, text) {
		return func(models.Runtime) bool { return true }
	}
	wanted, err := semver.NewConstraint(text)
	if err != nil {
		return func(row models.Runtime) bool { return row.Version == text }
	}
	exact, exactErr := semver.NewVersion(oneMinor.ReplaceAllString(text, "$1"))
	return func(row models.Runtime) bool {
		line := version(row.Version)
		if exactErr == nil {
			return sameLine(row.Version, line, exact)
		}
		newest, err := semver.NewVersion(row.Version + strings.Repeat(".99999", max(0, 2-strings.Count(row.Version, "."))))
		return wanted.Check(line) || (err == nil && wanted.Check(newest))
	}
}

// oneMinor matches ranges of patch releases, such as 20.17.x and ~20.17.0, which
// people write for the release that they have. A row has the newest of its line.
var oneMinor = regexp.MustCompile(`^~?\s*v?(\d+\.\d+)(?:\.(?:x|\*|\d+))?$`)

// sameLine reports whether exact belongs to the release line that row names by
// one number ("22") or two ("3.11").
func sameLine(row string, line, exact *semver.Version) bool {
	if line.Major() != exact.Major() {
		return false
	}
	return !strings.Contains(row, ".") || line.Minor() == exact.Minor()
}

// obtain makes the row's images present. It returns false when they can neither
// be pulled nor made here.
func (b *Builder) obtain(ctx context.Context, row models.Runtime, log Log) (buildpacks.Images, bool, error) {
	official := buildpacks.Images{Version: row.Version, Build: row.BuildImage, Run: row.RunImage}
	local := buildpacks.Images{
		Version: row.Version, Build: stackImage(row.Type, "build", row.Version),
		Run: stackImage(row.Type, "run", row.Version), GoSeed: row.Type == "go",
	}
	if b.current(ctx, local.Build, row.Type) && b.current(ctx, local.Run, row.Type) {
		return local, true, nil
	}
	if !strings.HasPrefix(row.RunImage, stackPrefix) && b.pullAll(ctx, official, log) {
		return official, true, nil
	}
	if !stackable(row.Type, row.Version) {
		return buildpacks.Images{}, false, nil
	}
	if err := b.Stack(ctx, row.Type, row.Version, log); err != nil {
		return buildpacks.Images{}, false, err
	}
	return local, true, nil
}

func (b *Builder) has(ctx context.Context, name string) bool {
	_, err := b.docker.ImageInspect(ctx, name)
	return err == nil
}

func (b *Builder) pullAll(ctx context.Context, images buildpacks.Images, log Log) bool {
	return b.ensure(ctx, images.Build, log) && b.ensure(ctx, images.Run, log)
}

// ensure makes an official image present and reports whether it is.
func (b *Builder) ensure(ctx context.Context, name string, log Log) bool {
	if b.has(ctx, name) {
		return true
	}
	if b.pulls.recentlyFailed() {
		return false
	}
	if err := b.pull(ctx, name); err != nil {
		if !errdefs.IsNotFound(err) {
			b.pulls.fail()
		}
		log.Detail(fmt.Sprintf("%s cannot be pulled: %s", name, err))
		return false
	}
	log.Say("%s", narrative.Field("", "pulled "+name))
	return true
}

// pull fetches an image. A registry that does not begin to answer is given up
// soon: most servers without one are behind a firewall that answers nothing.
func (b *Builder) pull(ctx context.Context, name string) error {
	const patience = 8 * time.Second
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(patience, cancel)
	progress, err := b.docker.ImagePull(ctx, name, image.PullOptions{})
	if err != nil {
		return err
	}
	defer func() { _ = progress.Close() }()
	timer.Stop() // it answers: a pull may take its time
	if _, err := io.Copy(io.Discard, progress); err != nil {
		return err
	}
	if !b.has(ctx, name) {
		return fmt.Errorf("%s is not there after the pull", name)
	}
	return nil
}

// pullMemory remembers that no registry answered, so that builds do not wait
// for it again and again.
type pullMemory struct {
	mu    sync.Mutex
	until time.Time
}

const pullRetryAfter = 10 * time.Minute

func (p *pullMemory) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(pullRetryAfter)
}

func (p *pullMemory) recentlyFailed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.until)
}
