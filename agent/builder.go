package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/skypanel/sky/agent/protocol"
)

// Builder makes a Node one that builds for the control plane.
type Builder struct {
	// Places is how many builds run at once.
	Places int
	// Open makes what answers the control plane. Images go to the registry at address,
	// whose password is secret.
	Open func(address, secret string) (http.Handler, error)
}

// builderDoor serves the streams on which the control plane has something built.
type builderDoor struct {
	streams chan net.Conn
	server  *http.Server
	done    chan struct{}
}

// openBuilder serves until Close. Without a Builder there is no door: nil.
func openBuilder(config Config, images *imageDoor) (*builderDoor, error) {
	if config.Builder.Places == 0 {
		return nil, nil
	}
	if images == nil {
		return nil, errors.New("a builder needs Docker: this engine takes no images")
	}
	handler, err := config.Builder.Open(images.listener.Addr().String(), images.secret)
	if err != nil {
		return nil, err
	}
	door := &builderDoor{streams: make(chan net.Conn), done: make(chan struct{})}
	door.server = &http.Server{Handler: handler, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)} //nolint:gosec // the control plane may be slow
	go func() { _ = door.server.Serve(door) }()                                                                     // it ends with Close
	return door, nil
}

// Accept implements net.Listener.
func (d *builderDoor) Accept() (net.Conn, error) {
	select {
	case stream := <-d.streams:
		return stream, nil
	case <-d.done:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener.
func (d *builderDoor) Addr() net.Addr { return &net.UnixAddr{Net: "link"} }

// Close implements net.Listener. The server calls it.
func (d *builderDoor) Close() error {
	close(d.done)
	return nil
}

// end ends the door, and builds with it.
func (d *builderDoor) end() {
	if d != nil {
		_ = d.server.Close()
	}
}

// serve takes a stream over. It closes with what is done on it.
func (d *builderDoor) serve(ctx context.Context, stream *protocol.Stream) {
	if d == nil {
		stream.Abort()
		return
	}
	select {
	case d.streams <- stream.Conn():
	case <-d.done:
		stream.Abort()
	case <-ctx.Done():
		stream.Abort()
	}
}
