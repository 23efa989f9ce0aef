package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

const (
	// patience is how long a connection waits for a leader.
	patience = 30 * time.Second
	// again is the pause between two tries to reach one.
	again = 250 * time.Millisecond
	// dialLimit bounds one of them, and the handshake of what others hand on.
	dialLimit = 5 * time.Second
	// keepAlive finds a leader whose machine is gone, in three probes.
	keepAlive = 5 * time.Second
)

// Relay is one control plane's part. Set its fields before the first call.
type Relay struct {
	// Leader is the address at which the leader takes what others hand on; empty
	// while nobody leads.
	Leader func() string
	// TLS returns a configuration of either end, new in each call, without protocols.
	TLS func() (*tls.Config, error)
	Log *slog.Logger

	once  sync.Once
	leads chan struct{} // closed once this one leads
	mu    sync.Mutex
	doors map[string]*door
}

func (r *Relay) ready() {
	r.once.Do(func() {
		r.leads = make(chan struct{})
		r.doors = map[string]*door{}
	})
}

// Door begins to take connections of a listener, which it owns from then on, and
// returns a listener of those that this control plane is to serve, until ctx ends or it
// is closed. The name is the door's, on all control planes.
func (r *Relay) Door(ctx context.Context, name string, listener net.Listener) net.Listener {
	r.ready()
	d := &door{Listener: listener, served: make(chan net.Conn)}
	d.ctx, d.end = context.WithCancel(ctx)
	r.mu.Lock()
	r.doors[name] = d
	r.mu.Unlock()
	go r.take(name, d)
	return d
}

// Lead has the doors give connections out from now on.
func (r *Relay) Lead() {
	r.ready()
	close(r.leads)
}

// take gives the door's own connections to whom they belong, until it is closed.
func (r *Relay) take(name string, d *door) {
	defer d.end()
	for {
		conn, err := d.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			r.Log.Warn("accept", "door", name, "error", err)
			select {
			case <-time.After(again): // out of file descriptors
			case <-d.ctx.Done():
			}
			continue
		}
		go r.route(name, d, conn)
	}
}

func (r *Relay) route(name string, d *door, conn net.Conn) {
	leader, err := r.reach(name, d)
	switch {
	case err != nil:
		r.Log.Warn("connection not handed on", "door", name, "error", err)
		_ = conn.Close()
	case leader == nil:
		d.give(conn)
	default:
		r.handOn(conn, leader)
	}
}

// reach connects to the leader's door, and waits for one that leads. It returns nil
// when this control plane leads.
func (r *Relay) reach(name string, d *door) (net.Conn, error) {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case <-r.leads:
			return nil, nil
		default:
		}
		conn, err := r.dial(d.ctx, name)
		if err == nil {
			return conn, nil
		}
		select {
		case <-r.leads:
			return nil, nil
		case <-d.ctx.Done():
			return nil, net.ErrClosed
		case <-deadline.C:
			return nil, err
		case <-time.After(again):
		}
	}
}

var errNoLeader = errors.New("no control plane leads")

func (r *Relay) dial(ctx context.Context, name string) (net.Conn, error) {
	address := r.Leader()
	if address == "" {
		return nil, errNoLeader
	}
	config, err := r.TLS()
	if err != nil {
		return nil, err
	}
	config.NextProtos = []string{name}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	dialer := tls.Dialer{NetDialer: &net.Dialer{KeepAliveConfig: alive}, Config: config}
	return dialer.DialContext(ctx, "tcp", address)
}

var alive = net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive, Count: 3}

// handOn copies both ways until both have ended.
func (r *Relay) handOn(conn, leader net.Conn) {
	defer conn.Close()
	defer leader.Close()
	header := proxyproto.HeaderProxyFromAddrs(2, conn.RemoteAddr(), conn.LocalAddr())
	if _, err := header.WriteTo(leader); err != nil {
		r.Log.Warn("connection not handed on", "error", err)
		return
	}
	var both sync.WaitGroup
	both.Go(func() { copyTo(leader, conn) })
	copyTo(conn, leader)
	both.Wait()
}

// copyTo copies until from ends, and passes its end on. A broken end breaks the other.
func copyTo(to, from net.Conn) {
	_, err := io.Copy(to, from)
	half, can := to.(interface{ CloseWrite() error })
	if err != nil || !can || half.CloseWrite() != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

// Serve takes what others hand on, until the listener, which it owns, is closed.
func (r *Relay) Serve(listener net.Listener) error {
	r.ready()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := r.receive(conn); err != nil {
				r.Log.Warn("connection of another control plane refused", "from", conn.RemoteAddr(), "error", err)
				_ = conn.Close()
			}
		}()
	}
}

// receive brings a connection that another control plane hands on to its door.
func (r *Relay) receive(conn net.Conn) error {
	config, err := r.TLS()
	if err != nil {
		return err
	}
	config.NextProtos = r.names()
	secured := tls.Server(conn, config)
	late := time.AfterFunc(dialLimit, func() { _ = conn.Close() })
	err = secured.Handshake()
	late.Stop()
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	name := secured.ConnectionState().NegotiatedProtocol
	r.mu.Lock()
	d := r.doors[name]
	r.mu.Unlock()
	if d == nil {
		return fmt.Errorf("no door %q", name)
	}
	select {
	case <-r.leads: // at the latest a moment after it was said to
		d.give(proxyproto.NewConn(secured, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(dialLimit)))
		return nil
	case <-time.After(patience):
		return errors.New("this control plane does not lead")
	}
}

func (r *Relay) names() (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.doors {
		names = append(names, name)
	}
	return names
}

// door is the listener that the server behind it gets.
type door struct {
	net.Listener
	served chan net.Conn
	ctx    context.Context // ends with the door
	end    context.CancelFunc
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.served:
		return conn, nil
	case <-d.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.end()
	return d.Listener.Close()
}

func (d *door) give(conn net.Conn) {
	select {
	case d.served <- conn:
	case <-d.ctx.Done():
		_ = conn.Close()
	}
}
