package protocol

import "net"

// BuilderVersion is the protocol version from which on an agent may be a builder, and
// takes streams of the kind StreamBuild.
const BuilderVersion = 3

// StreamBuild is the kind of a stream on which the control plane speaks HTTP/1.1
// (RFC 9112) with the builder on the agent's machine, one request a stream. What is
// asked and answered is the builder's own affair.
const StreamBuild = "build"

// Conn returns the stream as a connection, for what comes after its frames. Neither
// side may use frames on it from then on. Closing it closes the stream.
func (s *Stream) Conn() net.Conn { return streamConn{s.conn, s} }

// streamConn reads what the stream has read ahead first.
type streamConn struct {
	net.Conn
	stream *Stream
}

// Read implements net.Conn.
func (c streamConn) Read(into []byte) (int, error) { return c.stream.reader.Read(into) }
