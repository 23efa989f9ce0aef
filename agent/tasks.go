package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skypanel/sky/agent/ingress"
	"github.com/skypanel/sky/agent/protocol"
)

const (
	// attemptLimit is how often an Instance is tried to be brought up.
	attemptLimit = 5
	firstRetry   = 250 * time.Millisecond
	lastRetry    = 30 * time.Second
	tailLines    = 20
	pardonPause  = 2 * time.Second
	tailWidth    = 1024
	// drainLimit is for Instances without one.
	drainLimit = 30 * time.Second
)

// outcome is what a task changes in what is known of its Instance.
type outcome func(*memory)

// begin starts an action as a task of its own. Its outcome comes by mail.
func (a *app) begin(ctx context.Context, next action) {
	if next.Kind == actRemoveNetwork {
		a.removeNetwork(ctx)
		return
	}
	m := a.remember(next.Instance)
	m.Busy = next.Kind
	spec, epoch := m.Spec, int(a.agent.epoch.Load())
	ctx, cancel := context.WithCancel(ctx)
	if next.Kind == actPull || next.Kind == actProbe || next.Kind == actPardon {
		a.cancels[next.Instance] = cancel
	}
	task := a.task(next, spec, epoch)
	a.agent.tasks.Go(func() {
		defer cancel()
		done, err := task(ctx)
		a.mail.Tell(func() { a.end(ctx, next, done, err) })
	})
}

// task is one action ready to run. It blocks, and touches nothing of the app.
func (a *app) task(next action, spec protocol.Instance, epoch int) func(context.Context) (outcome, error) {
	engine, c := a.agent.engine, next.Container
	switch next.Kind {
	case actPull:
		return func(ctx context.Context) (outcome, error) {
			return func(m *memory) { m.Pulled = true }, engine.Pull(ctx, spec)
		}
	case actCreate:
		return func(ctx context.Context) (outcome, error) {
			_, err := engine.Create(ctx, spec)
			return nil, err
		}
	case actStart:
		return func(ctx context.Context) (outcome, error) {
			return func(m *memory) { m.Epoch = epoch }, engine.Start(ctx, c.ID)
		}
	case actAdopt:
		return func(context.Context) (outcome, error) {
			return func(m *memory) { m.Promoted, m.Proven, m.Pulled = true, c.StartedAt, true }, nil
		}
	case actProbe:
		return a.probing(c, spec)
	case actPromote:
		return func(ctx context.Context) (outcome, error) {
			return func(m *memory) { m.Promoted = true }, engine.Promote(ctx, c.ID)
		}
	case actPardon:
		return pardon
	case actFail, actFinish:
		return a.concluding(next, spec)
	case actStop:
		return func(ctx context.Context) (outcome, error) { return nil, engine.Stop(ctx, c.ID) }
	}
	return a.removing(next)
}

func (a *app) probing(c container, spec protocol.Instance) func(context.Context) (outcome, error) {
	p := probe{engine: a.agent.engine, client: a.agent.probes, instance: spec, patient: c.Promoted}
	if a.want.route != nil && len(a.want.route.Hosts) > 0 {
		p.host = a.want.route.Hosts[0]
	}
	last := ""
	p.note = func(reason string) {
		if reason != last {
			last = reason
			a.mail.Tell(func() { a.remember(spec.ID).Reason = reason })
		}
	}
	return func(ctx context.Context) (outcome, error) {
		healthy, err := p.wait(ctx, c.ID)
		if errors.Is(err, errEnded) {
			return nil, nil
		}
		return func(m *memory) { m.Proven, m.Reason = healthy.StartedAt, "" }, err
	}
}

func (a *app) removing(next action) func(context.Context) (outcome, error) {
	shipper := a.shippers[next.Instance]
	return func(ctx context.Context) (outcome, error) {
		if shipper != nil {
			shipper.Finish(ctx)
		}
		return nil, a.agent.engine.Remove(ctx, next.Container.ID)
	}
}

// end takes a task's outcome in, or sees what its failure means.
func (a *app) end(ctx context.Context, next action, done outcome, err error) {
	m := a.remember(next.Instance)
	m.Busy = ""
	delete(a.cancels, next.Instance)
	if err == nil {
		m.Attempts, m.RetryAt = 0, time.Time{}
		if done != nil {
			done(m)
		}
		return
	}
	a.agent.logger.Warn("step failed", "app", m.Spec.App, "instance", next.Instance, "step", next.Kind, "error", err)
	bringsUp := next.Kind == actPull || next.Kind == actCreate || next.Kind == actStart
	switch {
	case errors.Is(err, context.Canceled):
	case errors.Is(err, errUnhealthy):
		m.Doom = strings.TrimPrefix(err.Error(), errUnhealthy.Error()+": ")
	case errors.Is(err, errAway):
		a.retry(m)
	case errors.Is(err, errGone) && !bringsUp: // plan makes another
	case bringsUp && (errors.Is(err, errRefused) || m.Attempts+1 >= attemptLimit):
		m.Doom = startReason(next.Kind, m.Spec, err)
	default:
		m.Pulled = m.Pulled && !errors.Is(err, errGone)
		a.retry(m)
	}
}

// retry has the Instance's next step wait, longer each time.
func (a *app) retry(m *memory) {
	pause := min(firstRetry<<min(m.Attempts, 10), lastRetry)
	m.Attempts++
	m.RetryAt = time.Now().Add(pause)
	time.AfterFunc(pause+time.Millisecond, a.mail.Poke)
}

// startReason says to a developer why the engine could not bring it up.
func startReason(step actionKind, spec protocol.Instance, err error) string {
	if strings.Contains(err.Error(), "executable file not found") && len(spec.Command) > 0 {
		return missingReason(spec.Command[0])
	}
	if errors.Is(err, errNoImage) {
		return goneReason
	}
	if step == actPull || errors.Is(err, errGone) {
		return fmt.Sprintf("its image %s could not be fetched: %v", spec.Image, err)
	}
	return fmt.Sprintf("could not be started: %v", err)
}

// concluding writes down how an Instance ended. Who waits for one that runs once
// reads its log: that is kept before its end is told.
func (a *app) concluding(next action, spec protocol.Instance) func(context.Context) (outcome, error) {
	shipper := a.shippers[next.Instance]
	return func(ctx context.Context) (outcome, error) {
		if spec.Once && shipper != nil {
			shipper.Finish(ctx)
		}
		return a.conclude(ctx, next)
	}
}

// conclude writes down durably that an Instance ended for good, and why. What is
// left of it is cleared afterwards.
func (a *app) conclude(ctx context.Context, next action) (outcome, error) {
	c := next.Container
	failure := protocol.InstanceStatus{
		ID: next.Instance, AppID: a.id, State: protocol.StateFailed, Container: c.ID, ImageID: c.ImageID,
		Since: time.Now().UTC(), Restarts: c.Restarts, Reason: next.Reason,
	}
	if next.Kind == actFinish {
		failure.State = protocol.StateStopped
	}
	if c.ID != "" {
		c = a.lastWords(ctx, c)
		failure.OOM = c.OOM
		if c.State != runRunning && c.State != runCreated {
			failure.ExitCode = &c.ExitCode
		}
		if c.OOM && strings.HasPrefix(failure.Reason, "exited with code") {
			failure.Reason = outOfMemory(c)
		}
		if next.Kind == actFail && !c.Attended {
			failure.Tail = a.tail(ctx, c.ID)
		}
		if command, missing := missingCommand(failure.Tail); missing {
			failure.Reason = missingReason(command)
		}
	}
	if err := a.agent.saveFailure(failure); err != nil {
		return nil, err
	}
	return func(m *memory) { m.Failure = &failure }, nil
}

// pardon waits until an engine that ends has ended, and has the container
// start again, once.
func pardon(ctx context.Context) (outcome, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(pardonPause):
		return func(m *memory) { m.Pardoned, m.Epoch = true, 0 }, nil
	}
}

// lastWords reads the container once more. Docker hears of a kill for want of
// memory a moment after the end itself.
func (a *app) lastWords(ctx context.Context, c container) container {
	const killed = 137
	for range 10 {
		latest, err := a.agent.engine.Inspect(ctx, c.ID)
		if err != nil {
			return c
		}
		c = latest
		if c.State == runRunning || c.ExitCode != killed || c.OOM {
			return c
		}
		select {
		case <-ctx.Done():
			return c
		case <-time.After(50 * time.Millisecond):
		}
	}
	return c
}

// tail returns the last lines of a log, for the report of a failure.
func (a *app) tail(ctx context.Context, id string) []string {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	var lines []string
	err := a.agent.engine.Log(ctx, id, logQuery{Tail: tailLines}, func(line protocol.LogLine) error {
		lines = append(lines, strings.ToValidUTF8(line.Text[:min(len(line.Text), tailWidth)], ""))
		return nil
	})
	if err != nil {
		a.agent.logger.Warn("log tail not read", "container", id, "error", err)
	}
	return lines[max(0, len(lines)-tailLines):]
}

// drain waits, beside everything else, for the requests of targets that left
// the route.
func (a *app) drain(ctx context.Context, targets []*ingress.Target) {
	for _, target := range targets {
		if target.Node != "" { // that Node drains it
			continue
		}
		m := a.remember(target.ID)
		m.Draining++
		limit := m.Spec.DrainLimit
		if limit <= 0 {
			limit = drainLimit
		}
		a.agent.tasks.Go(func() {
			cut := target.Drain(ctx, limit)
			a.mail.Tell(func() {
				m := a.remember(target.ID)
				m.Draining, m.Cut = m.Draining-1, m.Cut+cut
			})
		})
	}
}

// removeNetwork is done in the App's own time: nothing else is left to do.
func (a *app) removeNetwork(ctx context.Context) {
	if err := a.agent.engine.RemoveNetwork(ctx, a.id); err != nil {
		a.agent.logger.Warn("network not removed", "app", a.id, "error", err)
		time.AfterFunc(lookAgain, a.mail.Poke)
		return
	}
	a.network = false
}
