package platform

import (
	"context"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/terminal"
	"github.com/skypanel/sky/models"
)

// oneOffLimit is how long a one-off without a terminal may run.
const oneOffLimit = 24 * time.Hour

// Run runs a command by itself, as a one-off of the App's live Release, with person
// at its terminal. It ends with the terminal.
func (p *Platform) Run(ctx context.Context, actor models.Actor, app models.App, command Command, person Person) (terminal.Outcome, error) {
	leave, err := p.guests.sit(actor.UserID)
	if err != nil {
		return terminal.Outcome{}, err
	}
	defer leave()
	instance, err := p.beginOneOff(ctx, actor, app, models.Instance{Command: command.Arguments, Attended: true, TTY: command.TTY})
	if err != nil {
		return terminal.Outcome{}, err
	}
	defer func() { p.letGo(ctx, app, instance) }()
	if err := p.Roller.Created(ctx, instance); err != nil {
		return terminal.Outcome{}, err
	}
	command.Arguments = nil // the container has them
	return p.relay(ctx, instance, protocol.StreamAttach, command, person)
}

// StartRun starts a one-off that goes on by itself. What it prints is in the App's
// log.
func (p *Platform) StartRun(ctx context.Context, actor models.Actor, app models.App, arguments []string) (InstanceStatus, error) {
	instance, err := p.beginOneOff(ctx, actor, app, models.Instance{Command: arguments})
	if err != nil {
		return InstanceStatus{}, err
	}
	p.awaitOneOff(instance)
	status, err := p.Status(ctx, app)
	for _, running := range status.Instances {
		if running.ID == instance.ID {
			return running, nil
		}
	}
	return InstanceStatus{ID: instance.ID, Process: instance.Process, Ordinal: instance.Ordinal, State: models.InstanceStopped}, err // it has ended already
}

// EndRun stops a one-off, by its id or its name.
func (p *Platform) EndRun(ctx context.Context, actor models.Actor, app models.App, name string) error {
	instances, err := p.Store.Instances(ctx, app.ID)
	if err != nil {
		return err
	}
	asked := ExecAsked{Instance: name}
	for _, instance := range instances {
		if instance.OneOff() && asked.means(instance) {
			p.record(ctx, actor, fact{kind: "app.run.stop", detail: nameOf(instance), app: &app})
			return p.Roller.Forget(ctx, instance)
		}
	}
	return models.Errorf(models.NotFound, "%s has no one-off %q", app.Name, name).WithField("instance").
		WithRemedy("`sky ps -a %s` lists them, as run.1", app.Name)
}

// beginOneOff places a one-off of the live Release, where the App may have another.
func (p *Platform) beginOneOff(ctx context.Context, actor models.Actor, app models.App, wanted models.Instance) (models.Instance, error) {
	if err := CheckCommand(wanted.Command); err != nil {
		return models.Instance{}, err
	}
	release, err := p.liveRelease(ctx, app)
	if err != nil {
		return models.Instance{}, err
	}
	if err := p.deliver(ctx, &release); err != nil {
		return models.Instance{}, err
	}
	defer p.beginning.lock(app.ID)()
	if wanted.Ordinal, err = p.nextOneOff(ctx, app); err != nil {
		return models.Instance{}, err
	}
	wanted.ID, wanted.AppID, wanted.ReleaseID = models.NewID(), app.ID, release.ID
	wanted.Process, wanted.Once, wanted.CreatedAt = models.OneOffProcess, true, now()
	p.failures.first(wanted.ID.String()) // who runs it learns how it ended: it is nobody else's news
	instance, err := p.Roller.Place(ctx, wanted)
	if err != nil {
		return models.Instance{}, err
	}
	// A stop that came meanwhile may have missed it.
	if err := p.checkServes(ctx, app.ID); err != nil {
		p.letGo(ctx, app, instance)
		return models.Instance{}, err
	}
	p.record(ctx, actor, fact{kind: "app.run", detail: nameOf(instance) + ": " + audited(wanted.Command), app: &app})
	return instance, nil
}

// nextOneOff returns the ordinal of the App's next one-off, if it may have one.
func (p *Platform) nextOneOff(ctx context.Context, app models.App) (int, error) {
	instances, err := p.Store.Instances(ctx, app.ID)
	if err != nil {
		return 0, err
	}
	taken := map[int]bool{}
	for _, instance := range instances {
		if instance.OneOff() {
			taken[instance.Ordinal] = true
		}
	}
	if len(taken) >= maxOneOffs {
		return 0, models.Errorf(models.TooMany, "%s runs %d one-offs, which is the most", app.Name, maxOneOffs).
			WithRemedy("wait for one to end, or end one: `sky ps -a %s` lists them, `sky ps stop -a %s run.1` ends one", app.Name, app.Name)
	}
	ordinal := 1
	for taken[ordinal] {
		ordinal++
	}
	return ordinal, nil
}

// checkServes refuses what needs an App that runs.
func (p *Platform) checkServes(ctx context.Context, id models.ID) error {
	app, err := p.Store.App(ctx, id)
	if err != nil {
		return err
	}
	if app.Stopped {
		return models.Errorf(models.Conflict, "%s is stopped", app.Name).WithRemedy("sky start -a %s", app.Name)
	}
	return p.checkRuns(ctx, app)
}

// letGo has a one-off stopped, whatever became of who wanted it.
func (p *Platform) letGo(ctx context.Context, app models.App, instance models.Instance) {
	p.warn("let go of a one-off", app, p.Roller.Forget(context.WithoutCancel(ctx), instance))
}

// awaitOneOff lets go of a one-off once it has ended, or has run for too long.
func (p *Platform) awaitOneOff(instance models.Instance) {
	p.guests.await(p.ctx, instance.ID, func(ctx context.Context) {
		err := p.Roller.Ended(ctx, instance, time.Until(instance.CreatedAt.Add(oneOffLimit)))
		if ctx.Err() != nil { // somebody let go of it, or the next Start goes on
			return
		}
		app, findErr := p.Store.App(ctx, instance.AppID)
		if findErr != nil {
			p.Log.Warn("a one-off ended", "instance", instance.ID, "error", findErr)
			return
		}
		p.letGo(ctx, app, instance)
		if err != nil {
			p.record(ctx, models.Actor{Name: "sky"}, fact{kind: "app.run.failed", detail: nameOf(instance) + ": " + told(err), app: &app})
		}
	})
}

// recoverOneOffs goes on with the one-offs of a former process. Those that had a
// terminal have lost it.
func (p *Platform) recoverOneOffs(ctx context.Context) error {
	instances, err := p.Store.OneOffs(ctx)
	if err != nil {
		return err
	}
	for _, instance := range instances {
		p.failures.first(instance.ID.String())
		if !instance.Attended {
			p.awaitOneOff(instance)
			continue
		}
		if err := p.Roller.Forget(ctx, instance); err != nil {
			return err
		}
	}
	return nil
}
