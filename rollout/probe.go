package rollout

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// Probe asks an App's public route again and again, as a visitor would, and
// counts who got no answer. A nil Probe does nothing.
type Probe struct {
	// URL is asked with Host, so that no name needs to be resolved.
	URL  string
	Host string
	// Pause lies between two requests.
	Pause time.Duration

	cancel   context.CancelFunc
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

// Start begins to ask; Stop ends it.
func (p *Probe) Start(ctx context.Context) {
	ctx, p.cancel = context.WithCancel(ctx)
	p.done = make(chan struct{})
	go func() {
		defer close(p.done)
		p.run(ctx)
	}()
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

func (p *Probe) run(ctx context.Context) {
	client := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1},
	}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(p.Pause)
	defer ticker.Stop()
	for {
		p.ask(ctx, client)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// ask counts one request. The one that the end interrupts counts for nothing.
func (p *Probe) ask(ctx context.Context, client *http.Client) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return
	}
	request.Host = p.Host
	request.Header.Set("User-Agent", "sky-cutover-probe")
	answer, err := client.Do(request)
	if ctx.Err() != nil {
		return
	}
	p.proof.Requests++
	if err != nil {
		p.proof.Failed++
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20))
	_ = answer.Body.Close()
	if p.baseline == 0 {
		p.baseline = answer.StatusCode
	}
	if answer.Header.Get("X-Sky-Error") != "" || (answer.StatusCode >= 500 && p.baseline < 500) {
		p.proof.Failed++
	}
}
