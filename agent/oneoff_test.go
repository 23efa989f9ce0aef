package agent

import (
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/terminal"
)

// attended is a one-off with a terminal.
func (r *rig) attended(tty bool, arguments ...string) protocol.Instance {
	return r.instance("run", func(i *protocol.Instance) {
		i.Process, i.Port, i.Once, i.OneOff, i.Attended, i.TTY = "run", 0, true, true, true, tty
		i.Command = append([]string{"/testapp"}, arguments...)
	})
}

// attach waits for its container, and sits down at it.
func (r *rig) attach(instance protocol.Instance, tty bool) *person {
	r.t.Helper()
	r.Wait("its container is there", func(observed protocol.Observed) bool {
		for _, status := range observed.Instances {
			if status.ID == instance.ID && status.Container != "" {
				return true
			}
		}
		return false
	})
	return r.sit(protocol.StreamHeader{
		Kind: protocol.StreamAttach, Instance: instance.ID, AppID: instance.AppID,
		Command: &protocol.Command{TTY: tty, Size: terminal.Size{Rows: 33, Columns: 101}},
	})
}

func TestAOneOffBeginsWithItsTerminal(t *testing.T) {
	r := newRig(t)
	cat := r.attended(false, "cat")
	r.Assign([]protocol.Instance{cat})
	p := r.attach(cat, false)
	p.until("it runs", func() bool { return p.started })
	if status := r.State(cat.ID, protocol.StateHealthy); status.Reason != "" {
		t.Errorf("reason %q", status.Reason)
	}
	p.send(terminal.Stdin, "over\x00there")
	p.send(terminal.StdinEnd, "")
	if outcome := p.end(); outcome != (terminal.Outcome{}) || p.out.String() != "over\x00there" {
		t.Errorf("%+v, %q", outcome, p.out.String())
	}
	r.State(cat.ID, protocol.StateStopped)
	both := r.attended(false, "both")
	r.Assign([]protocol.Instance{cat, both})
	if outcome := r.attach(both, false).end(); outcome.Code != 7 {
		t.Errorf("%+v", outcome)
	}
	if status := r.State(both.ID, protocol.StateFailed); status.ExitCode == nil || *status.ExitCode != 7 {
		t.Errorf("%+v", status)
	}
	if lines := append(r.Lines(cat.ID), r.Lines(both.ID)...); len(lines) > 0 {
		t.Errorf("what passed through a terminal was logged: %v", lines)
	}
}

func TestAOneOffEndsWithItsTerminal(t *testing.T) {
	r := newRig(t)
	window := r.attended(true, "size")
	r.Assign([]protocol.Instance{window})
	p := r.attach(window, true)
	p.says("33x101\r\n")
	p.send(terminal.Resize, `{"rows": 50, "cols": 132}`)
	p.says("50x132\r\n")
	p.stream.Abort()
	r.State(window.ID, protocol.StateFailed)
	caught := r.attended(false, "signal")
	r.Assign([]protocol.Instance{caught})
	p = r.attach(caught, false)
	p.says("ready")
	p.send(terminal.Signal, "INT")
	if outcome := p.end(); outcome.Code != 9 {
		t.Errorf("%+v, %s", outcome, p.out.String())
	}
	left := r.attended(false, "deaf")
	r.Assign([]protocol.Instance{left})
	p = r.attach(left, false)
	p.until("it runs", func() bool { return p.started })
	r.stop() // and with its agent
	r.start()
	r.State(left.ID, protocol.StateFailed)
}

func TestAOneOffWaitsForItsTerminalAndNoLonger(t *testing.T) {
	now := time.Now()
	spec := protocol.Instance{ID: "i", Once: true, OneOff: true, Attended: true}
	for name, c := range map[string]struct {
		state    runState
		age      time.Duration
		attached bool
		want     actionKind
	}{
		"waits":                {runCreated, time.Second, false, ""},
		"its terminal came":    {runCreated, time.Hour, true, ""},
		"nobody came":          {runCreated, attendLimit + time.Second, false, actFail},
		"runs":                 {runRunning, time.Hour, true, ""},
		"has lost it":          {runRunning, time.Second, false, actStop},
		"ended with its own 0": {runExited, time.Second, true, actFinish},
	} {
		v := view{
			Known: true, Wanted: map[string]protocol.Instance{"i": spec}, Now: now,
			Containers: map[string]container{"i": {ID: "c", Instance: "i", State: c.state, Attended: true, CreatedAt: now.Add(-c.age)}},
			Memory:     map[string]memory{"i": {Spec: spec, Pulled: true, Attached: c.attached}},
		}
		var got actionKind
		for _, next := range plan(v) {
			got = next.Kind
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
