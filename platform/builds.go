package platform

import (
	"context"

	"github.com/skypanel/sky/models"
)

// Builds lists the App's Builds, the newest first; an empty state is any.
func (p *Platform) Builds(ctx context.Context, app models.App, state models.BuildState, page models.PageRequest) (models.Page[models.Build], error) {
	return p.Store.BuildPage(ctx, app.ID, state, page)
}

// BuildNumber returns the App's Build of this number; 0 means the newest.
func (p *Platform) BuildNumber(ctx context.Context, app models.App, number int) (models.Build, error) {
	if number == 0 {
		builds, err := p.Store.Builds(ctx, app.ID, 1)
		if err != nil {
			return models.Build{}, err
		}
		if len(builds) == 0 {
			return models.Build{}, models.Errorf(models.NotFound, "%s has no builds yet", app.Name).
				WithRemedy("push its code: git push sky %s", app.DeployBranch)
		}
		return builds[0], nil
	}
	build, err := p.Store.BuildByNumber(ctx, app.ID, number)
	if models.IsCode(err, models.NotFound) {
		return models.Build{}, models.Errorf(models.NotFound, "%s has no build #%d", app.Name, number).WithField("build").
			WithRemedy("`sky builds list` shows them")
	}
	return build, err
}

// CancelBuild stops a Build that waits or runs, with its rollout, and returns
// when it has stopped.
func (p *Platform) CancelBuild(ctx context.Context, actor models.Actor, app models.App, number int) (models.Build, error) {
	build, err := p.BuildNumber(ctx, app, number)
	if err != nil {
		return models.Build{}, err
	}
	w := p.lanes.find(app.ID, func(id models.ID) bool { return id == build.ID })
	if w == nil {
		return models.Build{}, models.Errorf(models.Conflict, "build #%d is not running: it is %s", build.Number, build.State).
			WithRemedy("`sky builds list` shows which runs")
	}
	p.cancelWork(build, w)
	select {
	case <-w.done:
	case <-ctx.Done():
		return models.Build{}, ctx.Err()
	}
	p.record(ctx, actor, fact{kind: "build.cancel", detail: keepName(build), app: &app})
	return p.Store.Build(ctx, build.ID)
}

// cancelWork ends a Build: at once where it waits, and else by its own means.
func (p *Platform) cancelWork(build models.Build, w *work) {
	if p.lanes.drop(build.AppID, w, errCancelled) {
		p.finishBuild(build, models.BuildCancelled, errCancelled)
		return
	}
	w.cancel(errCancelled)
}
