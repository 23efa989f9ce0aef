package gitserver

import (
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// gate counts connections and the sessions on them.
type gate struct {
	max, maxPerAddr int

	mu       sync.Mutex
	perAddr  map[string]int
	conns    map[*gatedConn]bool
	sessions int
	closed   bool
	idle     chan struct{} // closed when closed and without sessions
}

func newGate(max, maxPerAddr int) *gate {
	return &gate{max: max, maxPerAddr: maxPerAddr, perAddr: map[string]int{}, conns: map[*gatedConn]bool{}, idle: make(chan struct{})}
}

// enter counts a connection until it closes. It returns nil when there are too
// many, or when the gate is closed.
func (g *gate) enter(raw net.Conn) *gatedConn {
	host, _, err := net.SplitHostPort(raw.RemoteAddr().String())
	if err != nil {
		host = raw.RemoteAddr().String()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.conns) >= g.max || g.perAddr[host] >= g.maxPerAddr {
		return nil
	}
	conn := &gatedConn{Conn: raw, gate: g, host: host}
	g.conns[conn] = true
	g.perAddr[host]++
	return conn
}

// begin counts a session until end; it refuses when the gate is closed.
func (g *gate) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.sessions++
	return true
}

func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions--; g.closed && g.sessions == 0 {
		close(g.idle)
	}
}

// close lets nothing in any more. The channel it returns is closed when the
// last session has ended.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed && g.sessions == 0 {
		close(g.idle)
	}
	g.closed = true
	return g.idle
}

// cut closes every connection, and with it the contexts of its sessions.
func (g *gate) cut() {
	g.mu.Lock()
	conns := make([]*gatedConn, 0, len(g.conns))
	for conn := range g.conns {
		conns = append(conns, conn)
	}
	g.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// gatedConn is a connection that the gate counts.
type gatedConn struct {
	net.Conn
	gate *gate
	host string

	mu     sync.Mutex
	timer  *time.Timer // ends the handshake
	proved bool
	open   int // channels
	once   sync.Once
}

// expire closes the connection unless it proves itself in time.
func (c *gatedConn) expire(after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timer = time.AfterFunc(after, func() { _ = c.Close() })
}

const maxChannels = 10

// openChannel marks the handshake as over and counts a channel.
func (c *gatedConn) openChannel() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.proved {
		c.proved = true
		c.timer.Stop()
	}
	if c.open >= maxChannels {
		return false
	}
	c.open++
	return true
}

func (c *gatedConn) closeChannel() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open--
}

// Close implements net.Conn.
func (c *gatedConn) Close() error {
	c.once.Do(func() {
		c.mu.Lock()
		if c.timer != nil {
			c.timer.Stop()
		}
		c.mu.Unlock()
		c.gate.mu.Lock()
		defer c.gate.mu.Unlock()
		delete(c.gate.conns, c)
		if c.gate.perAddr[c.host]--; c.gate.perAddr[c.host] == 0 {
			delete(c.gate.perAddr, c.host)
		}
	})
	return c.Conn.Close()
}

const userTimeout = 60 * time.Second

// setUserTimeout makes the kernel give up on a peer that acknowledges nothing,
// so that a lost line ends its session.
func setUserTimeout(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
}
