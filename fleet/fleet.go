package fleet

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// OfflineAfter is the silence after which a Node counts as offline.
const OfflineAfter = 90 * time.Second

// ErrClosed says that the Fleet was closed.
var ErrClosed = errors.New("fleet closed")

// Assignments computes what a Node is to run. It is asked after every link
// and every Refresh; an error is logged and asked again a second later.
type Assignments interface {
	Assignment(ctx context.Context, node models.ID) (protocol.Assignment, error)
}

// Logs keeps what Instances write. Calls for one Instance never overlap.
type Logs interface {
	// LastLine returns the time of the last line held durably, or zero.
	LastLine(ctx context.Context, header protocol.StreamHeader) (time.Time, error)
	// Append keeps one line. An error ends the stream; the agent offers it
	// again from LastLine on.
	Append(ctx context.Context, header protocol.StreamHeader, line protocol.LogLine) error
}

// Nodes is told what becomes of Nodes. Calls for one Node come in order.
type Nodes interface {
	// Online says that an agent linked, for the first time or again.
	Online(ctx context.Context, node models.ID, hello protocol.Hello)
	Heartbeat(ctx context.Context, node models.ID, beat protocol.Heartbeat)
	// Offline says that nothing was heard for Config.OfflineAfter.
	Offline(ctx context.Context, node models.ID)
	Observed(ctx context.Context, node models.ID, observed protocol.Observed)
}

// Builders is told which agents build.
type Builders interface {
	// Attach says that an agent builds, until detach is called. dial opens a
	// connection to its builder.
	Attach(ctx context.Context, node models.ID, places int, dial func(context.Context) (net.Conn, error)) (detach func())
}

// Config is what a Fleet needs of the rest of the control plane.
type Config struct {
	// Authenticate names the Node that a request comes from.
	Authenticate func(r *http.Request) (models.ID, error)
	Assignments  Assignments
	Logs         Logs
	Nodes        Nodes
	Builders     Builders // nil: nobody builds
	Logger       *slog.Logger
	// OfflineAfter replaces the constant of that name, for tests.
	OfflineAfter time.Duration
}

// Fleet is the server's end of all agents. Make one with New and end it with
// Close.
type Fleet struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	turns chan struct{} // holds a token for each Assignment that is computed later

	mu      sync.Mutex
	closed  bool
	nodes   map[models.ID]*node
	owners  map[string]models.ID // by assigned Instance
	changed chan struct{}        // closed and replaced at each change of the view
}

// New returns a Fleet that has no agents yet. The callbacks of config get
// contexts that end with ctx or with Close.
func New(ctx context.Context, config Config) *Fleet {
	if config.OfflineAfter == 0 {
		config.OfflineAfter = OfflineAfter
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	fleet := &Fleet{
		config: config, turns: make(chan struct{}, 2*runtime.GOMAXPROCS(0)),
		nodes: map[models.ID]*node{}, owners: map[string]models.ID{}, changed: make(chan struct{}),
	}
	fleet.ctx, fleet.cancel = context.WithCancel(ctx)
	return fleet
}

// Handler serves protocol.LinkPath: it authenticates an agent, and returns
// when its link has ended.
func (f *Fleet) Handler() http.Handler { return http.HandlerFunc(f.serveLink) }

// Refresh says that a Node's Assignment may have changed. It does not block:
// the Assignment is computed and sent soon after, once for many calls. An
// agent that is not linked gets it when it links.
func (f *Fleet) Refresh(id models.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if node := f.nodes[id]; node != nil && node.agent != nil {
		poke(node.agent.refresh)
	}
}

// RefreshLater is Refresh for a Node that nobody waits for first: a few of them at a
// time, so that many leave others their turn.
func (f *Fleet) RefreshLater(id models.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if node := f.nodes[id]; node != nil && node.agent != nil {
		poke(node.agent.later)
	}
}

// Close ends all links, and blocks until every goroutine and callback of the
// Fleet has returned. Calling it again does nothing more.
func (f *Fleet) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.cancel()
	f.work.Wait()
	return nil
}

// start runs work that Close waits for, unless the Fleet is closed already.
func (f *Fleet) start() (done func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	f.work.Add(1)
	return f.work.Done, nil
}
