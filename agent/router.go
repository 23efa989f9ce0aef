package agent

import (
	"context"
	"slices"
	"sync"

	"github.com/skypanel/sky/agent/ingress"
	"github.com/skypanel/sky/agent/protocol"
)

// router is one App's route in the ingress. An Instance's death takes its
// target out at once, whatever the App's goroutine is doing.
type router struct {
	ingress *ingress.Ingress
	app     string

	mu      sync.Mutex
	targets []*ingress.Target
	deaths  int
}

// Lead says which hosts lead to the App.
func (r *router) Lead(route protocol.Route) {
	r.ingress.SetRoute(r.app, ingress.Route{App: route.App, Hosts: route.Hosts, Stopped: route.Stopped})
}

// Unroute takes the App out of the ingress, and returns the targets it had.
func (r *router) Unroute() []*ingress.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.targets = nil
	return r.ingress.RemoveRoute(r.app)
}

// Targets lists what is routed now.
func (r *router) Targets() []target {
	r.mu.Lock()
	defer r.mu.Unlock()
	var listed []target
	for _, t := range r.targets {
		listed = append(listed, target{t.ID, t.Address, t.Node})
	}
	return listed
}

// Deaths counts the deaths so far, for Replace.
func (r *router) Deaths() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.deaths
}

// Replace routes to these targets, and returns those that left. It does
// nothing when something died since deaths was read: the targets come from a
// list that may be older.
func (r *router) Replace(ctx context.Context, wanted []target, deaths int) (removed []*ingress.Target, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deaths != deaths {
		return nil, false
	}
	fresh := make([]*ingress.Target, 0, len(wanted))
	for _, t := range wanted {
		i := slices.IndexFunc(r.targets, func(old *ingress.Target) bool {
			return old.ID == t.Instance && old.Address == t.Address && old.Node == t.Node
		})
		if i >= 0 {
			fresh = append(fresh, r.targets[i])
			continue
		}
		if t.Node != "" {
			fresh = append(fresh, ingress.NewRemoteTarget(ctx, t.Instance, t.Node))
			continue
		}
		fresh = append(fresh, ingress.NewTarget(ctx, t.Instance, t.Address))
	}
	r.targets = fresh
	return r.ingress.SetTargets(r.app, fresh), true
}

// Died takes an Instance out.
func (r *router) Died(instance string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaths++
	before := len(r.targets)
	r.targets = slices.DeleteFunc(slices.Clone(r.targets), func(t *ingress.Target) bool { return t.ID == instance })
	if len(r.targets) < before {
		r.ingress.SetTargets(r.app, r.targets)
	}
}
