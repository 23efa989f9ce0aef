package pktline

import (
	"io"
	"sync"
	"time"
)

// Band is a side band's number.
type Band byte

// The side bands.
const (
	Pack     Band = 1 // what the protocol is about: a pack, or a report
	Progress Band = 2 // for the user's terminal, prefixed with "remote:"
	Fatal    Band = 3 // an error that ends the session
)

const maxBand = MaxPayload - 1

// Mux writes side bands, every packet in a single Write, so that progress,
// keep-alives and the report never mix inside one. It may be used from many
// goroutines. The first error of the writer below sticks.
type Mux struct {
	mu    sync.Mutex
	w     io.Writer
	plain bool
	wrote bool // since the last keep-alive tick
	err   error
	buf   []byte
}

// NewMux returns a Mux to w. A plain Mux is for clients without side bands: it
// passes Pack through and drops the rest.
func NewMux(w io.Writer, plain bool) *Mux { return &Mux{w: w, plain: plain} }

// Send writes data on a band, in as many packets as it takes.
func (m *Mux) Send(band Band, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.plain {
		if band == Pack && m.err == nil {
			_, m.err = m.w.Write(data)
		}
		return m.err
	}
	for m.err == nil && len(data) > 0 {
		part := data[:min(len(data), maxBand)]
		m.packet(band, part)
		data = data[len(part):]
	}
	return m.err
}

func (m *Mux) packet(band Band, data []byte) {
	m.buf = append(append(m.buf[:0], length(len(data)+5)...), byte(band))
	m.buf = append(m.buf, data...)
	m.wrote = true
	_, m.err = m.w.Write(m.buf)
}

// Flush ends the session with a flush packet; a plain Mux has none.
func (m *Mux) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.plain && m.err == nil {
		_, m.err = m.w.Write(AppendFlush(nil))
	}
	return m.err
}

// KeepAlive sends an empty packet, 0005\x01, after every tick in which nothing
// was written, until stop is closed.
func (m *Mux) KeepAlive(every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			m.tick()
		}
	}
}

func (m *Mux) tick() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.wrote && !m.plain && m.err == nil {
		m.packet(Pack, nil)
	}
	m.wrote = false
}

// Writer returns a writer to one band.
func (m *Mux) Writer(band Band) io.Writer { return bandWriter{m, band} }

type bandWriter struct {
	mux  *Mux
	band Band
}

// Write implements io.Writer.
func (w bandWriter) Write(data []byte) (int, error) {
	if err := w.mux.Send(w.band, data); err != nil {
		return 0, err
	}
	return len(data), nil
}
