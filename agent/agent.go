package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skypanel/sky/agent/ingress"
	"github.com/skypanel/sky/agent/protocol"
)

// ingressGrace is how long requests may go on when the agent ends.
const ingressGrace = 5 * time.Second

// Config is what an Agent needs to know. NodeID, DataDir, ServerURL and Token
// have no defaults.
type Config struct {
	// NodeID labels the containers that are this agent's, and no other's.
	NodeID string
	// DataDir holds the Assignment and the failures; one agent at a time.
	DataDir string
	// ServerURL is the control plane's base address, http(s) or ws(s).
	ServerURL string
	// Token returns the bearer token for the next dial.
	Token func(ctx context.Context) (string, error)
	// Runtime is what runs the Instances, one of Runtimes; empty means the first.
	Runtime string
	// DockerHost is the engine's address; empty means the environment's.
	DockerHost string
	// Listener takes the ingress' connections. Without one, the Agent listens
	// on IngressAddr; with neither, it serves only through Ingress.
	Listener    net.Listener
	IngressAddr string
	// Hold is how long a request waits for a healthy Instance; zero means
	// ingress.DefaultHold.
	Hold time.Duration
	// PeerAddr is where requests of other Nodes come in, as host and port. Without
	// it this Node's Instances are reached through this Node only.
	PeerAddr string
	// Builder has this Node build too; without Places it does not.
	Builder Builder
	Version string
	Logger  *slog.Logger
	// HTTPClient dials the control plane; nil means http.DefaultClient.
	HTTPClient *http.Client
}

// Agent runs a Node. Make one with New and Run it once.
type Agent struct {
	config   Config
	logger   *slog.Logger
	engine   engine
	ingress  *ingress.Ingress
	firewall firewall
	board    *board
	links    *links
	identity *identity
	peers    *peers
	builder  *builderDoor // nil where this Node does not build
	probes   *http.Client
	patience time.Duration // for a link, before a log that is not kept is given up

	ctx   context.Context // Run's
	tasks sync.WaitGroup
	epoch atomic.Int64 // of the engine's events
	disk  *disk

	mu         sync.Mutex
	known      bool // an Assignment is
	apps       map[string]*app
	assignment protocol.Assignment

	failuresMu sync.Mutex
	failures   map[string]protocol.InstanceStatus
}

// New checks config and connects to nothing yet.
func New(config Config) (*Agent, error) {
	if config.NodeID == "" || config.DataDir == "" || config.ServerURL == "" || config.Token == nil {
		return nil, errors.New("an agent needs a node ID, a data directory, a server URL and a token")
	}
	runtime, err := newEngine(config)
	if err != nil {
		return nil, err
	}
	return newAgent(config, runtime), nil
}

// RuntimeDocker runs each Instance as a container, RuntimeSwarm as a service of
// the Docker Swarm that the Node is a manager of.
const (
	RuntimeDocker = "docker"
	RuntimeSwarm  = "swarm"
)

// Runtimes are those that Config.Runtime may name.
func Runtimes() []string { return []string{RuntimeDocker, RuntimeSwarm} }

// newEngine makes the engine of a runtime; it connects lazily.
func newEngine(config Config) (engine, error) {
	plain, err := newDocker(config.DockerHost, config.NodeID)
	if err != nil {
		return nil, err
	}
	switch config.Runtime {
	case "", RuntimeDocker:
		return plain, nil
	case RuntimeSwarm:
		return newSwarm(plain), nil
	}
	return nil, fmt.Errorf("there is no runtime %q: use %s", config.Runtime, strings.Join(Runtimes(), " or "))
}

func newAgent(config Config, runtime engine) *Agent {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	identity := openIdentity(config)
	others := newPeers(identity)
	agent := &Agent{
		config: config, logger: config.Logger, engine: runtime, identity: identity, peers: others,
		ingress:  ingress.New(ingress.Options{Hold: config.Hold, Peers: others.transport}),
		firewall: newFirewall(), board: newBoard(), links: newLinks(), probes: newProbeClient(), apps: map[string]*app{},
		patience: patienceOffline,
	}
	agent.epoch.Store(1)
	return agent
}

// Run keeps the Node as assigned until ctx ends, and then returns nil within
// seconds; containers go on running. It fails only when it cannot begin: the
// data directory, the ingress' address or the engine cannot be used. An engine that
// is away is waited for.
func (a *Agent) Run(ctx context.Context) (err error) {
	if a.disk, err = openDisk(a.config.DataDir); err != nil {
		return err
	}
	defer a.disk.Close()
	listener, err := a.listen(ctx)
	if err != nil {
		return err
	}
	if a.failures, err = a.disk.Failures(); err != nil {
		return err
	}
	if err := a.resumeTraffic(); err != nil {
		return err
	}
	if err := a.engine.Check(ctx); err != nil && !errors.Is(err, errAway) && ctx.Err() == nil {
		return fmt.Errorf("check the container engine: %w", err)
	}
	a.ctx = ctx
	var images *imageDoor
	if runtime, ok := a.engine.(imagePuller); ok {
		if images, err = openImageDoor(ctx, a.config); err != nil {
			return err
		}
		defer images.Close()
		runtime.pullThrough(images)
	}
	if a.builder, err = openBuilder(a.config, images); err != nil {
		return err
	}
	defer a.builder.end()
	a.resume()
	a.endStrays(ctx)
	var parts sync.WaitGroup
	for _, part := range []func(context.Context){a.keepWatching, a.keepSynced, a.keepSession, a.keepImages} {
		parts.Go(func() { part(ctx) })
	}
	if listener != nil {
		parts.Go(func() { a.serve(ctx, listener) })
	}
	if err := a.servePeers(ctx, &parts); err != nil {
		return err
	}
	<-ctx.Done()
	parts.Wait()
	a.tasks.Wait()
	a.keepTraffic()
	a.ingress.Close()
	a.peers.Close()
	return wrap("close engine client", closeEngine(a.engine))
}

// servePeers takes requests of other Nodes, where an address for them is set, and
// keeps the certificate that both ends ask for.
func (a *Agent) servePeers(ctx context.Context, parts *sync.WaitGroup) error {
	parts.Go(func() {
		a.identity.keep(ctx, func(err error) { a.logger.Warn("no certificate for other nodes yet", "error", err) })
	})
	if a.config.PeerAddr == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.config.PeerAddr)
	if err != nil {
		return fmt.Errorf("listen for other nodes: %w", err)
	}
	parts.Go(func() {
		if err := a.peers.serve(ctx, listener, a.ingress.Peer()); err != nil {
			a.logger.Error("requests of other nodes", "error", err)
			a.board.Trouble("peers", err)
		}
	})
	return nil
}

// Requests returns the ingress' counters, by App ID.
func (a *Agent) Requests() map[string]ingress.Counters { return a.ingress.Counters() }

// Figures are how an Agent is at a moment, for monitoring.
type Figures struct {
	Linked    bool           // to the control plane
	Troubled  bool           // something keeps it from its work, such as its engine
	Instances map[string]int // by state
	Requests  map[string]ingress.Counters
}

// Figures returns how the Agent is.
func (a *Agent) Figures() Figures {
	observed := a.board.Snapshot()
	figures := Figures{
		Linked: a.links.Current() != nil, Troubled: observed.Trouble != "", Instances: map[string]int{}, Requests: a.Requests(),
	}
	for _, status := range observed.Instances {
		figures.Instances[status.State]++
	}
	return figures
}

// listen returns nil when no listener is configured.
func (a *Agent) listen(ctx context.Context) (net.Listener, error) {
	if a.config.Listener != nil || a.config.IngressAddr == "" {
		return a.config.Listener, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", a.config.IngressAddr)
	if err != nil {
		return nil, fmt.Errorf("listen for the ingress: %w", err)
	}
	return listener, nil
}

// resume takes up the Assignment that is on the disk. One that cannot be read
// is as good as none: the control plane sends it again, and nothing that runs
// is touched before.
func (a *Agent) resume() {
	saved, err := a.disk.Assignment()
	a.board.Trouble("data directory", err)
	if err != nil {
		a.logger.Error("assignment not resumed", "error", err)
	}
	if saved == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.apply(*saved)
}

// serve answers requests until ctx ends, and lets those in flight end.
func (a *Agent) serve(ctx context.Context, listener net.Listener) {
	server := a.ingress.Server()
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), ingressGrace)
		defer cancel()
		if err := server.Shutdown(grace); err != nil {
			a.logger.Warn("requests cut at the end", "error", err)
			_ = server.Close()
		}
	})
	err := server.Serve(listener)
	if stop() { // it failed by itself
		a.logger.Error("ingress", "error", err)
		a.board.Trouble("ingress", err)
		return
	}
	<-stopped
}

// closeEngine ends the connections of an engine that has some.
func closeEngine(runtime engine) error {
	if closer, ok := runtime.(interface{ Close() error }); ok {
		return closer.Close()
	}
	return nil
}
