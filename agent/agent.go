package agent

import (
	"context"
	"log/slog"
	"net"
	"net/http"
)

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
	// DockerHost is the engine's address; empty means the environment's.
	DockerHost string
	// Listener takes the ingress' connections. Without one, the Agent listens
	// on IngressAddr; with neither, it serves only through Ingress.
	Listener    net.Listener
	IngressAddr string
	Version     string
	Logger      *slog.Logger
	// HTTPClient dials the control plane; nil means http.DefaultClient.
	HTTPClient *http.Client
}

// Agent runs a Node. Make one with New and Run it once.
type Agent struct{}

// New checks config and connects to nothing yet.
func New(config Config) (*Agent, error) { return nil, nil }

// Run keeps the Node as assigned until ctx ends, and then returns nil within
// seconds; containers go on running. It fails only when it cannot begin: the
// data directory or the ingress' address cannot be used.
func (a *Agent) Run(ctx context.Context) error { return nil }

// Ingress serves the requests of all Apps of the Node, also before Run.
func (a *Agent) Ingress() http.Handler { return nil }
