package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

const (
	firstProbe   = 5 * time.Millisecond
	lastProbe    = 250 * time.Millisecond
	probeTimeout = 10 * time.Second
	// settle is how long an Instance without a port must stay up, when its
	// Health does not say.
	settle = 3 * time.Second
	// healthDeadline is for Health without a deadline.
	healthDeadline = 60 * time.Second
)

var (
	// errUnhealthy wraps the reason why an Instance is not healthy.
	errUnhealthy = errors.New("unhealthy")
	// errEnded says that the container ended; plan says what that means.
	errEnded = errors.New("the container ended")
)

// probe asks one Instance from outside whether it is healthy.
type probe struct {
	engine   engine
	client   *http.Client
	instance protocol.Instance
	host     string // the Host header, for apps that check it
	patient  bool   // was healthy before: no deadline, Docker counts its deaths
	note     func(reason string)
}

// wait blocks until the container is healthy, and returns it as it was then.
// It fails with errEnded when it ended, with errUnhealthy when it was not
// healthy in time, and with ctx's error. While the engine is away it waits.
func (p probe) wait(ctx context.Context, id string) (container, error) {
	deadline := time.Now().Add(p.deadline())
	for gap := firstProbe; ; gap = min(gap*3/2, lastProbe) {
		c, err := p.engine.Inspect(ctx, id)
		if errors.Is(err, errGone) || ctx.Err() != nil {
			return c, errors.Join(err, ctx.Err())
		}
		if err == nil && c.State != runRunning {
			return c, errEnded
		}
		if err == nil {
			reason, done := p.ask(ctx, c)
			if done {
				return c, unhealthy(reason)
			}
			p.note(reason)
			if !p.patient && time.Now().After(deadline) && ctx.Err() == nil {
				return c, unhealthy(p.late(c, reason))
			}
		}
		select {
		case <-ctx.Done():
			return c, ctx.Err()
		case <-time.After(gap):
		}
	}
}

// unhealthy makes a reason an error; no reason is health.
func unhealthy(reason string) error {
	if reason == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", errUnhealthy, reason)
}

func (p probe) deadline() time.Duration {
	if p.instance.Health.Deadline > 0 {
		return p.instance.Health.Deadline
	}
	return healthDeadline
}

// ask looks once. It is done when the reason is final; none is health.
func (p probe) ask(ctx context.Context, c container) (reason string, done bool) {
	switch {
	case c.Health == "unhealthy":
		return sickReason(c), !p.patient
	case c.Health == "starting":
		return "its own health check has not passed yet", false
	case p.instance.Port == 0:
		return p.settled(c)
	case c.Address == "":
		return "has no address yet", false
	}
	reason = p.request(ctx, c)
	return reason, reason == ""
}

// settled judges an Instance that does not listen.
func (p probe) settled(c container) (reason string, done bool) {
	needed := p.instance.Health.Settle
	if needed == 0 {
		needed = settle
	}
	if c.Health == "" && time.Since(c.StartedAt) < needed {
		return fmt.Sprintf("has not been up for %s yet", plainly(needed)), false
	}
	return "", true
}

// request sends one HTTP request over the bridge, never through a published
// port: Docker's proxy there accepts before the app listens.
func (p probe) request(ctx context.Context, c container) (reason string) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	path := "/" + strings.TrimPrefix(p.instance.Health.Path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+hostPort(c.Address, p.instance.Port)+path, nil)
	if err != nil {
		return fmt.Sprintf("its health path %q is no path: %v", path, err)
	}
	request.Host = p.host
	request.Header.Set("User-Agent", "sky-health")
	response, err := p.client.Do(request)
	if err != nil {
		return p.unanswered(path, err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	if p.instance.Health.Path != "" && response.StatusCode >= 400 {
		return fmt.Sprintf("GET %s answered %d", path, response.StatusCode)
	}
	return ""
}

// notListening is the reason that late explains.
const notListening = "does not listen yet"

func (p probe) unanswered(path string, err error) string {
	var operation *net.OpError
	switch {
	case errors.As(err, &operation) && operation.Op == "dial":
		return notListening
	case p.instance.Health.Path == "" && strings.Contains(err.Error(), "malformed HTTP"):
		return "" // it listens and answers, in a protocol of its own
	}
	return fmt.Sprintf("listens on port %d but did not answer GET %s", p.instance.Port, path)
}

// late says what was missing when the deadline passed.
func (p probe) late(c container, reason string) string {
	if reason == notListening {
		return listenReason(p.instance.Port, p.deadline(), listening(c.PID))
	}
	return fmt.Sprintf("%s within %s", strings.TrimSuffix(reason, " yet"), plainly(p.deadline()))
}

// newProbeClient makes each probe a connection of its own, and follows no
// redirect: a redirect is an answer.
func newProbeClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: time.Second}).DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
