package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/hashicorp/yamux"
)

// LinkPath is where an agent dials its control plane.
const LinkPath = "/api/internal/paas/agent/link"

// RegistryPath is where an agent pulls images from; the registry's own paths
// follow.
const RegistryPath = "/api/internal/paas/registry"

// WriteTimeout bounds every write on a Link. A frame that was cut in its
// middle cannot be mended, so a write that exceeds it ends the whole Link.
const WriteTimeout = 30 * time.Second

// ErrLinkClosed says that the Link ended, by either end or by a write that
// timed out.
var ErrLinkClosed = errors.New("link closed")

// Link is one session between an agent and its control plane: a control
// stream of Messages and any number of other streams beside it, none of which
// holds up another. Its methods may be called from any goroutine; Receive and
// AcceptStream from one at a time each.
type Link struct {
	session  *yamux.Session
	control  *Stream
	patience time.Duration // WriteTimeout, but in tests
	// readerPatience is ReaderPatience, but in tests.
	readerPatience time.Duration
	closed         sync.Once
}

// Dial opens a Link to the control plane at the WebSocket or HTTP address url
// as an agent. The header carries its credentials. It blocks until the Link
// stands, ctx ends, or the control plane refuses; the Link does not end with
// ctx.
func Dial(ctx context.Context, client *http.Client, url string, header http.Header) (*Link, error) {
	options := &websocket.DialOptions{HTTPClient: client, HTTPHeader: header, CompressionMode: websocket.CompressionDisabled}
	conn, response, err := websocket.Dial(ctx, url, options) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, dialError(response, err)
	}
	return NewAgentLink(socket(ctx, conn))
}

// dialError puts the answer of a control plane that refused into words.
func dialError(response *http.Response, err error) error {
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		return fmt.Errorf("dial: %w", err)
	}
	return fmt.Errorf("dial: the control plane answered %s", response.Status)
}

// Accept upgrades an authenticated request of an agent to a Link, and blocks
// until the agent opened its control stream. It has answered the request when
// it fails.
func Accept(w http.ResponseWriter, r *http.Request) (*Link, error) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil, fmt.Errorf("upgrade: %w", err)
	}
	return NewServerLink(socket(r.Context(), conn))
}

// promptSocket closes without the WebSocket's closing handshake, which would
// wait for an end that may be gone.
type promptSocket struct {
	net.Conn
	socket *websocket.Conn
}

func socket(ctx context.Context, conn *websocket.Conn) promptSocket {
	return promptSocket{websocket.NetConn(context.WithoutCancel(ctx), conn, websocket.MessageBinary), conn}
}

// Close implements net.Conn.
func (p promptSocket) Close() error { return p.socket.CloseNow() }

// NewAgentLink makes the agent's end of a Link over a connection, which it
// owns from then on.
func NewAgentLink(conn io.ReadWriteCloser) (*Link, error) {
	session, err := yamux.Client(conn, sessionConfig())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start session: %w", err), conn.Close())
	}
	control, err := session.Open()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open control stream: %w", err), session.Close())
	}
	return newLink(session, control), nil
}

// NewServerLink makes the control plane's end of a Link over a connection,
// which it owns from then on. It blocks until the agent opened its control
// stream, for WriteTimeout at most.
func NewServerLink(conn io.ReadWriteCloser) (*Link, error) {
	session, err := yamux.Server(conn, sessionConfig())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start session: %w", err), conn.Close())
	}
	late := time.AfterFunc(WriteTimeout, func() { _ = session.Close() })
	defer late.Stop()
	control, err := session.Accept()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("accept control stream: %w", err), session.Close())
	}
	return newLink(session, control), nil
}

func newLink(session *yamux.Session, control net.Conn) *Link {
	link := &Link{session: session, patience: WriteTimeout, readerPatience: ReaderPatience}
	link.control = newStream(link, control)
	return link
}

func sessionConfig() *yamux.Config {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	config.KeepAliveInterval = 15 * time.Second
	return config
}

// Send writes one Message on the control stream. It blocks while the other
// end is slow, for WriteTimeout at most; then the Link is dead.
func (l *Link) Send(message Message) error {
	return l.control.WriteFrame(message)
}

// Receive blocks until the next Message of the control stream, or until the
// Link ends.
func (l *Link) Receive() (Message, error) {
	var message Message
	err := l.control.ReadFrame(&message)
	return message, err
}

// OpenStream starts a stream beside the control stream and writes its header.
func (l *Link) OpenStream(header StreamHeader) (*Stream, error) {
	conn, err := l.session.Open()
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", errors.Join(ErrLinkClosed, err))
	}
	stream := newStream(l, conn)
	if err := stream.WriteFrame(header); err != nil {
		return nil, errors.Join(fmt.Errorf("write stream header: %w", err), stream.Close())
	}
	return stream, nil
}

// AcceptStream blocks until the other end opens a stream, or the Link ends.
// Whoever gets the Stream reads its StreamHeader first.
func (l *Link) AcceptStream() (*Stream, error) {
	conn, err := l.session.Accept()
	if err != nil {
		return nil, fmt.Errorf("accept stream: %w", errors.Join(ErrLinkClosed, err))
	}
	return newStream(l, conn), nil
}

// Done is closed when the Link has ended, whoever ended it.
func (l *Link) Done() <-chan struct{} { return l.session.CloseChan() }

// Close ends the Link and all its streams. Calling it again does nothing.
func (l *Link) Close() error {
	var err error
	l.closed.Do(func() { err = l.session.Close() })
	return err
}
