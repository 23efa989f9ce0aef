package ingress

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// errReplaced ends requests that outlast their Target's drain limit.
var errReplaced = errors.New("the instance was replaced")

// Target is one live address of an App, from its first request to its drain.
// An Instance whose address changes gets a new Target.
type Target struct {
	ID      string
	Address string
	// Node is another Node that has the Instance; empty is this one.
	Node string

	inflight atomic.Int64
	draining atomic.Bool
	idle     chan struct{}
	killed   context.Context
	kill     context.CancelCauseFunc
}

// NewTarget returns a Target that takes requests once a route has it. Its
// requests do not end with ctx.
func NewTarget(ctx context.Context, id, address string) *Target {
	target := &Target{ID: id, Address: address, idle: make(chan struct{}, 1)}
	target.killed, target.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	return target
}

// InFlight counts the requests that hold the Target.
func (t *Target) InFlight() int { return int(t.inflight.Load()) }

// Drain takes no more requests and blocks until none is in flight, or until
// limit, when it cuts those that are left and returns their number. When ctx
// ends first it cuts nothing. Take the Target out of its route before.
func (t *Target) Drain(ctx context.Context, limit time.Duration) (cut int) {
	t.draining.Store(true)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for t.inflight.Load() > 0 {
		select {
		case <-t.idle:
		case <-deadline.C:
			cut = t.InFlight()
			t.kill(errReplaced)
			return cut
		case <-ctx.Done():
			return 0
		}
	}
	return 0
}

// claim takes the Target for one request; it fails on one that drains.
func (t *Target) claim() bool {
	t.inflight.Add(1)
	if t.draining.Load() {
		t.release()
		return false
	}
	return true
}

func (t *Target) release() {
	if t.inflight.Add(-1) > 0 || !t.draining.Load() {
		return
	}
	select {
	case t.idle <- struct{}{}:
	default:
	}
}
