package ingress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	bufferSize = 32 << 10
	// idleLimit is below the five seconds after which Node.js closes an idle
	// connection, so that no request is sent into one that closes.
	idleLimit    = 4 * time.Second
	dialTimeout  = 2 * time.Second
	firstBackoff = 5 * time.Millisecond
	lastBackoff  = 250 * time.Millisecond
)

var (
	errNoTarget = errors.New("the app has no healthy instance")
	errStopped  = errors.New("the app is stopped")
)

func newTransport() *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   256,
		IdleConnTimeout:       idleLimit,
		DisableCompression:    true,
		ExpectContinueTimeout: time.Second,
	}
}

// claim is the Target that one request holds at present.
type claim struct {
	route  *route
	cancel context.CancelCauseFunc
	target *Target
	stop   func() bool // ends the watch on the Target's kill
	// unanswered says that no Instance answered: an ingress did.
	unanswered bool
}

type claimKey struct{}

func (c *claim) hold(target *Target) {
	c.target = target
	c.stop = context.AfterFunc(target.killed, func() { c.cancel(errReplaced) })
}

func (c *claim) release() {
	if c.target != nil {
		c.stop()
		c.target.release()
		c.target = nil
	}
}

// retrying sends a request to a Target of its route, and to another while
// nothing of it was sent.
type retrying struct{ ingress *Ingress }

// RoundTrip implements http.RoundTripper.
func (t retrying) RoundTrip(request *http.Request) (*http.Response, error) {
	claim := request.Context().Value(claimKey{}).(*claim)
	body := keepBody(request)
	patience := patience{limit: t.ingress.hold}
	var tried []*Target
	for attempt := 1; ; {
		target, pool := claim.route.claim(tried)
		if target == nil {
			if err := patience.wait(request.Context(), claim.route, pool); err != nil {
				return nil, err
			}
			tried = nil
			continue
		}
		claim.hold(target)
		response, err := t.ingress.roundTrip(target, request)
		if err == nil || !mayRetry(request, body, err, attempt) {
			return response, err
		}
		if !isDial(err) && !errors.Is(err, errMisdirected) {
			attempt++
		}
		claim.release()
		tried = append(tried, target)
		claim.route.counters.retried.Add(1)
	}
}

// mayRetry says whether nothing of the request can have had an effect.
func mayRetry(request *http.Request, body *keptBody, err error, attempt int) bool {
	if request.Context().Err() != nil || (body != nil && body.read.Load()) {
		return false
	}
	if isDial(err) || errors.Is(err, errMisdirected) {
		return true
	}
	var timeout net.Error
	if body != nil || attempt > 2 || (errors.As(err, &timeout) && timeout.Timeout()) {
		return false
	}
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, request.Method)
}

func isDial(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// patience is the time that one request may still be held.
type patience struct {
	limit   time.Duration
	until   time.Time
	backoff time.Duration
}

// wait blocks until the route may have a Target, and fails when it has waited
// for long enough or need not wait at all.
func (p *patience) wait(ctx context.Context, route *route, asked *pool) error {
	if asked.stopped {
		return errStopped
	}
	if p.until.IsZero() {
		route.counters.held.Add(1)
		p.until, p.backoff = time.Now().Add(p.limit), firstBackoff
	}
	pause := time.Until(p.until)
	if pause <= 0 {
		return errNoTarget
	}
	if len(asked.targets) > 0 { // they refuse connections: ask again soon
		pause = min(pause, p.backoff)
		p.backoff = min(2*p.backoff, lastBackoff)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-asked.superseded:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// keptBody is a request's body that survives the Close of a failed dial. The
// server closes the real one when the request has ended.
type keptBody struct {
	io.Reader
	read atomic.Bool
}

func keepBody(request *http.Request) *keptBody {
	if request.Body == nil || request.Body == http.NoBody {
		return nil
	}
	body := &keptBody{Reader: request.Body}
	request.Body = body
	return body
}

// Read implements io.Reader.
func (b *keptBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.Reader.Read(p)
}

// Close implements io.Closer.
func (b *keptBody) Close() error { return nil }

// bufferPool lends the proxy its copy buffers.
type bufferPool struct{ pool *sync.Pool }

// Get implements httputil.BufferPool.
func (b bufferPool) Get() []byte { return b.pool.Get().(*[bufferSize]byte)[:] }

// Put implements httputil.BufferPool.
func (b bufferPool) Put(buffer []byte) { b.pool.Put((*[bufferSize]byte)(buffer)) }
