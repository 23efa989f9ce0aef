package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

const (
	// resyncEvery looks at everything again, in case an event was missed.
	resyncEvery = 30 * time.Second
	// firewallEvery puts the rules back, in case somebody flushed them.
	firewallEvery = 5 * time.Minute
	firstRewatch  = 100 * time.Millisecond
	lastRewatch   = 5 * time.Second
)

// accept takes an Assignment over: onto the disk first, then to the Apps. An
// older one than the present is ignored.
func (a *Agent) accept(assignment protocol.Assignment) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if assignment.Generation < a.assignment.Generation {
		return nil
	}
	err := a.disk.SaveAssignment(assignment)
	a.board.Trouble("data directory", err)
	if err != nil {
		return err
	}
	a.apply(assignment)
	return nil
}

// apply hands every App its part. The caller holds a.mu.
func (a *Agent) apply(assignment protocol.Assignment) {
	a.assignment = assignment
	a.peers.Set(assignment.Peers)
	parts := split(assignment)
	for id := range a.apps {
		if _, assigned := parts[id]; !assigned {
			parts[id] = desired{known: true, generation: assignment.Generation}
		}
	}
	a.board.Expect(assignment.Generation, slices.Collect(maps.Keys(parts)))
	a.known = true
	for id, part := range parts {
		app := a.app(id, part)
		if part.route != nil { // at once: a host that is assigned is never unknown
			app.router.Lead(*part.route)
		}
		app.mail.Want(part)
	}
}

// split sorts an Assignment by App.
func split(assignment protocol.Assignment) map[string]desired {
	parts := map[string]desired{}
	part := func(id string) desired {
		if existing, ok := parts[id]; ok {
			return existing
		}
		return desired{known: true, generation: assignment.Generation, wanted: map[string]protocol.Instance{}}
	}
	for _, instance := range assignment.Instances {
		p := part(instance.AppID)
		p.wanted[instance.ID] = instance
		parts[instance.AppID] = p
	}
	for _, route := range assignment.Routes {
		p := part(route.AppID)
		p.route = &route
		parts[route.AppID] = p
	}
	return parts
}

// app returns an App's goroutine's end, and starts one when there is none, which
// begins with that part: looking at its containers before it knew what is wanted,
// it would take them all for unwanted. The caller holds a.mu.
func (a *Agent) app(id string, part desired) *app {
	if existing := a.apps[id]; existing != nil {
		return existing
	}
	fresh := newApp(a, id)
	fresh.want = part
	a.apps[id] = fresh
	a.tasks.Go(func() { fresh.loop(a.ctx) })
	fresh.mail.Poke()
	return fresh
}

// unassigned is the part of an App that only Docker knows. The caller holds a.mu.
func (a *Agent) unassigned() desired {
	return desired{known: a.known, generation: a.assignment.Generation}
}

// retire forgets an App of which nothing is left, unless news has come.
func (a *Agent) retire(gone *app) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !gone.mail.Empty() {
		gone.mail.Poke()
		return false
	}
	delete(a.apps, gone.id)
	a.board.Retire(gone.id)
	return true
}

// resync has every App look again, those included that only Docker knows.
func (a *Agent) resync(ctx context.Context) {
	found, err := a.engine.Apps(ctx)
	if err != nil && ctx.Err() == nil {
		a.engineTrouble(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range found {
		a.app(id, a.unassigned())
	}
	for _, app := range a.apps {
		app.mail.Poke()
	}
}

// keepSynced resyncs from time to time.
func (a *Agent) keepSynced(ctx context.Context) {
	resync, rules := time.NewTicker(resyncEvery), time.NewTicker(firewallEvery)
	defer resync.Stop()
	defer rules.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-resync.C:
			a.resync(ctx)
		case <-rules.C:
			a.ensureFirewall()
		}
	}
}

// keepWatching listens to the engine, and after each gap, in which events were
// missed, looks at everything.
func (a *Agent) keepWatching(ctx context.Context) {
	pause := firstRewatch
	for ctx.Err() == nil {
		err := a.engine.Watch(ctx, func() {
			pause = firstRewatch
			a.epoch.Add(1)
			a.board.Trouble("engine", nil)
			a.ensureFirewall()
			a.resync(ctx)
		}, a.handle)
		if ctx.Err() != nil {
			return
		}
		a.engineTrouble(err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, lastRewatch)
	}
}

// handle passes an event to its App.
func (a *Agent) handle(happened event) {
	a.mu.Lock()
	app := a.app(happened.AppID, a.unassigned())
	a.mu.Unlock()
	if happened.Kind == eventDied {
		app.router.Died(happened.Instance)
	}
	app.mail.Tell(func() { app.hear(happened) })
}

// hear notes what only the event says.
func (a *app) hear(happened event) {
	m := a.memory[happened.Instance]
	if m == nil {
		return
	}
	switch happened.Kind {
	case eventDied:
		m.ExitCode = happened.ExitCode
	case eventOOM:
		m.OOM = true
	}
}

func (a *Agent) engineTrouble(err error) {
	if a.board.Trouble("engine", err) {
		a.logger.Warn("container engine", "error", err)
	}
}

func (a *Agent) ensureFirewall() {
	err := a.firewall.Ensure()
	if a.board.Trouble("firewall", err) && err != nil {
		a.logger.Warn("firewall", "error", err)
	}
}

// generation is that of the newest Assignment.
func (a *Agent) generation() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.assignment.Generation
}

// failure returns why an Instance failed, if it did.
func (a *Agent) failure(instance string) (protocol.InstanceStatus, bool) {
	a.failuresMu.Lock()
	defer a.failuresMu.Unlock()
	failure, failed := a.failures[instance]
	return failure, failed
}

func (a *Agent) saveFailure(failure protocol.InstanceStatus) error {
	err := a.disk.SaveFailure(failure)
	a.board.Trouble("data directory", err)
	if err != nil {
		return fmt.Errorf("instance %s failed: %w", failure.ID, err)
	}
	a.failuresMu.Lock()
	defer a.failuresMu.Unlock()
	a.failures[failure.ID] = failure
	return nil
}

func (a *Agent) forgetFailure(instance string) {
	if _, failed := a.failure(instance); !failed {
		return
	}
	if err := a.disk.ForgetFailure(instance); err != nil {
		a.logger.Warn("failure not forgotten", "instance", instance, "error", err)
	}
	a.failuresMu.Lock()
	defer a.failuresMu.Unlock()
	delete(a.failures, instance)
}
