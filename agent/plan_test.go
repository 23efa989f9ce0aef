package agent

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// The plan's tables describe one Instance, "i", by words.

func started() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func now() time.Time { return started().Add(time.Hour) }

// running is a container of "i" that was found healthy when it is promoted.
func testContainer(change ...func(*container)) *container {
	c := &container{ID: "c", Instance: "i", State: runRunning, Address: "10.0.0.2", Port: 3000, StartedAt: started()}
	for _, f := range change {
		f(c)
	}
	return c
}

func state(s runState) func(*container) { return func(c *container) { c.State = s } }
func promoted(c *container)             { c.Promoted = true }
func exited(code int) func(*container) {
	return func(c *container) { c.State, c.ExitCode = runExited, code }
}

func deaths(count int, ago time.Duration) []time.Time {
	var all []time.Time
	for range count {
		all = append(all, now().Add(-ago))
	}
	return all
}

func TestPlan(t *testing.T) {
	healthy := memory{Proven: started(), Promoted: true, Pulled: true, Epoch: 1}
	failure := memory{Failure: &protocol.InstanceStatus{ID: "i"}}
	at := []target{{"i", "10.0.0.2:3000", ""}}
	cases := []struct {
		name      string
		unwanted  bool
		unknown   bool
		unrouted  bool
		once      bool
		container *container
		memory    *memory
		targets   []target
		want      string
	}{
		{name: "a new instance gets its image first", want: "pull"},
		{name: "then its container", memory: &memory{Pulled: true}, want: "create"},
		{name: "a container that was made but not started", container: testContainer(state(runCreated)), want: "start"},
		{name: "one that runs is probed", container: testContainer(), memory: &memory{Epoch: 1}, want: "probe"},
		{name: "what runs once is not probed", once: true, container: testContainer(), memory: &memory{Epoch: 1}, want: ""},
		{name: "it is started once", once: true, container: testContainer(state(runCreated)), want: "start"},
		{name: "it ends well", once: true, container: testContainer(exited(0)), memory: &memory{Ran: true}, want: "finish"},
		{name: "or not", once: true, container: testContainer(exited(3)), memory: &memory{Ran: true}, want: "fail: exited with code 3"},
		{name: "after the engine's restart it is not begun again", once: true, container: testContainer(exited(137)), memory: &memory{Ran: true}, want: "fail: exited with code 137"},
		{name: "nor when its container is gone", once: true, memory: &memory{Ran: true}, want: "fail: its container was removed before it ended"},
		{name: "nor when it has ended", once: true, memory: &memory{Ran: true, Failure: &protocol.InstanceStatus{ID: "i", State: protocol.StateStopped}}, want: ""},
		{name: "one task at a time", container: testContainer(), memory: &memory{Busy: actProbe}, want: ""},
		{name: "and a pause after a failure", memory: &memory{RetryAt: now().Add(time.Second)}, want: ""},
		{name: "healthy is marked", container: testContainer(), memory: &memory{Proven: started()}, want: "promote"},
		{name: "and not routed before it is", container: testContainer(), memory: &memory{Proven: started(), Busy: actPromote}, want: ""},
		{name: "marked is routed", container: testContainer(promoted), memory: &healthy, want: "route 10.0.0.2:3000"},
		{name: "routed is at rest", container: testContainer(promoted), memory: &healthy, targets: at, want: ""},
		{name: "unless the route does not name it", unrouted: true, container: testContainer(promoted), memory: &healthy, want: ""},
		{name: "and leaves when the route drops it", unrouted: true, container: testContainer(promoted), memory: &healthy, targets: at, want: "route"},
		{name: "a new agent adopts by the mark", container: testContainer(promoted), want: "adopt"},
		{name: "and probes without it", container: testContainer(), want: "probe"},
		{name: "a run that is not the proven one is probed and not routed", container: testContainer(promoted, func(c *container) { c.StartedAt = now() }), memory: &healthy, targets: at, want: "route, probe"},
		{name: "a new address is a new target", container: testContainer(promoted, func(c *container) { c.Address = "10.0.0.9" }), memory: &healthy, targets: at, want: "route 10.0.0.9:3000"},
		{name: "no address, no target", container: testContainer(promoted, func(c *container) { c.Address = "" }), memory: &healthy, want: ""},
		{name: "Docker restarts by itself", container: testContainer(promoted, state(runRestarting)), memory: &healthy, targets: at, want: "route"},
		{name: "an end that we saw is a failure", container: testContainer(exited(3)), memory: &memory{Epoch: 1}, want: "fail: exited with code 3 before it listened on port 3000"},
		{name: "unless it ended as if told to", container: testContainer(exited(143)), memory: &memory{Epoch: 1}, want: "pardon"},
		{name: "but only once", container: testContainer(exited(0)), memory: &memory{Epoch: 1, Pardoned: true}, want: "fail: exited with code 0 before it listened on port 3000"},
		{name: "and not for want of memory", container: testContainer(exited(137), func(c *container) { c.OOM = true }), memory: &memory{Epoch: 1}, want: "fail: was killed: out of memory"},
		{name: "one that we may not have seen is not", container: testContainer(exited(255)), memory: &memory{}, want: "start"},
		{name: "nor the end of one that was healthy", container: testContainer(promoted, exited(0)), memory: &healthy, want: "start"},
		{name: "what a probe found out is written down", container: testContainer(), memory: &memory{Doom: "GET / answered 500"}, want: "fail: GET / answered 500"},
		{name: "also without a container", memory: &memory{Doom: "no image"}, want: "fail: no image"},
		{name: "three deaths are forgiven", container: testContainer(promoted, state(runRestarting)), memory: &memory{Promoted: true, Deaths: deaths(3, time.Minute)}, want: ""},
		{name: "four are a loop", container: testContainer(promoted, state(runRestarting)), memory: &memory{Promoted: true, Deaths: deaths(4, time.Minute), ExitCode: 1}, want: "fail: crashed 4 times within 5 minutes; it last exited with code 1"},
		{name: "but not over a longer time", container: testContainer(promoted, state(runRestarting)), memory: &memory{Promoted: true, Deaths: deaths(4, time.Hour)}, want: ""},
		{name: "a failed instance is out of the route and stopped", container: testContainer(promoted), memory: &failure, targets: at, want: "route, stop"},
		{name: "then removed", container: testContainer(exited(1)), memory: &failure, want: "remove"},
		{name: "and never tried again", memory: &failure, want: ""},
		{name: "what left is out of the route first", unwanted: true, container: testContainer(promoted), memory: &healthy, targets: at, want: "route"},
		{name: "drains", unwanted: true, container: testContainer(promoted), memory: &memory{Draining: 1}, want: ""},
		{name: "stops", unwanted: true, container: testContainer(promoted), memory: &healthy, want: "stop"},
		{name: "is removed", unwanted: true, container: testContainer(promoted, exited(0)), memory: &healthy, want: "remove"},
		{name: "and forgotten", unwanted: true, memory: &healthy, want: "forget"},
		{name: "as is a container that we never knew", unwanted: true, container: testContainer(), memory: &memory{}, want: "stop"},
		{name: "and one that was only made", unwanted: true, container: testContainer(state(runCreated)), memory: &memory{}, want: "remove"},
		{name: "last goes the network", unwanted: true, want: "remove network"},
		{name: "without an assignment nothing is unwanted", unknown: true, unwanted: true, container: testContainer(), memory: &memory{}, want: ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := view{Known: !c.unknown, Network: true, Epoch: 1, Now: now(), Targets: c.targets,
				Wanted: map[string]protocol.Instance{}, Containers: map[string]container{}, Memory: map[string]memory{}}
			if !c.unwanted {
				v.Wanted["i"] = protocol.Instance{ID: "i", Once: c.once}
			}
			if !c.unrouted {
				v.Route = &protocol.Route{Targets: []string{"i"}}
			}
			if c.container != nil {
				v.Containers["i"] = *c.container
			}
			if c.memory != nil {
				v.Memory["i"] = *c.memory
			}
			if got := describe(plan(v)); got != c.want {
				t.Errorf("plan: %q, want %q", got, c.want)
			}
		})
	}
}

func describe(actions []action) string {
	var words []string
	for _, next := range actions {
		word := string(next.Kind)
		for _, target := range next.Targets {
			word += " " + target.Address
		}
		if next.Reason != "" {
			word += ": " + next.Reason
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestPlanKeepsInstancesApart(t *testing.T) {
	v := view{Known: true, Epoch: 1, Now: now(), Wanted: map[string]protocol.Instance{"b": {}, "c": {}},
		Memory:     map[string]memory{"b": {Busy: actProbe}},
		Containers: map[string]container{"a": {ID: "1", State: runRunning}, "b": {ID: "2", State: runRunning}}}
	if got := describe(plan(v)); got != "stop, pull" {
		t.Errorf("plan: %q", got)
	}
}

func TestTargetsKeepTheRoutesOrder(t *testing.T) {
	v := view{Known: true, Wanted: map[string]protocol.Instance{}, Containers: map[string]container{}, Memory: map[string]memory{}}
	v.Route = &protocol.Route{Targets: []string{"z", "a", "m"}}
	for i, id := range []string{"a", "m", "z"} {
		v.Wanted[id] = protocol.Instance{}
		v.Containers[id] = *testContainer(promoted, func(c *container) { c.Address = fmt.Sprint("10.0.0.", i) })
		v.Memory[id] = memory{Proven: started()}
	}
	want := []target{{"z", "10.0.0.2:3000", ""}, {"a", "10.0.0.0:3000", ""}, {"m", "10.0.0.1:3000", ""}}
	if got := routable(v); !reflect.DeepEqual(got, want) {
		t.Errorf("targets %v, want %v", got, want)
	}
}

func TestStates(t *testing.T) {
	cases := []struct {
		name      string
		unwanted  bool
		container *container
		memory    memory
		before    string
		want      string
	}{
		{name: "assigned", want: protocol.StateAssigned},
		{name: "pulling", memory: memory{Busy: actPull}, want: protocol.StatePulling},
		{name: "image there", memory: memory{Pulled: true}, want: protocol.StateStarting},
		{name: "running", container: testContainer(), want: protocol.StateStarting},
		{name: "proven but not marked", container: testContainer(), memory: memory{Proven: started()}, want: protocol.StateStarting},
		{name: "marked", container: testContainer(promoted), want: protocol.StateHealthy},
		{name: "never back", memory: memory{Pulled: true}, before: protocol.StateHealthy, want: protocol.StateHealthy},
		{name: "leaving", unwanted: true, container: testContainer(promoted), want: protocol.StateDraining},
		{name: "left", unwanted: true, container: testContainer(exited(0)), want: protocol.StateStopped},
		{name: "gone", unwanted: true, want: protocol.StateStopped},
		{name: "failed", memory: memory{Failure: &protocol.InstanceStatus{State: protocol.StateFailed}}, before: protocol.StateStopped, want: protocol.StateFailed},
	}
	for _, c := range cases {
		v := view{Wanted: map[string]protocol.Instance{}, Containers: map[string]container{}, Memory: map[string]memory{"i": c.memory}}
		if !c.unwanted {
			v.Wanted["i"] = protocol.Instance{}
		}
		if c.container != nil {
			v.Containers["i"] = *c.container
		}
		if got := v.stateOf("i", c.before); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestDeathsAreCountedFromDockersCount(t *testing.T) {
	m := &memory{}
	for _, restarts := range []int{2, 2, 3, 5, 0, 1} { // 2 were before us; 0: somebody restarted it
		m.count(container{Restarts: restarts}, now())
	}
	if len(m.Deaths) != 4 {
		t.Errorf("%d deaths, want 4", len(m.Deaths))
	}
	m.count(container{Restarts: 1}, now().Add(crashWindow+time.Second))
	if len(m.Deaths) != 0 {
		t.Errorf("%d deaths are remembered for too long", len(m.Deaths))
	}
}
