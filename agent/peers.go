package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"golang.org/x/sys/unix"
)

const (
	// peerDialLimit bounds the way to another Node; a request has others to try.
	peerDialLimit = 2 * time.Second
	// peerSilence is how long a Node may leave what was sent to it unconfirmed
	// before it counts as gone (TCP_USER_TIMEOUT, tcp(7)).
	peerSilence = 5 * time.Second
	// peerRest is how long a Node that could not be reached is not tried again.
	peerRest = 3 * time.Second
)

// errPeerDown says that a Node was not reached a moment ago.
var errPeerDown = errors.New("the node does not answer")

// peers are the other Nodes, whose agents take requests for their Instances and
// send us those for ours. All of it is TLS 1.3, and both ends prove which Node they
// are by a certificate of the control plane's.
type peers struct {
	identity  *identity
	transport *http.Transport

	mu        sync.Mutex
	addresses map[string]string
	down      map[string]time.Time // until when a Node is not tried
}

func newPeers(identity *identity) *peers {
	p := &peers{identity: identity, addresses: map[string]string{}, down: map[string]time.Time{}}
	p.transport = &http.Transport{
		DialTLSContext: p.dial, MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true,
		ExpectContinueTimeout: peerSilence,
	}
	return p
}

// Set says which other Nodes there are.
func (p *peers) Set(known []protocol.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	addresses := make(map[string]string, len(known))
	for _, peer := range known {
		addresses[peer.Node] = peer.Address
	}
	p.addresses = addresses
}

// dial connects to the Node that the address' host names.
func (p *peers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	node, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	conn, err := p.reach(ctx, network, node)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("node %s: %w", node, err)}
	}
	return conn, nil
}

func (p *peers) reach(ctx context.Context, network, node string) (net.Conn, error) {
	p.mu.Lock()
	address, resting := p.addresses[node], time.Now().Before(p.down[node])
	p.mu.Unlock()
	if resting || address == "" {
		return nil, errPeerDown
	}
	config, err := p.identity.client(node)
	if err != nil {
		return nil, err
	}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: peerDialLimit, Control: impatient}, Config: config}
	ctx, cancel := context.WithTimeout(ctx, peerDialLimit)
	defer cancel()
	conn, err := dialer.DialContext(ctx, network, address)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.down[node] = time.Now().Add(peerRest)
		return nil, err
	}
	delete(p.down, node)
	return conn, nil
}

// impatient has the kernel give a connection up whose other end is gone.
func impatient(_, _ string, raw syscall.RawConn) error {
	var failure error
	err := raw.Control(func(fd uintptr) {
		failure = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(peerSilence.Milliseconds()))
	})
	return errors.Join(err, failure)
}

// serve takes the requests of other Nodes until ctx ends.
func (p *peers) serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, TLSConfig: p.identity.server(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), ingressGrace)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})
	defer stop()
	err := server.ServeTLS(listener, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close closes idle connections.
func (p *peers) Close() { p.transport.CloseIdleConnections() }
