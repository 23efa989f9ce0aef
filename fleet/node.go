package fleet

import (
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// node is what the Fleet holds about one Node. Fleet.mu guards it.
type node struct {
	agent     *agent // nil while not linked
	online    bool
	heard     time.Time
	observed  protocol.Observed
	instances map[string]protocol.InstanceStatus
}

// attach makes an agent the one of its Node, and returns the one that it
// replaces, if any.
func (f *Fleet) attach(newcomer *agent) (replaced *agent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.nodes[newcomer.node]
	if entry == nil {
		entry = &node{}
		f.nodes[newcomer.node] = entry
	}
	replaced, entry.agent = entry.agent, newcomer
	entry.online, entry.heard = true, time.Now()
	f.announce()
	return replaced
}

// detach forgets an agent whose link ended. It returns true when no newer one
// took its place.
func (f *Fleet) detach(gone *agent) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.nodes[gone.node]
	if entry.agent != gone {
		return false
	}
	entry.agent = nil
	return true
}

// hear notes a sign of life of the Node's present agent.
func (f *Fleet) hear(from *agent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.nodes[from.node]
	if entry.agent != from {
		return
	}
	entry.heard = time.Now()
	if !entry.online {
		entry.online = true
		f.announce()
	}
}

// observe replaces the view of a Node. It returns false, and does nothing,
// when a newer link took over.
func (f *Fleet) observe(from *agent, observed protocol.Observed) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.nodes[from.node]
	if entry.agent != from {
		return false
	}
	entry.observed = observed
	entry.instances = make(map[string]protocol.InstanceStatus, len(observed.Instances))
	for _, status := range observed.Instances {
		if !f.foreign(from.node, status.ID) {
			entry.instances[status.ID] = status
		}
	}
	f.announce()
	return true
}

// silent marks a Node offline when nothing was heard since the given time,
// and says whether it did. A Node that was heard later is left alone.
func (f *Fleet) silent(id models.ID, since time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	entry := f.nodes[id]
	if !entry.online || entry.heard.After(since) {
		return false
	}
	entry.online = false
	f.announce()
	return true
}

// lastHeard returns when the Node gave its last sign of life.
func (f *Fleet) lastHeard(id models.ID) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[id].heard
}

// linked says whether a Node has an agent on the line.
func (f *Fleet) linked(id models.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[id].agent != nil
}
