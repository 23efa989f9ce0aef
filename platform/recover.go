package platform

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
)

// recover takes up what a former process left: refs that do not say what is
// live, Builds that wait or ran, Deployments that were rolling, Apps that run too
// much or too little.
func (p *Platform) recover(ctx context.Context) error {
	if err := p.forgetLinks(ctx); err != nil {
		return err
	}
	builds, err := p.interrupted(ctx)
	if err != nil {
		return err
	}
	if err := p.alignRefs(ctx); err != nil {
		return err
	}
	for _, build := range builds {
		p.buildLog(build).Say("%s", narrative.Field("Resume", "Sky was restarted; the deployment goes on"))
		p.enqueue(build)
	}
	return p.straightenAll(ctx)
}

// interrupted lists the Builds to resume: unfinished ones, and those whose
// Release was rolling. Other Deployments that were rolling, of config changes
// and rollbacks, have nobody waiting for them: they fail, and what they had
// started goes.
func (p *Platform) interrupted(ctx context.Context) ([]models.Build, error) {
	builds, err := p.Store.UnfinishedBuilds(ctx)
	if err != nil {
		return nil, err
	}
	deployments, err := p.Store.UnfinishedDeployments(ctx)
	if err != nil {
		return nil, err
	}
	for _, deployment := range deployments {
		build, err := p.interruptedDeployment(ctx, deployment)
		if err != nil {
			return nil, err
		}
		if build != nil {
			builds = append(builds, *build)
		}
	}
	return builds, nil
}

// interruptedReason is why a Deployment failed that a former process began.
const interruptedReason = "sky was restarted meanwhile"

func (p *Platform) interruptedDeployment(ctx context.Context, deployment models.Deployment) (*models.Build, error) {
	release, err := p.Store.Release(ctx, deployment.ReleaseID)
	if err != nil {
		return nil, err
	}
	app, err := p.Store.App(ctx, deployment.AppID)
	if err != nil {
		return nil, err
	}
	if app.LiveReleaseID != nil && *app.LiveReleaseID == release.ID { // it had switched already
		if release.BuildID != nil { // who waits for its git host's word does so still
			if err := p.askFor(ctx, taskReport, about{ID: *release.BuildID}); err != nil {
				return nil, err
			}
		}
		return nil, p.concludeLive(ctx, deployment)
	}
	if release.BuildID == nil {
		deployment.Error = interruptedReason
		p.abandon(ctx, rollout.Want{App: app, Release: release})
		return nil, p.moveDeployment(ctx, &deployment, models.DeploymentFailed)
	}
	// It stays as it is until the next attempt begins: a second crash before that
	// must find it again.
	build, err := p.Store.Build(ctx, *release.BuildID)
	if err != nil {
		return nil, fmt.Errorf("build of the interrupted deployment: %w", err)
	}
	return &build, nil
}

// alignRefs makes every deploy branch say what is live: a process that died
// between the switch and the ref could not.
func (p *Platform) alignRefs(ctx context.Context) error {
	apps, err := p.Store.AllApps(ctx)
	if err != nil {
		return err
	}
	for _, app := range apps {
		if app.LiveReleaseID == nil {
			continue
		}
		release, err := p.Store.Release(ctx, *app.LiveReleaseID)
		if err != nil {
			return err
		}
		p.warn("align deploy branch", app, p.alignRef(ctx, app, release))
	}
	return nil
}

// straightenAll has every App that was ever live looked after, behind the Builds
// that are resumed.
func (p *Platform) straightenAll(ctx context.Context) error {
	apps, err := p.Store.AllApps(ctx)
	for _, app := range apps {
		if app.LiveReleaseID != nil {
			p.behind(app.ID, p.straighten)
		}
	}
	return err
}

// straighten has an App run what it is to, where a former process was killed while
// it scaled, restarted, moved or stopped it: nobody waits for that any more.
func (p *Platform) straighten(ctx context.Context, id models.ID) error {
	app, err := p.Store.App(ctx, id)
	if err != nil {
		return err
	}
	instances, err := p.Store.Instances(ctx, id)
	if err != nil {
		return err
	}
	if app.Stopped || app.Suspended {
		if len(instances) == 0 {
			return nil
		}
		return p.dropInstances(ctx, app)
	}
	release, err := p.Store.Release(ctx, *app.LiveReleaseID)
	if err != nil {
		return err
	}
	want := rollout.Want{App: app, Release: release, Formation: formation(app, release)}
	if want.Met(instances) {
		return nil
	}
	return p.straightenTo(ctx, want, instances)
}

// straightenTo lets commands end that the live Release began, before it rolls out.
func (p *Platform) straightenTo(ctx context.Context, want rollout.Want, instances []models.Instance) error {
	p.Log.Info("an app does not run what it is to since sky ended", "app", want.App.Name)
	for _, instance := range instances {
		if instance.Once && !instance.OneOff() && instance.ReleaseID == want.Release.ID {
			p.warn("a command of a former process", want.App, p.Roller.Ended(ctx, instance, commandLimit))
		}
	}
	if err := p.deliver(ctx, &want.Release); err != nil {
		return err
	}
	_, err := p.Roller.Roll(ctx, want, quiet{})
	return err
}

// forgetLinks marks every node offline: no agent is linked to this process yet.
// That is nobody's news, and gives each the full time to come back.
func (p *Platform) forgetLinks(ctx context.Context) error {
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if _, err := p.Store.NodeOffline(ctx, node.ID, now()); err != nil {
			return err
		}
	}
	return nil
}
