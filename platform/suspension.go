package platform

import (
	"context"
	"errors"
	"fmt"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

// suspendOrganisation marks the Organisation in a transaction, with its audit
// fact. What runs follows by enforceSuspensions.
func suspendOrganisation(ctx context.Context, tx *store.Store, actor models.Actor, id models.ID, suspend bool, reason string) error {
	_, err := tx.UpdateOrganisation(ctx, id, func(organisation *models.Organisation) error {
		organisation.Suspended, organisation.SuspendedReason = suspend, reason
		if !suspend {
			organisation.SuspendedReason = ""
		}
		return nil
	})
	if err != nil {
		return err
	}
	kind := "organisation.resume"
	if suspend {
		kind = "organisation.suspend"
	}
	event := fact{kind: kind, detail: reason, organisation: &id}.by(actor)
	return tx.AppendEvent(ctx, &event)
}

// enforceSuspensions stops the Apps of suspended Organisations and starts those
// of Organisations that no longer are. It only ever moves towards what the rows
// say, so that it can be repeated after any failure.
func (p *Platform) enforceSuspensions(ctx context.Context) error {
	stop, err := p.Store.AppsToSuspend(ctx)
	if err != nil {
		return err
	}
	resume, err := p.Store.AppsToResume(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, app := range stop {
		failures = append(failures, step("suspend "+app.Name, p.suspendApp(ctx, app)))
	}
	for _, app := range resume {
		failures = append(failures, step("resume "+app.Name, p.resumeApp(ctx, app)))
	}
	return errors.Join(failures...)
}

func step(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (p *Platform) suspendApp(ctx context.Context, app models.App) error {
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		app, err := p.Store.UpdateApp(ctx, app.ID, func(app *models.App) error {
			app.Suspended = app.Suspended || !app.Stopped
			return nil
		})
		if err != nil {
			return err
		}
		return p.dropInstances(ctx, app)
	})
}

// resumeApp runs the App again; that it does lifts its suspension, in the same
// transaction. One that its people stopped meanwhile stays stopped, and one that
// no longer comes up is left so: it would fail again.
func (p *Platform) resumeApp(ctx context.Context, app models.App) error {
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		if !app.Suspended { // another was quicker
			return nil
		}
		if app.Stopped || app.LiveReleaseID == nil {
			return p.lift(ctx, app, app.Stopped)
		}
		err := p.runAgain(ctx, app)
		if err == nil || p.stopping(err) {
			return err
		}
		return errors.Join(err, p.lift(ctx, app, true))
	})
}

// lift ends the suspension of an App that runs nothing.
func (p *Platform) lift(ctx context.Context, app models.App, stopped bool) error {
	_, err := p.Store.UpdateApp(ctx, app.ID, func(app *models.App) error {
		app.Suspended, app.Stopped = false, stopped
		return nil
	})
	return err
}

func (p *Platform) runAgain(ctx context.Context, app models.App) error {
	release, err := p.liveRelease(ctx, app)
	if err != nil {
		return err
	}
	return p.rollOut(ctx, app, release, quiet{})
}

// quiet is a log that nobody reads.
type quiet struct{}

// Say implements rollout.Log.
func (quiet) Say(string, ...any) {}

// Detail implements rollout.Log.
func (quiet) Detail(string) {}

var _ rollout.Log = quiet{}

// checkRuns refuses to run anything for an Organisation that is suspended.
func (p *Platform) checkRuns(ctx context.Context, app models.App) error {
	organisation, err := p.Store.Organisation(ctx, app.OrganisationID)
	if err != nil || !organisation.Suspended {
		return err
	}
	return models.Errorf(models.Conflict, "the organisation %s is suspended: %s", organisation.Name, organisation.SuspendedReason).
		WithRemedy("nothing is deleted; `sky billing show --org %s` says what is owed", organisation.Name)
}
