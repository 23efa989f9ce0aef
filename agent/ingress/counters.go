package ingress

import (
	"sync/atomic"
	"time"
)

// Counters are an App's requests since the ingress began.
type Counters struct {
	App string
	// Status counts answers by the first digit of their status; [0] are
	// requests whose client left before any.
	Status   [6]int64
	Active   int64
	Held     int64
	Retried  int64
	BytesOut int64
	Duration time.Duration // the sum over all requests
}

// Total counts all requests that have ended.
func (c Counters) Total() int64 {
	var total int64
	for _, count := range c.Status {
		total += count
	}
	return total
}

type counters struct {
	status   [6]atomic.Int64
	active   atomic.Int64
	held     atomic.Int64
	retried  atomic.Int64
	bytes    atomic.Int64
	duration atomic.Int64
}

func (c *counters) ended(status int, bytes int64, took time.Duration) {
	class := status / 100
	if class < 0 || class > 5 {
		class = 0
	}
	c.status[class].Add(1)
	c.bytes.Add(bytes)
	c.duration.Add(int64(took))
	c.active.Add(-1)
}

func (c *counters) snapshot(app string) Counters {
	shot := Counters{
		App: app, Active: c.active.Load(), Held: c.held.Load(), Retried: c.retried.Load(),
		BytesOut: c.bytes.Load(), Duration: time.Duration(c.duration.Load()),
	}
	for class := range c.status {
		shot.Status[class] = c.status[class].Load()
	}
	return shot
}

// Counters returns the counters of all Apps that have a route, by App ID.
func (in *Ingress) Counters() map[string]Counters {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := make(map[string]Counters, len(in.routes))
	for id, route := range in.routes {
		all[id] = route.counters.snapshot(route.app)
	}
	return all
}
