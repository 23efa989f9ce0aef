package ingress

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Route says which hosts lead to an App.
type Route struct {
	App   string
	Hosts []string
	// Stopped answers at once that the App is stopped.
	Stopped bool
}

// route is a Route and where it leads. Requests read its pool without a lock.
type route struct {
	app      string
	pool     atomic.Pointer[pool]
	next     atomic.Uint32
	counters *counters

	mu    sync.Mutex // one writer at a time
	hosts []string
}

// pool is what a route leads to at one moment; it never changes.
type pool struct {
	targets    []*Target
	stopped    bool
	superseded chan struct{} // closed when a newer pool took over
}

func newRoute(app string, counted *counters) *route {
	r := &route{app: app, counters: counted}
	r.pool.Store(&pool{superseded: make(chan struct{})})
	return r
}

// replace swaps the pool for a changed copy and wakes held requests. It
// returns the Targets that left. The caller holds r.mu.
func (r *route) replace(change func(*pool)) (removed []*Target) {
	old := r.pool.Load()
	fresh := &pool{targets: old.targets, stopped: old.stopped, superseded: make(chan struct{})}
	change(fresh)
	r.pool.Store(fresh)
	close(old.superseded)
	for _, target := range old.targets {
		if !slices.Contains(fresh.targets, target) {
			removed = append(removed, target)
		}
	}
	return removed
}

// claim takes the next Target in turn that is not among the tried ones. The
// Target is nil when there is none; the pool is the one that was asked.
func (r *route) claim(tried []*Target) (*Target, *pool) {
	pool := r.pool.Load()
	count := uint32(len(pool.targets))
	if count == 0 || pool.stopped {
		return nil, pool
	}
	first := r.next.Add(1)
	for i := range count {
		target := pool.targets[(first+i)%count]
		if !slices.Contains(tried, target) && target.claim() {
			return target, pool
		}
	}
	return nil, pool
}
