package gitserver

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/skypanel/sky/gitserver/packfile"
)

const (
	// paceWindow is how long a client may be slower than Limits.MinRate.
	paceWindow = time.Minute
	// stallTimeout ends an HTTP upload that has stopped, as sshIdleTimeout does
	// an SSH connection.
	stallTimeout = sshIdleTimeout
)

// pacedReader refuses a client that sends slower than rate bytes a second. Only
// the time that is spent waiting for it counts, from the first byte on: before a
// large pack a client may think for minutes.
type pacedReader struct {
	source io.Reader
	rate   int64

	started bool
	waited  time.Duration
	got     int64
}

func newPacedReader(source io.Reader, rate int64) *pacedReader {
	return &pacedReader{source: source, rate: rate}
}

// Read implements io.Reader. The error about a slow client is a
// packfile.LimitError.
func (p *pacedReader) Read(buf []byte) (int, error) {
	begin := time.Now()
	n, err := p.source.Read(buf)
	if !p.started {
		p.started = n > 0
		return n, err
	}
	p.waited += time.Since(begin)
	p.got += int64(n)
	if p.waited < paceWindow {
		return n, err
	}
	if p.got < p.rate*int64(p.waited/time.Second) && err == nil {
		return 0, &packfile.LimitError{What: fmt.Sprintf("an upload of less than %d bytes a second", p.rate)}
	}
	p.waited, p.got = 0, 0
	return n, err
}

// stallReader ends a request whose body stops coming for too long.
type stallReader struct {
	io.ReadCloser
	deadline func(time.Time) error
}

func newStallReader(w http.ResponseWriter, body io.ReadCloser) stallReader {
	return stallReader{body, http.NewResponseController(w).SetReadDeadline}
}

// Read implements io.Reader. Once the body has ended there is no deadline any
// more: the answer may take as long as a build.
func (s stallReader) Read(buf []byte) (int, error) {
	_ = s.deadline(time.Now().Add(stallTimeout)) // not every ResponseWriter has one
	n, err := s.ReadCloser.Read(buf)
	if err != nil {
		_ = s.deadline(time.Time{})
	}
	return n, err
}
