package github

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Options are how a Host differs from the plain one.
type Options struct {
	Dir string // where repositories are kept; empty is a directory that Close removes
	TLS bool   // serve HTTPS with a certificate that nobody knows; see Certificate
}

// Host is one GitHub Enterprise server. Its methods may be called at any time
// from any goroutine.
type Host struct {
	URL string // without a slash at the end; give it to WithEnterpriseURLs twice

	server  *httptest.Server
	git     *git
	ownsDir string
	mux     *http.ServeMux
	life    context.Context
	end     context.CancelFunc
	sending sync.WaitGroup

	acts sync.Mutex // one act at a time; taken before mu
	mu   sync.Mutex // all below

	changed  chan struct{} // closed and replaced when anything below changes
	lastID   int64
	skew     time.Duration
	accounts []*account
	repos    []*repository
	moved    map[string]*repository // former full names
	clients  []*client
	apps     []*app
	installs []*installation
	tokens   map[string]*token
	codes    map[string]*code
	renewals map[string]*token // by refresh token
	browser  *account          // who sits before the browser
	denies   bool

	requests   []Request
	deliveries []*Delivery
	tails      map[int64]chan struct{} // by hook: closed when the last delivery is answered
	inFlight   int
	onDelivery deliveryFaults
	onRequest  requestFaults
}

// New starts a Host; the caller ends it with Close.
func New(options Options) (*Host, error) {
	dir, owns := options.Dir, ""
	if dir == "" {
		made, err := os.MkdirTemp("", "sky-github-")
		if err != nil {
			return nil, fmt.Errorf("make a directory for repositories: %w", err)
		}
		dir, owns = made, made
	}
	life, end := context.WithCancel(context.Background())
	h := &Host{
		git: &git{dir: dir, life: life}, ownsDir: owns, life: life, end: end, lastID: 1000,
		changed: make(chan struct{}), moved: map[string]*repository{}, tokens: map[string]*token{},
		codes: map[string]*code{}, renewals: map[string]*token{}, tails: map[int64]chan struct{}{},
	}
	h.routes()
	h.server = httptest.NewUnstartedServer(http.HandlerFunc(h.serve))
	if options.TLS {
		h.server.StartTLS()
	} else {
		h.server.Start()
	}
	h.URL = h.server.URL
	return h, nil
}

// Start starts a Host for a test, which ends it.
func Start(t testing.TB) *Host {
	t.Helper()
	h, err := New(Options{Dir: filepath.Join(t.TempDir(), "github")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Close ends the server, drops what was not delivered, and returns when nothing
// of the Host runs any more.
func (h *Host) Close() error {
	h.mu.Lock()
	h.end() // from here on nothing new is sent
	h.mu.Unlock()
	h.sending.Wait()
	h.server.Close()
	if h.ownsDir == "" {
		return nil
	}
	return errors.Join(os.RemoveAll(h.ownsDir))
}

// Certificate returns what a client must trust where Options.TLS was set.
func (h *Host) Certificate() *x509.Certificate { return h.server.Certificate() }

// Advance moves the Host's clock forward, which is how codes and tokens expire.
func (h *Host) Advance(by time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.skew += by
	h.broadcast()
}

// Wait returns when holds does, or with ctx's error. It asks again after every
// request, delivery and act; holds may call the Host's methods.
func (h *Host) Wait(ctx context.Context, holds func() bool) error {
	for {
		h.mu.Lock()
		changed := h.changed
		h.mu.Unlock()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// broadcast wakes whoever waits. mu is held.
func (h *Host) broadcast() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// now is the Host's time. mu is held.
func (h *Host) now() time.Time { return time.Now().Add(h.skew).UTC().Truncate(time.Second) }

// id returns a number that nothing has yet. mu is held.
func (h *Host) id() int64 {
	h.lastID++
	return h.lastID
}

func (h *Host) api() string { return h.URL + "/api/v3" }
