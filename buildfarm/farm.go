package buildfarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

const (
	// awayFor is how long no builder may be there until the control plane builds
	// itself: longer than an agent takes to come back.
	awayFor = 2 * time.Minute
	// maxLost is how many builders one build may lose: it may be what ends them.
	maxLost = 3
)

// Config says who builds, and by which rules.
type Config struct {
	// Local builds on the control plane's machine, Places at once; with 0 it never
	// does.
	Local  *buildpipeline.Builder
	Places int
	// Registry is where Local's images go for nodes to pull.
	Registry buildpipeline.Destination
	// PerOrganisation is how many builds of one Organisation run at once; 0 is as
	// many as there are places.
	PerOrganisation int
	// Settings are what builders go by.
	Settings Settings
	// Expected says that there are builders, which come when they can.
	Expected bool
	// AwayFor replaces the constant of that name, for tests.
	AwayFor time.Duration
	Log     *slog.Logger
}

// Farm gives builds to machines. It may be used from many goroutines. Close it.
type Farm struct {
	config Config
	queue  *queue
	own    *machine

	mu       sync.Mutex
	builders []*machine // by when they came
	awaited  bool       // builders are to come back first
	patience *time.Timer
}

// own is the control plane's machine.
type own struct {
	*buildpipeline.Builder
	to buildpipeline.Destination
}

// Publish implements builder.
func (o own) Publish(ctx context.Context, image string, app models.ID) (string, error) {
	return o.Builder.Publish(ctx, image, app.String(), o.to)
}

// New returns a Farm that has no builders yet.
func New(config Config) *Farm {
	if config.AwayFor == 0 {
		config.AwayFor = awayFor
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	f := &Farm{config: config, queue: newQueue(config.PerOrganisation), awaited: config.Expected}
	f.own = &machine{builder: own{config.Local, config.Registry}, places: config.Places}
	f.settle()
	return f
}

// Close forgets who is awaited.
func (f *Farm) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.awaited = false
	f.stopWaiting()
}

// Attach adds a builder that dial reaches, and runs so many builds at once, until
// detach is called.
func (f *Farm) Attach(id models.ID, name string, places int, dial func(context.Context) (net.Conn, error)) (detach func()) {
	return f.attach(&machine{builder: newRemote(f.config.Settings, dial), id: id, name: name, places: places})
}

func (f *Farm) attach(m *machine) (detach func()) {
	f.mu.Lock()
	f.builders = append(f.builders, m)
	f.mu.Unlock()
	f.settle()
	f.queue.join(m)
	return func() {
		f.queue.part(m)
		f.mu.Lock()
		f.builders = slices.DeleteFunc(f.builders, func(other *machine) bool { return other == m })
		f.awaited = true
		f.mu.Unlock()
		f.settle()
	}
}

// settle has the control plane's machine build while no builder is there, or is
// about to come back.
func (f *Farm) settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopWaiting()
	switch {
	case len(f.builders) > 0 || f.own.places == 0:
		f.queue.part(f.own)
	case f.awaited:
		f.patience = time.AfterFunc(f.config.AwayFor, f.giveUpWaiting)
	default:
		f.queue.join(f.own)
	}
}

// stopWaiting is called with the lock held.
func (f *Farm) stopWaiting() {
	if f.patience != nil {
		f.patience.Stop()
		f.patience = nil
	}
}

func (f *Farm) giveUpWaiting() {
	f.mu.Lock()
	f.awaited = false
	f.mu.Unlock()
	f.settle()
}

// Builds reports whether the builder of this id builds the App now.
func (f *Farm) Builds(id, app models.ID) bool { return f.queue.builds(id, app) }

// Build turns job's commit into an image, as buildpipeline.Builder does, on the
// machine whose turn it is. It blocks until that is done, has failed, or ctx ends. A
// build that loses its builder begins again elsewhere.
func (f *Farm) Build(ctx context.Context, job buildpipeline.Job) (buildpipeline.Result, error) {
	return f.onMachine(ctx, job, func(m *machine) (buildpipeline.Result, error) { return m.Build(ctx, job) })
}

// Adopt makes a prebuilt image the result of a build, in the same way.
func (f *Farm) Adopt(ctx context.Context, job buildpipeline.Job, reference string) (buildpipeline.Result, error) {
	return f.onMachine(ctx, job, func(m *machine) (buildpipeline.Result, error) { return m.Adopt(ctx, job, reference) })
}

func (f *Farm) onMachine(ctx context.Context, job buildpipeline.Job, build func(*machine) (buildpipeline.Result, error)) (buildpipeline.Result, error) {
	for losses := 0; ; {
		m, leave, err := f.queue.enter(ctx, job.AppID, job.Organisation, losses > 0, func(before int) { sayWait(job.Log, before) })
		if err != nil {
			return buildpipeline.Result{}, err
		}
		if m.name != "" {
			job.Log.Say("%s", narrative.Field("Builder", m.name))
		}
		result, err := build(m)
		leave()
		result.Builder = m.name
		if !f.elsewhere(m, err) {
			return result, err
		}
		f.config.Log.Warn("builder lost during a build", "builder", m.name, "app", job.App, "build", job.Number, "error", err)
		if losses++; losses == maxLost {
			return buildpipeline.Result{}, models.Errorf(models.Unavailable, "%d builders were lost during this build, the last one %s", losses, m.name).
				WithRemedy("an admin looks at the builders: sky admin nodes list. Then push again")
		}
		why := "is gone"
		if !errors.Is(err, errLost) {
			why = "cannot build: " + err.Error()
		}
		job.Log.Say("%s", narrative.Field("Lost", "the builder "+m.name+" "+why+"; the build begins again"))
	}
}

// elsewhere reports whether a build that failed on a machine is that machine's
// fault, and another's to try.
func (f *Farm) elsewhere(m *machine, err error) bool {
	return errors.Is(err, errLost) || (m != f.own && models.IsCode(err, models.Unavailable))
}

func sayWait(log buildpipeline.Log, before int) {
	if before == 0 {
		log.Say("%s", narrative.Field("Queue", "waiting for a builder: none is online"))
		return
	}
	log.Say("%s", narrative.Field("Queue", "waiting for a free place to build; at most "+strconv.Itoa(before)+" before this one"))
}

// machines are all that may hold images, the control plane's own first.
func (f *Farm) machines() []*machine {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*machine{f.own}, f.builders...)
}

// each does something on all machines. One that is away does it another time.
func (f *Farm) each(ctx context.Context, do func(*machine) error) error {
	var errs []error
	for _, m := range f.machines() {
		err := do(m)
		if err == nil || errors.Is(err, errLost) || (m == f.own && f.Check(ctx) != nil) {
			continue
		}
		if m.name != "" {
			err = fmt.Errorf("builder %s: %w", m.name, err)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// RemoveImages removes every name that the App gave to images.
func (f *Farm) RemoveImages(ctx context.Context, app models.App) error {
	return f.each(ctx, func(m *machine) error { return m.RemoveImages(ctx, app) })
}

// RetainImages removes the names that the App gave to images other than keep.
func (f *Farm) RetainImages(ctx context.Context, app models.App, keep []string) error {
	return f.each(ctx, func(m *machine) error { return m.RetainImages(ctx, app, keep) })
}

// Sweep holds the machines' build caches to their budget, and removes images that
// nothing names.
func (f *Farm) Sweep(ctx context.Context, budget, perApp int64) error {
	return f.each(ctx, func(m *machine) error { return m.Sweep(ctx, budget, perApp) })
}

// holder returns a machine whose engine holds the image; nil when none does.
func (f *Farm) holder(ctx context.Context, image string) *machine {
	for _, m := range f.machines() {
		if m.HasImage(ctx, image) {
			return m
		}
	}
	return nil
}

// HasImage reports whether a machine's engine holds the image.
func (f *Farm) HasImage(ctx context.Context, image string) bool { return f.holder(ctx, image) != nil }

// Packages lists the packages in an image of the App, as a CycloneDX document. An
// image that no machine holds is models.NotFound.
func (f *Farm) Packages(ctx context.Context, app models.App, image string) ([]byte, error) {
	m := f.holder(ctx, image)
	if m == nil {
		return nil, models.Errorf(models.NotFound, "no machine that builds holds the image any more")
	}
	return m.Packages(ctx, app, image)
}

// Publish takes an image to the registry, from whichever machine holds it.
func (f *Farm) Publish(ctx context.Context, image string, app models.ID) (string, error) {
	m := f.holder(ctx, image)
	if m == nil {
		return "", models.Errorf(models.Conflict, "the image is in no registry, and no machine that builds holds it").
			WithRemedy("push its commit again")
	}
	return m.Publish(ctx, image, app)
}

// ShareImage gives an image of the control plane's engine a name of another App's.
func (f *Farm) ShareImage(ctx context.Context, image string, app models.ID, tag string) (string, error) {
	return f.config.Local.ShareImage(ctx, image, app, tag)
}

// DiskUsage is that of the control plane's engine.
func (f *Farm) DiskUsage(ctx context.Context) (buildpipeline.DiskUsage, error) {
	return f.config.Local.DiskUsage(ctx)
}

// Check reports whether the control plane's engine answers.
func (f *Farm) Check(ctx context.Context) error { return f.config.Local.Check(ctx) }
