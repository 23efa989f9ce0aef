package agent

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// lookAgain is the pause after an App's containers could not be listed.
const lookAgain = time.Second

// app is one App on this Node. Its goroutine runs loop; what is not in mail or
// router belongs to that goroutine alone.
type app struct {
	id     string
	agent  *Agent
	mail   *mailbox
	router *router

	want       desired
	memory     map[string]*memory
	containers map[string]container
	shippers   map[string]*shipper
	cancels    map[string]context.CancelFunc // of the tasks that may be given up
	network    bool
}

func newApp(agent *Agent, id string) *app {
	return &app{
		id: id, agent: agent, mail: newMailbox(), router: &router{ingress: agent.ingress, app: id}, network: true,
		memory: map[string]*memory{}, shippers: map[string]*shipper{}, cancels: map[string]context.CancelFunc{},
	}
}

// loop runs until ctx ends, or until nothing of the App is left.
func (a *app) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.mail.wake:
		}
		a.round(ctx)
		if a.finished() && a.agent.retire(a) {
			return
		}
	}
}

// round takes in what happened, looks at the containers, and starts what is to
// be done next. When the engine does not answer, everything stays as it is.
func (a *app) round(ctx context.Context) {
	a.takeMail(ctx)
	deaths, epoch := a.router.Deaths(), a.agent.epoch.Load()
	listed, err := a.agent.engine.List(ctx, a.id)
	if err != nil {
		if ctx.Err() == nil {
			a.agent.engineTrouble(err)
			time.AfterFunc(lookAgain, a.mail.Poke)
		}
		return
	}
	a.agent.board.Trouble("engine", nil)
	a.take(ctx, listed)
	v := a.view(int(epoch))
	for _, next := range plan(v) {
		switch next.Kind {
		case actRoute:
			a.route(ctx, next.Targets, deaths)
		case actForget:
			a.forget(next.Instance)
		default:
			a.begin(ctx, next)
		}
	}
	a.report(v)
}

// takeMail applies the newest wish and the news.
func (a *app) takeMail(ctx context.Context) {
	wish, news := a.mail.Take()
	for _, item := range news {
		item()
	}
	if wish == nil {
		return
	}
	a.want = *wish
	for id, cancel := range a.cancels {
		if _, wanted := a.want.wanted[id]; !wanted {
			cancel()
		}
	}
	for id, instance := range a.want.wanted {
		a.remember(id).Spec = instance
	}
	if a.want.route != nil {
		a.router.Lead(*a.want.route)
		return
	}
	a.drain(ctx, a.router.Unroute())
}

// remember returns what is known of an Instance, and begins when nothing is.
func (a *app) remember(id string) *memory {
	if m := a.memory[id]; m != nil {
		return m
	}
	m := &memory{Spec: a.want.wanted[id]}
	if failure, failed := a.agent.failure(id); failed {
		m.Failure = &failure
	}
	a.memory[id] = m
	return m
}

// take compares what is listed with what was known.
func (a *app) take(ctx context.Context, listed []container) {
	a.containers = make(map[string]container, len(listed))
	for _, c := range listed {
		a.containers[c.Instance] = c
		a.network = true
		m := a.remember(c.Instance)
		m.count(c, time.Now())
		if a.shippers[c.Instance] == nil && c.State != runCreated && !c.Attended {
			a.shippers[c.Instance] = a.agent.ship(ctx, c)
		}
	}
}

// count notes the deaths that Docker has counted since the last look.
func (m *memory) count(c container, now time.Time) {
	if m.Seen && c.Restarts > m.Restarts {
		for range c.Restarts - m.Restarts {
			m.Deaths = append(m.Deaths, now)
		}
	}
	m.Seen, m.Restarts = true, c.Restarts
	m.Ran = m.Ran || c.State != runCreated
	if c.State == runRestarting || c.State == runExited {
		m.ExitCode = c.ExitCode
	}
	m.Deaths = slices.DeleteFunc(m.Deaths, func(at time.Time) bool { return now.Sub(at) > crashWindow })
}

func (a *app) view(epoch int) view {
	v := view{
		Known: a.want.known, Wanted: a.want.wanted, Route: a.want.route, Containers: a.containers,
		Memory: make(map[string]memory, len(a.memory)), Targets: a.router.Targets(), Network: a.network,
		Epoch: epoch, Now: time.Now(),
	}
	for id, m := range a.memory {
		v.Memory[id] = *m
	}
	return v
}

// route swaps the ingress' targets and begins to drain those that left.
func (a *app) route(ctx context.Context, targets []target, deaths int) {
	removed, ok := a.router.Replace(ctx, targets, deaths)
	if !ok { // something died since the list: look again
		a.mail.Poke()
		return
	}
	a.drain(ctx, removed)
	if len(removed) > 0 {
		a.mail.Poke()
	}
}

// report tells the board what is seen of all Instances of the App.
func (a *app) report(v view) {
	statuses := make([]protocol.InstanceStatus, 0, len(a.memory))
	for _, id := range slices.Sorted(maps.Keys(a.memory)) {
		statuses = append(statuses, a.status(v, id))
	}
	a.agent.board.Report(a.id, a.want.generation, statuses)
}

func (a *app) status(v view, id string) protocol.InstanceStatus {
	m, c := a.memory[id], v.Containers[id]
	if m.Failure != nil {
		return *m.Failure
	}
	if state := v.stateOf(id, m.State); state != m.State {
		m.State, m.Since = state, v.Now
		if state == protocol.StateHealthy && m.Epoch == 0 {
			m.Since = c.StartedAt // adopted: it has been so for longer
		}
	}
	status := protocol.InstanceStatus{
		ID: id, AppID: a.id, State: m.State, Container: c.ID, ImageID: c.ImageID, Since: m.Since,
		Restarts: c.Restarts, Cut: m.Cut, OOM: m.OOM || c.OOM, Reason: m.Reason,
	}
	if m.State == protocol.StateHealthy && !m.Spec.OneOff {
		status.Reason = m.setback(c)
	}
	return status
}

// setback says why an Instance that was healthy gets no requests.
func (m *memory) setback(c container) string {
	switch {
	case proven(c, *m):
		return ""
	case c.ID == "":
		return "its container was removed by somebody else; another is being made"
	case c.State == runRunning:
		return "has restarted and is not healthy again yet"
	}
	return "is restarting: " + exitReason(container{ExitCode: m.ExitCode, OOM: c.OOM, Memory: c.Memory}, memory{OOM: m.OOM})
}

// forget drops what is known of an Instance that is gone.
func (a *app) forget(id string) {
	m := a.memory[id]
	if m.Failure == nil {
		a.agent.board.Depart(protocol.InstanceStatus{
			ID: id, AppID: a.id, State: protocol.StateStopped, Since: time.Now(), Restarts: m.Restarts, Cut: m.Cut,
		})
	}
	a.agent.forgetFailure(id)
	delete(a.memory, id)
	if shipper := a.shippers[id]; shipper != nil {
		shipper.Abandon()
		delete(a.shippers, id)
	}
	a.mail.Poke()
}

// finished says that nothing of the App is here, and nothing wanted.
func (a *app) finished() bool {
	return a.want.known && a.want.empty() && !a.network && len(a.memory) == 0 && len(a.containers) == 0
}
