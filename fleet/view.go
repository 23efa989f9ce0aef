package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// View is the observed state of all Nodes at one moment. It is valid inside
// the condition that it is handed to, and no longer.
type View struct{ fleet *Fleet }

// Instance returns what an agent last observed of an Instance. The second
// result is false when no agent lists it: not yet, or no longer.
func (v View) Instance(id models.ID) (protocol.InstanceStatus, bool) {
	text := id.String()
	for _, node := range v.fleet.nodes {
		if status, found := node.instances[text]; found {
			return status, true
		}
	}
	return protocol.InstanceStatus{}, false
}

// Generation returns the Assignment whose routes are in force on a Node, as
// far as is known; 0 when nothing is.
func (v View) Generation(id models.ID) uint64 {
	if node := v.fleet.nodes[id]; node != nil {
		return node.observed.Generation
	}
	return 0
}

// Online says whether a Node was heard within Config.OfflineAfter.
func (v View) Online(id models.ID) bool {
	node := v.fleet.nodes[id]
	return node != nil && node.online
}

// Trouble returns what keeps a Node's agent from its work, in its own words.
func (v View) Trouble(id models.ID) string {
	if node := v.fleet.nodes[id]; node != nil {
		return node.observed.Trouble
	}
	return ""
}

// Wait blocks until condition says that it is done or fails, and returns its
// error; it returns ctx's error, or ErrClosed, when that comes first. The
// condition is asked at once and after each change of the observed state,
// with the Fleet locked: it must be quick and must not call the Fleet.
func (f *Fleet) Wait(ctx context.Context, condition func(View) (done bool, err error)) error {
	for {
		f.mu.Lock()
		done, err := condition(View{f})
		changed := f.changed
		f.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the fleet: %w", ctx.Err())
		case <-f.ctx.Done():
			return ErrClosed
		}
	}
}

// Instances returns what was last observed of an App's Instances, in the
// order of their IDs, those on Nodes that are offline included.
func (f *Fleet) Instances(app models.ID) []protocol.InstanceStatus {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []protocol.InstanceStatus
	for _, node := range f.nodes {
		for _, status := range node.instances {
			if status.AppID == app.String() {
				found = append(found, status)
			}
		}
	}
	slices.SortFunc(found, func(a, b protocol.InstanceStatus) int { return strings.Compare(a.ID, b.ID) })
	return found
}

// Online says whether a Node was heard within Config.OfflineAfter.
func (f *Fleet) Online(id models.ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return View{f}.Online(id)
}

// Census counts the agents that are on the line, and by state what the agents
// observe of Instances.
func (f *Fleet) Census() (linked int, states map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	states = map[string]int{}
	for _, node := range f.nodes {
		if node.agent != nil {
			linked++
		}
		for _, status := range node.instances {
			states[status.State]++
		}
	}
	return linked, states
}

// announce wakes everybody in Wait. The caller holds f.mu.
func (f *Fleet) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}
