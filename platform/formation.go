package platform

import (
	"context"
	"maps"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

// inLane reads the App afresh, in its lane, and runs fn with it.
func (p *Platform) inLane(ctx context.Context, app models.App, fn func(context.Context, models.App) error) error {
	err := p.lanes.do(ctx, app.ID, func(ctx context.Context) error {
		current, err := p.Store.App(ctx, app.ID)
		if err != nil {
			return err
		}
		return fn(ctx, current)
	})
	return p.laneError(err)
}

// liveRelease returns the App's live Release; an App without one is a Conflict.
func (p *Platform) liveRelease(ctx context.Context, app models.App) (models.Release, error) {
	if app.LiveReleaseID == nil {
		return models.Release{}, models.Errorf(models.Conflict, "%s was never deployed", app.Name).
			WithRemedy("push its code first: git push sky %s", app.DeployBranch)
	}
	return p.Store.Release(ctx, *app.LiveReleaseID)
}

// Scale sets the counts of some process types and returns when they run. The
// other process types keep theirs. New Instances start beside the old ones;
// surplus ones are drained.
func (p *Platform) Scale(ctx context.Context, actor models.Actor, app models.App, wanted models.Formation, log rollout.Log) error {
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		release, err := p.liveRelease(ctx, app)
		if err != nil {
			return err
		}
		if err := rollout.CheckFormation(wanted, release.Processes); err != nil {
			return err
		}
		if err := p.checkScale(ctx, app, release, wanted); err != nil {
			return err
		}
		before := app.Formation
		app.Formation = maps.Clone(before)
		if app.Formation == nil {
			app.Formation = models.Formation{}
		}
		maps.Copy(app.Formation, wanted)
		if !app.Stopped && !app.Suspended {
			want := rollout.Want{App: app, Release: release, Formation: formation(app, release)}
			outcome, err := p.Roller.Roll(ctx, want, log)
			if err != nil {
				return err
			}
			tellOutcome(want, outcome, log)
		}
		return p.saveFormation(ctx, actor, app, wanted)
	})
}

// checkScale refuses more Instances than the App's plan allows.
func (p *Platform) checkScale(ctx context.Context, app models.App, release models.Release, wanted models.Formation) error {
	if app.PlanID == nil {
		return nil
	}
	plan, err := p.Store.Plan(ctx, *app.PlanID)
	if err != nil {
		return err
	}
	total := formation(app, release)
	maps.Copy(total, wanted)
	return checkInstances(plan, total)
}

func (p *Platform) saveFormation(ctx context.Context, actor models.Actor, app models.App, wanted models.Formation) error {
	ctx = context.WithoutCancel(ctx)
	return p.commit(ctx, actor, fact{kind: "app.scale", detail: counts(wanted), app: &app}, func(tx *store.Store) error {
		_, err := tx.UpdateApp(ctx, app.ID, func(stored *models.App) error {
			stored.Formation = app.Formation
			return nil
		})
		return err
	})
}

// Restart replaces every Instance by a fresh one of the same Release, without
// losing a request.
func (p *Platform) Restart(ctx context.Context, actor models.Actor, app models.App, log rollout.Log) error {
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		release, err := p.liveRelease(ctx, app)
		if err != nil {
			return err
		}
		if app.Stopped {
			return models.Errorf(models.Conflict, "%s is stopped", app.Name).WithRemedy("sky start -a %s", app.Name)
		}
		p.record(ctx, actor, fact{kind: "app.restart", detail: release.Name(), app: &app})
		return p.roll(ctx, rollout.Want{App: app, Release: release, Formation: formation(app, release), Fresh: true}, log)
	})
}

// StopApp drains and stops every Instance. The App keeps all that it has, and
// its route says that it is stopped. A push, a rollback or StartApp runs it
// again.
func (p *Platform) StopApp(ctx context.Context, actor models.Actor, app models.App, log rollout.Log) error {
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		if err := p.checkStoppable(ctx, app); err != nil {
			return err
		}
		err := p.commit(ctx, actor, fact{kind: "app.stop", app: &app}, func(tx *store.Store) error {
			var err error
			app, err = tx.UpdateApp(ctx, app.ID, func(stored *models.App) error {
				stored.Stopped = true
				return nil
			})
			return err
		})
		if err != nil {
			return err
		}
		if err := p.dropInstances(ctx, app); err != nil {
			return err
		}
		log.Say("%s", narrative.Field("Stopped", app.Name+"; start it with: sky start -a "+app.Name))
		return nil
	})
}

// checkStoppable refuses to stop what runs nothing. An App whose stop a crash
// interrupted is stopped again.
func (p *Platform) checkStoppable(ctx context.Context, app models.App) error {
	if _, err := p.liveRelease(ctx, app); err != nil {
		return err
	}
	instances, err := p.Store.Instances(ctx, app.ID)
	if err == nil && app.Stopped && len(instances) == 0 {
		return models.Errorf(models.Conflict, "%s is stopped already", app.Name).WithRemedy("sky start -a %s", app.Name)
	}
	return err
}

// StartApp runs a stopped App's live Release again.
func (p *Platform) StartApp(ctx context.Context, actor models.Actor, app models.App, log rollout.Log) error {
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		release, err := p.liveRelease(ctx, app)
		if err != nil {
			return err
		}
		if !app.Stopped {
			return models.Errorf(models.Conflict, "%s is not stopped", app.Name).
				WithRemedy("`sky restart -a %s` replaces what runs", app.Name)
		}
		p.record(ctx, actor, fact{kind: "app.start", detail: release.Name(), app: &app})
		return p.rollOut(ctx, app, release, log)
	})
}

// dropInstances removes every Instance of the App and waits, for a while, until
// its agents have nothing left of them.
func (p *Platform) dropInstances(ctx context.Context, app models.App) error {
	instances, err := p.Store.Instances(ctx, app.ID)
	if err != nil {
		return err
	}
	if err := p.change(ctx, rollout.Change{App: app.ID, Remove: instances, Rerouted: true}); err != nil {
		return err
	}
	const patience = 45 * time.Second // the drain limit, the stop grace, and some
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = p.Fleet.Wait(limited, func(view rollout.View) (bool, error) {
		for _, instance := range instances {
			if _, known := view.Instance(instance.ID); known && view.Online(instance.NodeID) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil && ctx.Err() == nil {
		p.Log.Warn("instances are still stopping", "app", app.Name)
		return nil
	}
	return err
}
