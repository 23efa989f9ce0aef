package platform

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/history"
	"github.com/skypanel/sky/platform/logs"
	"github.com/skypanel/sky/rollout"
)

// Repositories keeps the Apps' git repositories.
type Repositories interface {
	Create(ctx context.Context, app models.ID) error
	Remove(ctx context.Context, app models.ID) error
	Ref(ctx context.Context, app models.ID, name string) (string, error)
	UpdateRefs(ctx context.Context, app models.ID, updates []*models.RefUpdate, atomic bool) error
	IsAncestor(ctx context.Context, app models.ID, ancestor, descendant string) (bool, error)
	Commit(ctx context.Context, app models.ID, oid string) (models.Commit, error)
	Keep(ctx context.Context, app models.ID, name, oid string) error
	// ConsolidateIfDue tidies the repository, when it has gathered enough.
	ConsolidateIfDue(ctx context.Context, app models.ID) error
	// RemoteHead returns what a ref of a repository elsewhere leads to, or
	// models.ZeroObject.
	RemoteHead(ctx context.Context, remote Remote, ref string) (string, error)
	// Fetch brings what a ref, or a whole commit name, of a repository elsewhere
	// leads to into the App's, and returns the commit.
	Fetch(ctx context.Context, app models.ID, remote Remote, ref string) (string, error)
	// Changes lists the paths that differ between two commits, at most so many.
	Changes(ctx context.Context, app models.ID, from, to string, most int) ([]string, error)
	// Files opens the files of one commit.
	Files(ctx context.Context, app models.ID, commit string) (Files, error)
}

// Remote is a repository on another server, and the token that it is read with.
type Remote struct {
	URL   string
	Token string
}

// Files are a commit's files. They must be closed.
type Files interface {
	fs.FS
	io.Closer
	// Warnings name what is in the commit, but not in its files.
	Warnings() ([]string, error)
}

// Builder turns commits into images.
type Builder interface {
	Build(ctx context.Context, job buildpipeline.Job) (buildpipeline.Result, error)
	// Adopt makes a prebuilt image the result of a build.
	Adopt(ctx context.Context, job buildpipeline.Job, reference string) (buildpipeline.Result, error)
	RemoveImages(ctx context.Context, app models.App) error
	// RetainImages removes the App's images but for those to keep.
	RetainImages(ctx context.Context, app models.App, keep []string) error
	// Sweep removes what nothing names any more, and lets the build cache shrink
	// to budget bytes, and that of each App to perApp; 0 leaves it as it is.
	Sweep(ctx context.Context, budget, perApp int64) error
	DiskUsage(ctx context.Context) (buildpipeline.DiskUsage, error)
	HasImage(ctx context.Context, image string) bool
	// Packages lists the packages in an image of the App, as a CycloneDX document;
	// NotFound when the image is gone.
	Packages(ctx context.Context, app models.App, image string) ([]byte, error)
	// ShareImage lets another App keep the image, and returns it.
	ShareImage(ctx context.Context, image string, app models.ID, tag string) (string, error)
	Check(ctx context.Context) error
}

// Fleet is what the platform knows of the nodes' agents.
type Fleet interface {
	rollout.Fleet
	// Instances returns what the agents observe of an App's Instances.
	Instances(app models.ID) []protocol.InstanceStatus
	// Open opens a stream of a terminal to a node's agent.
	Open(ctx context.Context, node models.ID, header protocol.StreamHeader) (*protocol.Stream, error)
}

// Platform is the product. Its fields are set once, before use; Start begins
// its work and Stop ends it.
type Platform struct {
	Store        *store.Store
	Repositories Repositories
	Builder      Builder
	Images       Images // nil where there is one machine only
	Fleet        Fleet
	Roller       *rollout.Roller
	Logs         *logs.Hub
	Vault        *Vault
	Authority    *Authority // certifies nodes for one another
	Resolver     Resolver
	Settings     Settings
	// HTTP dials GitHub; nil is a client with the system's certificates.
	HTTP *http.Client
	Log  *slog.Logger
	// Watcher is told of what happens; nil where nobody counts it.
	Watcher Watcher

	lanes    *lanes
	failures failures
	guests   guests
	doors    accessState
	meter    meter
	loads    loads
	names    names
	recorder *history.Recorder
	keeping  sync.RWMutex // held while what was measured is taken to the database
	rotating sync.Mutex   // held while master keys change
	swept    time.Time    // when builds were swept last; the chores' own
	chores   sync.WaitGroup
	due      chan struct{} // holds one token while a chore cannot wait
	news     bell          // rings after audit facts
	work     bell          // rings after Tasks were queued
	sight    sight         // since when any node is seen
	intake   intake
	// peerAddresses are those of nodes whose agents came, by node.
	peerAddresses sync.Map
	// following and previewing are held, by App and by link, while what becomes of
	// a head or of a pull request is decided.
	following keyedLocks
	// beginning is held, by App, while a one-off begins.
	beginning  keyedLocks
	previewing keyedLocks
	renewing   sync.Mutex // held while tokens at GitHub are renewed; it guards installations
	// installations are the tokens of a GitHub App, by installation and repository.
	installations map[[2]int64]github.Grant
	ctx           context.Context // ends when the platform stops
	cancel        context.CancelCauseFunc
}

// Settings is what the operator decided.
type Settings struct {
	// PublicURL is where people reach the API, without a slash at its end. All
	// links that Sky makes begin with it, whatever a request's Host says.
	PublicURL string
	// AgentCA is the authority, in PEM, by which Nodes know PublicURL's certificate;
	// empty where it is one that everybody trusts, or there is no TLS.
	AgentCA []byte
	// Domain is the platform's domain: an App answers at APP.Domain.
	Domain string
	// IngressAddr is where the ingress listens on this machine.
	IngressAddr string
	// PublicPort is the ingress' port in the URLs that people get.
	PublicPort string
	// DataDir is where Sky keeps everything; its free space is checked.
	DataDir string
	// MinFreeBytes is the floor of free disk space below which no push is built.
	MinFreeBytes int64
	// LocalNode is the name of the node on the machine that builds; empty is none.
	LocalNode string
	// CatchUpEvery is how often linked repositories are asked whether a push was
	// missed; 0 is every five minutes.
	CatchUpEvery time.Duration
}

// Host returns the name that the App answers at.
func (s Settings) Host(app string) string { return app + "." + s.Domain }

// URL returns the App's address for people.
func (s Settings) URL(app string) string {
	host := s.Host(app)
	if s.PublicPort != "" && s.PublicPort != "80" {
		host = net.JoinHostPort(host, s.PublicPort)
	}
	return "http://" + host + "/"
}

// errStopping is the cause with which running work ends when Sky stops.
var errStopping = errors.New("sky is stopping")

// Start takes up the work that a former process left behind. It returns as soon
// as new work is accepted.
func (p *Platform) Start(ctx context.Context) error {
	p.ctx, p.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	if p.Watcher == nil {
		p.Watcher = unwatched{}
	}
	p.sight.begin(now())
	p.lanes, p.due = newLanes(p.ctx), make(chan struct{}, 1)
	p.intake.arrivals, p.intake.stopped = make(chan *arrival), p.ctx.Done()
	open, err := p.Store.OpenInstances(ctx)
	if err != nil {
		return err
	}
	p.meter.load(open)
	marks, err := p.Store.TrafficMarks(ctx)
	if err != nil {
		return err
	}
	if p.recorder, err = history.New(marks); err != nil {
		return err
	}
	if err := p.recover(ctx); err != nil {
		return err
	}
	if err := p.Store.ReleaseTasks(ctx, p.worker()); err != nil {
		return err
	}
	if err := p.recoverOneOffs(ctx); err != nil {
		return err
	}
	p.chores.Go(p.keepHouse)
	p.chores.Go(p.takeDeliveries)
	for range taskWorkers {
		p.chores.Go(p.doTasks)
	}
	return nil
}

// Stop ends the platform's work and waits for it. Builds and rollouts that were
// running are taken up by the next Start.
func (p *Platform) Stop() {
	p.cancel(errStopping)
	p.guests.close()
	p.chores.Wait()
	p.lanes.wait()
	if err := p.keepMetrics(context.WithoutCancel(p.ctx), now()); err != nil {
		p.Log.Warn("metrics of the last minute are not kept", "error", err)
	}
}

// stopping reports whether err is the platform's own end.
func (p *Platform) stopping(err error) bool {
	return err != nil && (errors.Is(err, errStopping) || errors.Is(context.Cause(p.ctx), errStopping))
}

// now is the time as both database engines keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
