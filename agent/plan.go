package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

const (
	// crashLimit deaths are forgiven within crashWindow; one more is a loop.
	crashLimit  = 3
	crashWindow = 5 * time.Minute
	// attendLimit is how long an Instance waits for its terminal.
	attendLimit = time.Minute
)

// actionKind is one transition of an Instance or its App.
type actionKind string

const (
	actPull          actionKind = "pull"
	actCreate        actionKind = "create"
	actStart         actionKind = "start"
	actAdopt         actionKind = "adopt"   // healthy by its durable mark
	actProbe         actionKind = "probe"   // healthy or failed by asking it
	actPromote       actionKind = "promote" // the durable mark
	actRoute         actionKind = "route"
	actPardon        actionKind = "pardon" // an end that may be the engine's
	actFail          actionKind = "fail"
	actFinish        actionKind = "finish" // it ran once, to its end
	actStop          actionKind = "stop"
	actRemove        actionKind = "remove"
	actForget        actionKind = "forget" // nothing is left of it
	actRemoveNetwork actionKind = "remove network"
)

// action is one transition to make, and what it needs.
type action struct {
	Kind      actionKind
	Instance  string
	Container container
	Targets   []target // of actRoute
	Reason    string   // of actFail
}

// target is an Instance that may get requests, and where: at an address of this
// Node, or on another.
type target struct {
	Instance string
	Address  string
	Node     string
}

// memory is what an App's goroutine knows of an Instance beside its container.
type memory struct {
	Spec     protocol.Instance // as it was last assigned
	Busy     actionKind        // the task that runs; "" when none does
	Pulled   bool
	Proven   time.Time // StartedAt of the run that was found healthy
	Promoted bool      // it once had the mark
	Epoch    int       // when its present run was started by us
	Draining int       // targets that left the route and have requests
	Cut      int
	Pardoned bool                     // its end was taken for the engine's once
	Doom     string                   // why it is about to fail
	Failure  *protocol.InstanceStatus // its end for good; stopped when it ran once
	Seen     bool                     // its Restarts were counted before
	Ran      bool                     // its container was seen after its start
	Attached bool                     // its terminal came
	Restarts int
	Deaths   []time.Time
	ExitCode int
	OOM      bool
	Attempts int // failed in a row
	RetryAt  time.Time
	Reason   string // why it is not healthy yet
	State    string // as it was last reported, and
	Since    time.Time
}

// view is all that plan looks at.
type view struct {
	Known      bool // an Assignment is known; without one nothing is unwanted
	Wanted     map[string]protocol.Instance
	Route      *protocol.Route
	Containers map[string]container // by Instance
	Memory     map[string]memory
	Targets    []target // that the ingress has now
	Network    bool     // the App's network may exist
	Epoch      int      // grows whenever events may have been missed
	Now        time.Time
}

// plan says what to do next for one App: at most one transition for each
// Instance, none for one whose last still runs. It decides from the view
// alone; carried out and asked again, it comes to rest at the Assignment.
func plan(v view) []action {
	if !v.Known {
		return nil
	}
	var actions []action
	if wanted := routable(v); !slices.Equal(wanted, v.Targets) {
		actions = append(actions, action{Kind: actRoute, Targets: wanted})
	}
	for _, id := range v.instances() {
		m := v.Memory[id]
		if m.Busy != "" || m.RetryAt.After(v.Now) {
			continue
		}
		next := v.nextUnwanted(id, m)
		if _, wanted := v.Wanted[id]; wanted {
			next = v.nextWanted(id, m)
		}
		if next.Kind != "" {
			next.Instance = id
			actions = append(actions, next)
		}
	}
	if v.Network && len(v.Wanted) == 0 && len(v.Containers) == 0 && len(v.Memory) == 0 {
		actions = append(actions, action{Kind: actRemoveNetwork})
	}
	return actions
}

// instances lists all that is wanted, runs or is remembered.
func (v view) instances() []string {
	all := slices.Concat(slices.Collect(maps.Keys(v.Wanted)), slices.Collect(maps.Keys(v.Containers)), slices.Collect(maps.Keys(v.Memory)))
	slices.Sort(all)
	return slices.Compact(all)
}

// nextWanted leads an Instance to healthy, or to failed and gone.
func (v view) nextWanted(id string, m memory) action {
	c, exists := v.Containers[id]
	switch {
	case m.Failure != nil:
		return clear(c, exists, m)
	case m.Doom != "":
		return action{Kind: actFail, Container: c, Reason: m.Doom}
	case v.Wanted[id].Once && (exists || m.Ran):
		return v.nextOnce(c, exists, m)
	case !exists && !m.Pulled:
		return action{Kind: actPull}
	case !exists:
		return action{Kind: actCreate}
	case crashLoops(m, v.Now):
		return action{Kind: actFail, Container: c, Reason: crashReason(c, m)}
	case c.State == runCreated:
		return action{Kind: actStart, Container: c}
	case c.State == runExited:
		return v.nextExited(c, m)
	case c.State == runRestarting:
		return action{}
	case !proven(c, m) && c.Promoted && !m.Promoted:
		return action{Kind: actAdopt, Container: c}
	case !proven(c, m):
		return action{Kind: actProbe, Container: c}
	case !c.Promoted:
		return action{Kind: actPromote, Container: c}
	}
	return action{}
}

// nextOnce leads an Instance that runs once to its end. One that began is never
// begun again, whatever ended it: what it did is not known.
func (v view) nextOnce(c container, exists bool, m memory) action {
	switch {
	case !exists:
		return action{Kind: actFail, Reason: "its container was removed before it ended"}
	case c.Attended && c.State != runExited:
		return v.nextAttended(c, m)
	case c.State == runCreated:
		return action{Kind: actStart, Container: c}
	case c.State != runExited:
		return action{}
	case c.ExitCode == 0 && !c.OOM:
		return action{Kind: actFinish, Container: c}
	default:
		return action{Kind: actFail, Container: c, Reason: fmt.Sprintf("exited with code %d", c.ExitCode)}
	}
}

// nextAttended leaves an Instance to its terminal. One that has lost it, as with a
// former run of the agent, has nobody left to run for.
func (v view) nextAttended(c container, m memory) action {
	switch {
	case m.Attached:
		return action{}
	case c.State == runRunning:
		return action{Kind: actStop, Container: c}
	case v.Now.Sub(c.CreatedAt) > attendLimit:
		return action{Kind: actFail, Container: c, Reason: fmt.Sprintf("was left: no terminal came within %s", plainly(attendLimit))}
	}
	return action{}
}

// nextExited tells a failure that we saw from an end that may be the engine's
// or the machine's doing: that one starts again.
func (v view) nextExited(c container, m memory) action {
	if !c.Promoted && m.Epoch == v.Epoch && stoppedFromOutside(c, m) && !m.Pardoned {
		return action{Kind: actPardon, Container: c}
	}
	if !c.Promoted && m.Epoch == v.Epoch {
		return action{Kind: actFail, Container: c, Reason: exitReason(c, m)}
	}
	return action{Kind: actStart, Container: c}
}

// stoppedFromOutside says whether a container ended as one does that is told
// to: an engine that ends tells all of its own. One that was found unhealthy was
// ended for that.
func stoppedFromOutside(c container, m memory) bool {
	const killed, terminated = 128 + 9, 128 + 15
	return !c.OOM && !m.OOM && c.Health != "unhealthy" && (c.ExitCode == 0 || c.ExitCode == killed || c.ExitCode == terminated)
}

// nextUnwanted leads an Instance out: drained, stopped, gone.
func (v view) nextUnwanted(id string, m memory) action {
	c, exists := v.Containers[id]
	routed := slices.ContainsFunc(v.Targets, func(t target) bool { return t.Instance == id })
	if routed || m.Draining > 0 {
		return action{}
	}
	if !exists {
		return action{Kind: actForget}
	}
	return clear(c, exists, m)
}

// clear stops a container and then removes it.
func clear(c container, exists bool, m memory) action {
	switch {
	case !exists || m.Draining > 0:
		return action{}
	case c.State == runRunning || c.State == runRestarting:
		return action{Kind: actStop, Container: c}
	}
	return action{Kind: actRemove, Container: c}
}

// proven says whether this very run of the container was found healthy.
func proven(c container, m memory) bool {
	return c.State == runRunning && !m.Proven.IsZero() && m.Proven.Equal(c.StartedAt)
}

// routable lists the targets that are to get requests, in the Route's order.
func routable(v view) []target {
	var targets []target
	if v.Route == nil {
		return nil
	}
	for _, id := range v.Route.Targets {
		c, exists := v.Containers[id]
		m := v.Memory[id]
		_, wanted := v.Wanted[id]
		if exists && wanted && m.Failure == nil && c.Promoted && proven(c, m) && c.Address != "" {
			targets = append(targets, target{id, hostPort(c.Address, c.Port), ""})
		}
	}
	for _, remote := range v.Route.Remotes {
		targets = append(targets, target{remote.Instance, "", remote.Node})
	}
	return targets
}

// crashLoops says whether an Instance died too often of late.
func crashLoops(m memory, now time.Time) bool {
	recent := 0
	for _, death := range m.Deaths {
		if now.Sub(death) < crashWindow {
			recent++
		}
	}
	return recent > crashLimit
}

// stateOf derives what is reported of an Instance. Before is what was reported
// last: a state is never taken back.
func (v view) stateOf(id string, before string) string {
	m := v.Memory[id]
	c, exists := v.Containers[id]
	_, wanted := v.Wanted[id]
	state := protocol.StateAssigned
	switch {
	case m.Failure != nil:
		return m.Failure.State
	case !wanted && (!exists || c.State == runExited):
		state = protocol.StateStopped
	case !wanted:
		state = protocol.StateDraining
	case exists && (c.Promoted || v.Wanted[id].OneOff && c.State == runRunning):
		state = protocol.StateHealthy
	case exists || m.Pulled:
		state = protocol.StateStarting
	case m.Busy == actPull:
		state = protocol.StatePulling
	}
	return later(before, state)
}

// later returns the state that is further on.
func later(a, b string) string {
	order := strings.Fields("assigned pulling starting healthy draining stopped failed")
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}
