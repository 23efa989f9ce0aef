package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
)

// load asks an app at a steady rate and keeps what it learns.
type load struct {
	app     *lab.App
	every   time.Duration
	visitor visitor
	cancel  context.CancelFunc
	group   sync.WaitGroup

	mu      sync.Mutex
	result  result
	first   map[string]time.Time // the first answer of each release
	arrived chan struct{}        // closed and replaced when first grows
}

type result struct {
	requests, failed int
	reasons          map[string]int
	latencies        []time.Duration
}

func newLoad(app *lab.App, rate int) *load {
	return &load{
		app: app, every: time.Second / time.Duration(rate), first: map[string]time.Time{}, arrived: make(chan struct{}),
		result: result{reasons: map[string]int{}},
	}
}

func (l *load) start(ctx context.Context) {
	ctx, l.cancel = context.WithCancel(ctx)
	l.group.Go(func() {
		ticker := time.NewTicker(l.every)
		defer ticker.Stop()
		begun := time.Now()
		for sent := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			// A late tick sends all that were due meanwhile.
			for ; time.Duration(sent)*l.every <= time.Since(begun); sent++ {
				due := begun.Add(time.Duration(sent) * l.every)
				l.group.Go(func() { l.ask(due) })
			}
		}
	})
}

// stop sends no more, waits for what was sent, and returns what was learnt.
func (l *load) stop() result {
	l.cancel()
	l.group.Wait()
	l.visitor.leave()
	return l.result
}

const patience = 30 * time.Second

// ask sends one request that was due at some time and judges the answer.
func (l *load) ask(due time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	release, failure := l.once(ctx)
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.requests++
	l.result.latencies = append(l.result.latencies, now.Sub(due))
	if failure != "" {
		l.result.failed++
		l.result.reasons[failure]++
		return
	}
	if _, seen := l.first[release]; !seen {
		l.first[release] = now
		close(l.arrived)
		l.arrived = make(chan struct{})
	}
}

func (l *load) once(ctx context.Context) (release, failure string) {
	request, err := l.app.Request(ctx)
	if err != nil {
		return "", err.Error()
	}
	answer, body, err := l.visitor.ask(request)
	switch {
	case err != nil:
		return "", err.Error()
	case answer.StatusCode != http.StatusOK:
		return "", fmt.Sprintf("%s %s", answer.Status, answer.Header.Get("X-Sky-Error"))
	}
	_, release, found := strings.Cut(strings.TrimSpace(body), "release ")
	if !found {
		return "", "not the app's words: " + body
	}
	return "v" + release, ""
}

// firstAnswer blocks until a request was answered by the release, and returns
// when that was.
func (l *load) firstAnswer(ctx context.Context, release string) (time.Time, error) {
	for {
		l.mu.Lock()
		at, seen := l.first[release]
		arrived := l.arrived
		l.mu.Unlock()
		if seen {
			return at, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("wait for %s: %w", release, ctx.Err())
		}
	}
}

// visitor keeps connections as browsers do, and asks once: http.Client would ask
// again by itself when a kept connection breaks.
type visitor struct {
	transport http.Transport
	mu        sync.Mutex
	idle      []kept
}

type kept struct {
	conn  *http.ClientConn
	since time.Time
}

// keepFor is shorter than the ingress keeps an idle connection: what it closes
// for age is nobody's failure.
const keepFor = 5 * time.Second

func (v *visitor) ask(request *http.Request) (*http.Response, string, error) {
	conn, err := v.connect(request)
	if err != nil {
		return nil, "", err
	}
	answer, err := conn.RoundTrip(request)
	if err != nil {
		_ = conn.Close()
		return nil, "", err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.idle = append(v.idle, kept{conn, time.Now()})
	return answer, string(body), err
}

// connect takes the connection that was used last, or makes one.
func (v *visitor) connect(request *http.Request) (*http.ClientConn, error) {
	v.mu.Lock()
	for len(v.idle) > 0 {
		last := v.idle[len(v.idle)-1]
		v.idle = v.idle[:len(v.idle)-1]
		if last.conn.Err() == nil && time.Since(last.since) < keepFor {
			v.mu.Unlock()
			return last.conn, nil
		}
		_ = last.conn.Close()
	}
	v.mu.Unlock()
	return v.transport.NewClientConn(request.Context(), "http", request.URL.Host)
}

func (v *visitor) leave() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, idle := range v.idle {
		_ = idle.conn.Close()
	}
}
