package history

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// Process is a process type of an App.
type Process struct {
	App  models.ID
	Name string
}

// mark names the counters of one Node's ingress for one App.
type mark struct{ node, app models.ID }

// Recorder remembers what agents measure. Make one with New; all its methods may
// be called at any time.
type Recorder struct {
	mu      sync.Mutex
	traffic series[models.ID, models.Traffic, *models.Traffic]
	usage   series[Process, models.Usage, *models.Usage]
	nodes   series[models.ID, models.NodeLoad, *models.NodeLoad]
	marks   map[mark]protocol.Traffic
	moved   map[mark]bool // since they were taken
	open    map[models.ID]int64
	totals  map[models.ID]models.Traffic
}

// New returns a Recorder that goes on from the marks that are kept.
func New(kept []models.TrafficMark) (*Recorder, error) {
	r := &Recorder{
		traffic: newSeries[models.ID, models.Traffic](), usage: newSeries[Process, models.Usage](), nodes: newSeries[models.ID, models.NodeLoad](),
		marks: map[mark]protocol.Traffic{}, moved: map[mark]bool{}, open: map[models.ID]int64{}, totals: map[models.ID]models.Traffic{},
	}
	for _, row := range kept {
		var counters protocol.Traffic
		if err := json.Unmarshal([]byte(row.Counters), &counters); err != nil {
			return nil, fmt.Errorf("read the traffic mark of node %s: %w", row.NodeID, err)
		}
		counters.WebSockets = 0 // the next heartbeat says how many are open now
		r.marks[mark{row.NodeID, row.AppID}] = counters
	}
	return r, nil
}

// Traffic adds what a Node's ingress counted of an App since it was told before.
func (r *Recorder) Traffic(node, app models.ID, counters protocol.Traffic, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	which := mark{node, app}
	former := r.marks[which]
	fresh := counters.Since(former)
	r.marks[which], r.moved[which] = counters, true
	r.open[app] += counters.WebSockets - former.WebSockets
	counted := models.Traffic{
		Status: fresh.Status, BadGateway: fresh.BadGateway, Unavailable: fresh.Unavailable, GatewayTimeout: fresh.GatewayTimeout,
		Latency: fresh.Latency[:], Took: fresh.Took, BytesIn: fresh.BytesIn, BytesOut: fresh.BytesOut,
		Held: fresh.Held, Retried: fresh.Retried, WebSockets: r.open[app],
	}
	if counted.Requests() < 0 {
		return // counters that went back: from here they count again
	}
	r.traffic.add(app, at, counted)
	total := r.totals[app]
	total.Add(counted)
	r.totals[app] = total
}

// Usage adds a sample of a process type's Instances.
func (r *Recorder) Usage(process Process, sample models.Usage, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.usage.add(process, at, sample)
}

// Node adds a sample of a Node.
func (r *Recorder) Node(node models.ID, sample models.NodeLoad, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes.add(node, at, sample)
}

// Silent says that a Node's agent is away: what is open there is not known.
func (r *Recorder) Silent(node models.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for which, counters := range r.marks {
		if which.node == node {
			r.open[which.app] -= counters.WebSockets
			counters.WebSockets = 0
			r.marks[which] = counters
		}
	}
}

// Retain forgets all Apps and Nodes but these.
func (r *Recorder) Retain(app, node func(models.ID) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for which := range r.marks {
		if !app(which.app) || !node(which.node) {
			delete(r.marks, which)
			delete(r.moved, which)
		}
	}
	for id := range r.totals {
		if !app(id) {
			delete(r.totals, id)
			delete(r.open, id)
		}
	}
}

// Total is the Traffic of an App since the Recorder began. Its WebSockets are
// those that are open now.
func (r *Recorder) Total(app models.ID) models.Traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := r.totals[app]
	total.WebSockets = r.open[app]
	return total
}
