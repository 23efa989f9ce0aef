package ingress

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultHold is how long a request waits for a Target, when Options.Hold is
// zero.
const DefaultHold = 15 * time.Second

// Options are the choices that an Ingress has.
type Options struct {
	// Hold is how long a request waits while its App has no Target.
	Hold time.Duration
	// Peers sends requests to other Nodes: a URL's host is the Node's id. Without
	// it there are no others.
	Peers http.RoundTripper
}

// Ingress is an http.Handler that forwards requests by host. Its routes may
// change at any time; a change costs the same however many there are.
type Ingress struct {
	hold      time.Duration
	hosts     sync.Map // host → *route
	proxy     *httputil.ReverseProxy
	transport *http.Transport
	peers     http.RoundTripper
	buffers   sync.Pool

	mu      sync.Mutex // guards routes, counted, and changes to hosts
	routes  map[string]*route
	counted map[string]*counters // by App; it outlives its route for a while
}

// New returns an Ingress without routes.
func New(options Options) *Ingress {
	in := &Ingress{
		hold: options.Hold, routes: map[string]*route{}, counted: map[string]*counters{}, transport: newTransport(), peers: options.Peers,
	}
	if in.hold == 0 {
		in.hold = DefaultHold
	}
	in.buffers.New = func() any { return new([bufferSize]byte) }
	in.proxy = &httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      retrying{in},
		BufferPool:     bufferPool{&in.buffers},
		ErrorHandler:   answerError,
		ModifyResponse: heedError,
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	return in
}

// SetRoute says which hosts lead to an App, and makes the route when it is
// new. A host that another App's route has moves to this one.
func (in *Ingress) SetRoute(appID string, wanted Route) {
	in.mu.Lock()
	defer in.mu.Unlock()
	entry := in.routes[appID]
	if entry == nil {
		entry = newRoute(wanted.App, in.count(appID))
		in.routes[appID] = entry
	}
	entry.mu.Lock()
	defer entry.mu.Unlock()
	hosts := make([]string, 0, len(wanted.Hosts))
	for _, host := range wanted.Hosts {
		host = canonical(host)
		hosts = append(hosts, host)
		in.hosts.Store(host, entry)
	}
	in.forget(entry, hosts)
	if entry.pool.Load().stopped != wanted.Stopped {
		entry.replace(func(p *pool) { p.stopped = wanted.Stopped })
	}
}

// SetTargets replaces an App's Targets from the next request on, and returns
// those that left, for the caller to Drain.
func (in *Ingress) SetTargets(appID string, targets []*Target) (removed []*Target) {
	in.mu.Lock()
	entry := in.routes[appID]
	in.mu.Unlock()
	if entry == nil {
		return nil
	}
	entry.mu.Lock()
	defer entry.mu.Unlock()
	return entry.replace(func(p *pool) { p.targets = slices.Clone(targets) })
}

// RemoveRoute forgets an App. It returns the Targets that it had, for the
// caller to Drain; requests that wait for one are answered.
func (in *Ingress) RemoveRoute(appID string) (removed []*Target) {
	in.mu.Lock()
	defer in.mu.Unlock()
	entry := in.routes[appID]
	if entry == nil {
		return nil
	}
	delete(in.routes, appID)
	entry.counters.retired = time.Now()
	entry.mu.Lock()
	defer entry.mu.Unlock()
	in.forget(entry, nil)
	return entry.replace(func(p *pool) { p.targets, p.stopped = nil, true })
}

// forget drops the hosts of a route that are not kept.
func (in *Ingress) forget(entry *route, keep []string) {
	for _, host := range entry.hosts {
		if !slices.Contains(keep, host) {
			in.hosts.CompareAndDelete(host, entry)
		}
	}
	entry.hosts = keep
}

// ServeHTTP implements http.Handler.
func (in *Ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route := in.lookup(r.Host)
	if route == nil {
		answer(w, unknownHost)
		return
	}
	recorder := route.counters.begin(w, r)
	ctx, cancel := context.WithCancelCause(r.Context())
	claim := &claim{route: route, cancel: cancel}
	defer func() {
		claim.release()
		cancel(nil)
		recorder.end(claim.unanswered)
	}()
	in.proxy.ServeHTTP(recorder, r.WithContext(context.WithValue(ctx, claimKey{}, claim)))
}

// lookup finds the route of a host, as it is written or through a wildcard
// one level up.
func (in *Ingress) lookup(host string) *route {
	host = canonical(host)
	if found, ok := in.hosts.Load(host); ok {
		return found.(*route)
	}
	if dot := strings.IndexByte(host, '.'); dot > 0 {
		if found, ok := in.hosts.Load("*" + host[dot:]); ok {
			return found.(*route)
		}
	}
	return nil
}

// canonical lowers a host and takes its port and final dot away.
func canonical(host string) string {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// rewrite keeps the request as it came, but for the headers that say whom it
// came from: a client's own are replaced.
func rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme = "http"
	p.Out.URL.Host = "instance"
	p.Out.Host = p.In.Host
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Header.Del(instanceHeader)
	p.Out.Header.Del("X-Forwarded-Port")
	p.Out.Header.Del("X-Real-Ip")
	p.SetXForwarded()
	if address, _, err := net.SplitHostPort(p.In.RemoteAddr); err == nil {
		p.Out.Header.Set("X-Real-Ip", address)
	}
}

// Server returns an http.Server for the Ingress that bounds what a client may
// hold, and not how long a request takes.
func (in *Ingress) Server() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           in,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    64 << 10,
		Protocols:         protocols,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
}

// Close closes the idle connections to Instances.
func (in *Ingress) Close() { in.transport.CloseIdleConnections() }
