package rollout

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// Probe asks an App's public route as a visitor would, again and again: at a
// walk while new Instances start, whom it must not slow, and without pause from
// Watch on. It counts who got no answer. A nil Probe does nothing.
type Probe struct {
	// URL is asked with Host, so that no name needs to be resolved.
	URL  string
	Host string
	// Pause lies between two requests from Watch on, and walk times as much
	// before.
	Pause time.Duration

	cancel   context.CancelFunc
	watch    chan struct{}
	done     chan struct{}
	proof    Proof
	baseline int // status of the first answer
	once     sync.Once
}

// Proof is what a Probe counted.
type Proof struct {
	Requests int
	Failed   int
}

// Start begins to ask; the first answer tells how the App answers before
// anything changes. It does not block; Stop ends it.
func (p *Probe) Start(ctx context.Context) {
	ctx, p.cancel = context.WithCancel(ctx)
	p.watch, p.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.done)
		p.run(ctx)
	}()
}

// Watch begins to ask without pause, once.
func (p *Probe) Watch() {
	if p != nil {
		close(p.watch)
	}
}

// Stop ends the Probe, waits for its last request and returns what it counted.
// It may be called again.
func (p *Probe) Stop() Proof {
	if p == nil {
		return Proof{}
	}
	p.once.Do(p.cancel)
	<-p.done
	return p.proof
}

const (
	// patienceWithOne and maxProbed bound one request.
	patienceWithOne = 30 * time.Second
	maxProbed       = 1 << 20
	// walk is how much slower a Probe asks before Watch.
	walk = 10
)

func (p *Probe) run(ctx context.Context) {
	visitor := &visitor{}
	defer visitor.leave()
	ticker := time.NewTicker(walk * p.Pause)
	defer ticker.Stop()
	watch := p.watch
	for {
		p.ask(ctx, visitor)
		select {
		case <-ctx.Done():
			return
		case <-watch:
			ticker.Reset(p.Pause)
			watch = nil // closed for good: not again
		case <-ticker.C:
		}
	}
}

// ask counts one request. The one that the end interrupts counts for nothing.
func (p *Probe) ask(ctx context.Context, visitor *visitor) {
	limited, cancel := context.WithTimeout(ctx, patienceWithOne)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodGet, p.URL, nil)
	if err != nil {
		return
	}
	request.Host = p.Host
	request.Header.Set("User-Agent", "sky-cutover-probe")
	answer, err := visitor.ask(request) //nolint:bodyclose // the visitor closes it
	if ctx.Err() != nil {
		return
	}
	p.proof.Requests++
	if err != nil {
		p.proof.Failed++
		return
	}
	if p.baseline == 0 {
		p.baseline = answer.StatusCode
	}
	if answer.Header.Get("X-Sky-Error") != "" || (answer.StatusCode >= 500 && p.baseline < 500) {
		p.proof.Failed++
	}
}

// visitor keeps one connection, as browsers do. It asks once: http.Client asks
// again by itself when a kept connection breaks, and would hide what we look
// for.
type visitor struct {
	transport http.Transport
	conn      *http.ClientConn
}

// ask returns the answer, whose body was read, or why there was none.
func (v *visitor) ask(request *http.Request) (*http.Response, error) {
	if v.conn == nil || v.conn.Err() != nil {
		conn, err := v.transport.NewClientConn(request.Context(), request.URL.Scheme, request.URL.Host)
		if err != nil {
			return nil, err
		}
		v.leave()
		v.conn = conn
	}
	answer, err := v.conn.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, maxProbed))
	if request.Context().Err() != nil { // a stream without end is no failure
		err = nil
	}
	return answer, err
}

func (v *visitor) leave() {
	if v.conn != nil {
		_ = v.conn.Close()
	}
}
