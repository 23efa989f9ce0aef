package ingress

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// recorder notes how a request was answered, for its App's counters.
type recorder struct {
	http.ResponseWriter
	counters *counters
	began    time.Time
	status   int
	bytes    int64
}

// end counts the request as ended.
func (r *recorder) end(unanswered bool) {
	class := r.status / 100
	if class < 0 || class > 5 {
		class = 0
	}
	r.counters.status[class].Add(1)
	if unanswered {
		r.counters.unanswered(r.status)
	}
	if r.status == http.StatusSwitchingProtocols {
		r.counters.webSockets.Add(-1)
	} else {
		took := time.Since(r.began)
		r.counters.latency[protocol.LatencyBucket(took)].Add(1)
		r.counters.took.Add(took.Microseconds())
	}
	r.counters.bytesOut.Add(r.bytes)
	r.counters.active.Add(-1)
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Hijack implements http.Hijacker: it is how an upgraded connection is led on.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	r.status = http.StatusSwitchingProtocols
	r.counters.webSockets.Add(1)
	return countedConn{conn, r.counters}, buffered, nil
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// countedBody counts what a client sends.
type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

// Read implements io.Reader.
func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

// countedConn counts what an upgraded connection carries.
type countedConn struct {
	net.Conn
	counters *counters
}

// Read implements net.Conn.
func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.counters.bytesIn.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.counters.bytesOut.Add(int64(n))
	return n, err
}
