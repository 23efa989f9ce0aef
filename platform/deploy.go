package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skypanel/sky/internal/diskspace"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

// deploy carries a Build through to a live Release. It runs in the App's lane.
func (p *Platform) deploy(ctx context.Context, build models.Build) error {
	started := time.Now()
	err := p.deploySteps(ctx, &build, started)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(ctx) // who ended it, rather than what it was doing
	}
	if p.stopping(err) {
		p.buildLog(build).Say("%s", narrative.Field("Stop", "Sky is stopping; this goes on when it is back"))
		return err
	}
	state := models.BuildFailed
	switch {
	case err == nil:
		state = models.BuildSucceeded
	case errors.Is(err, errCancelled):
		state = models.BuildCancelled
	}
	p.finishBuild(build, state, err)
	p.tidy(build.AppID)
	return err
}

// failPending fails the Deployment of a Build that was stopped before its
// rollout began, or began again after a crash, and lets go of what that had
// started: the next start would take it up.
func (p *Platform) failPending(build models.Build, why error) {
	ctx := context.WithoutCancel(p.ctx)
	release, err := p.Store.ReleaseOfBuild(ctx, build.ID)
	if err != nil {
		return // none was made
	}
	deployment, err := p.Store.DeploymentOf(ctx, release.ID)
	if err == nil && deployment.State.Ended() {
		return
	}
	app, appErr := p.Store.App(ctx, build.AppID)
	if err = errors.Join(err, appErr); err == nil {
		p.abandon(ctx, rollout.Want{App: app, Release: release})
		deployment.Error = why.Error()
		err = p.moveDeployment(ctx, &deployment, models.DeploymentFailed)
	}
	if err != nil {
		p.Log.Error("fail deployment", "build", build.ID, "error", err)
	}
}

// tidy puts the housekeeping after a build behind what the App's lane has, where
// nobody waits for it. Images are looked at once more when the packages are listed:
// that had held one.
func (p *Platform) tidy(app models.ID) {
	p.behind(app, p.Repositories.ConsolidateIfDue, p.retainImages)
	p.lanes.beside(func(ctx context.Context) {
		if err := p.keepSBOM(ctx, app); err != nil && !p.stopping(err) && !models.IsCode(err, models.NotFound) {
			p.Log.Warn("list packages", "app", app, "error", err)
		}
		p.behind(app, p.retainImages)
	})
}

// behind does chores for an App behind what its lane has.
func (p *Platform) behind(app models.ID, chores ...func(context.Context, models.ID) error) {
	p.lanes.enter(app, &work{run: func(ctx context.Context) error {
		var failures []error
		for _, chore := range chores {
			failures = append(failures, chore(ctx, app))
		}
		err := errors.Join(failures...)
		if err != nil && !p.stopping(err) && !models.IsCode(err, models.NotFound) {
			p.Log.Warn("tidy up", "app", app, "error", err)
		}
		return err
	}})
}

func (p *Platform) deploySteps(ctx context.Context, build *models.Build, started time.Time) error {
	app, err := p.Store.App(ctx, build.AppID)
	if err != nil {
		return err
	}
	log := p.buildLog(*build)
	if build.SourceImage == "" {
		if err := p.checkFastForward(ctx, app, build); err != nil {
			return err
		}
		log.Say("%s", narrative.Field("Push", fmt.Sprintf("%s %q to %s", short(build.Commit), build.Subject, app.Name)))
	}
	release, err := p.buildRelease(ctx, app, build, log)
	if err != nil {
		return err
	}
	log.Say("%s", narrative.Field("Release", release.Name()))
	if app, err = p.Store.App(ctx, build.AppID); err != nil { // app.json may have set its formation
		return err
	}
	if err := p.rollOut(ctx, app, release, log); err != nil {
		return err
	}
	if err := p.moveRefs(ctx, app, build); err != nil {
		return err
	}
	p.afterDeployment(ctx, app, release, log)
	log.Say("")
	log.Say("%s", narrative.Timed("Live", p.Settings.URL(app.Name), time.Since(started)))
	return nil
}

// stillAllowed refuses to go live for a pusher who may no longer deploy: whose
// SSH key, API token, account or role was taken away while the build waited and
// ran.
func (p *Platform) stillAllowed(ctx context.Context, app models.App, build models.Build) error {
	actor, err := p.pusher(ctx, build)
	if models.IsCode(err, models.Unauthorized) {
		return models.Errorf(models.Forbidden, "the key, the token or the account that pushed this was removed meanwhile")
	}
	if err != nil {
		return err
	}
	err = p.permit(ctx, actor, models.AppDeploy, app.OrganisationID)
	if models.IsCode(err, models.NotFound) || models.IsCode(err, models.Forbidden) {
		return models.Errorf(models.Forbidden, "%s may no longer deploy %s", actor.Name, app.Name)
	}
	return err
}

// pusher returns who pushed a Build, by what they proved themselves with then;
// Unauthorized when that is good no more. A browser session may have ended since.
func (p *Platform) pusher(ctx context.Context, build models.Build) (models.Actor, error) {
	if build.TokenID != nil {
		return p.Renewed(ctx, models.Actor{TokenID: build.TokenID})
	}
	if fingerprint, isKey := strings.CutPrefix(build.Via, viaKey); isKey {
		return p.ActorByKey(ctx, fingerprint)
	}
	actor, err := p.actor(ctx, build.ActorID, build.Via)
	actor.Scopes = models.AllScopes()
	return actor, err
}

// checkFastForward refuses a push that was made before another one went live,
// unless it builds on that one, or a git host's branch decides. It writes the ref's present value into the
// update, which is then compared when the ref moves.
func (p *Platform) checkFastForward(ctx context.Context, app models.App, build *models.Build) error {
	current, err := p.Repositories.Ref(ctx, app.ID, build.Ref)
	if err != nil {
		return fmt.Errorf("read %s: %w", build.Ref, err)
	}
	for i := range build.Updates {
		update := &build.Updates[i]
		if update.Name != build.Ref || update.Old == current {
			continue
		}
		follows := build.Hosted
		if !follows {
			if follows, err = p.Repositories.IsAncestor(ctx, app.ID, current, build.Commit); err != nil {
				return fmt.Errorf("compare with what is live: %w", err)
			}
		}
		if !follows {
			return models.Errorf(models.Conflict, "fetch first: another push went live meanwhile").
				WithRemedy("git pull --rebase sky %s, then push again", app.DeployBranch)
		}
		update.Old = current
	}
	return nil
}

// buildRelease builds the commit, unless a former process did so already, and
// makes the result a Release, in one transaction with the Build's success.
func (p *Platform) buildRelease(ctx context.Context, app models.App, build *models.Build, log *buildLog) (models.Release, error) {
	if build.State == models.BuildSucceeded {
		return p.Store.ReleaseOfBuild(ctx, build.ID)
	}
	if build.State == models.BuildQueued {
		if err := build.Move(models.BuildRunning, now()); err != nil {
			return models.Release{}, err
		}
		if err := p.Store.SaveBuild(ctx, build); err != nil {
			return models.Release{}, err
		}
	}
	result, err := p.build(ctx, app, *build, log)
	if err != nil {
		return models.Release{}, err
	}
	if err := p.stillAllowed(ctx, app, *build); err != nil {
		return models.Release{}, err
	}
	build.Runtime, build.Dockerfile, build.Image = result.Runtime, result.Dockerfile, result.Image
	build.Inputs, build.Steps = result.Inputs, result.Steps
	build.Manifest, build.Builder = result.Manifest, result.Builder
	if build.SourceImage == "" {
		build.Fingerprint = build.Inputs.Fingerprint()
	}
	build.RuntimeType, build.RuntimeVersion = result.RuntimeType, result.RuntimeVersion
	build.Processes, build.Scripts = result.Plan.Processes, result.Plan.Scripts
	build.Port, build.HealthPath = result.Plan.Port, result.Plan.HealthPath
	if err := build.Move(models.BuildSucceeded, now()); err != nil {
		return models.Release{}, err
	}
	release := models.Release{
		AppID: app.ID, BuildID: &build.ID, Commit: build.Commit, Image: build.Image, Manifest: build.Manifest, Processes: build.Processes,
		Scripts: build.Scripts, Port: build.Port, HealthPath: build.HealthPath, ActorID: build.ActorID, Description: strings.TrimSpace("Deploy " + short(build.Commit) + " " + build.Subject),
	}
	err = p.newRelease(ctx, &release, origin{beside: func(ctx context.Context, tx transaction) error {
		return tx.SaveBuild(ctx, build)
	}})
	return release, err
}

// rollOut makes release the live one and owns the Deployment's status. The App's
// process types that it was not told to scale run once if they are web, else not
// at all.
func (p *Platform) rollOut(ctx context.Context, app models.App, release models.Release, log rollout.Log) error {
	return p.roll(ctx, rollout.Want{App: app, Release: release, Formation: formation(app, release)}, log)
}

func (p *Platform) roll(ctx context.Context, want rollout.Want, log rollout.Log) error {
	if err := p.checkRuns(ctx, want.App); err != nil {
		return err
	}
	deployment, err := p.pendingDeployment(ctx, want)
	if err != nil {
		return err
	}
	outcome, err := p.rollingOut(ctx, want, &deployment, log)
	if p.stopping(err) {
		return err
	}
	after := context.WithoutCancel(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
			p.abandon(after, want)
		}
		deployment.Error = narrative.Clean(err.Error())
		return errors.Join(err, p.moveDeployment(after, &deployment, models.DeploymentFailed))
	}
	deployment.Probes, deployment.ProbesFailed = outcome.Proof.Requests, outcome.Proof.Failed
	tellOutcome(want, outcome, log)
	return p.moveDeployment(after, &deployment, models.DeploymentLive)
}

// rollingOut runs the Release's command, where that is due, and then moves the
// App to the Release.
func (p *Platform) rollingOut(ctx context.Context, want rollout.Want, deployment *models.Deployment, log rollout.Log) (rollout.Outcome, error) {
	if err := p.deliver(ctx, &want.Release); err != nil {
		return rollout.Outcome{}, err
	}
	if err := p.releasePhase(ctx, want, deployment, log); err != nil {
		return rollout.Outcome{}, err
	}
	if err := p.moveDeployment(ctx, deployment, models.DeploymentRolling); err != nil {
		return rollout.Outcome{}, err
	}
	return p.Roller.Roll(ctx, want, log)
}

// pendingDeployment returns the Deployment that was made with the Release, or,
// when that has ended, another.
func (p *Platform) pendingDeployment(ctx context.Context, want rollout.Want) (models.Deployment, error) {
	deployment, err := p.Store.DeploymentOf(ctx, want.Release.ID)
	if err == nil && (deployment.State == models.DeploymentPending || deployment.State == models.DeploymentReleasing) {
		deployment.PreviousID = want.App.LiveReleaseID
		return deployment, nil
	}
	if err != nil && !models.IsCode(err, models.NotFound) {
		return models.Deployment{}, err
	}
	former := deployment
	deployment = models.Deployment{
		ID: models.NewID(), AppID: want.App.ID, ReleaseID: want.Release.ID, PreviousID: want.App.LiveReleaseID,
		State: models.DeploymentPending, Released: former.Released, CreatedAt: now(),
	}
	return deployment, p.Store.Transact(ctx, func(tx *store.Store) error {
		return errors.Join(endInterrupted(ctx, tx, former), tx.CreateDeployment(ctx, &deployment))
	})
}

// endInterrupted fails the Deployment that a former process was killed in.
func endInterrupted(ctx context.Context, tx *store.Store, former models.Deployment) error {
	if former.State != models.DeploymentRolling {
		return nil
	}
	former.Error = interruptedReason
	if err := former.Move(models.DeploymentFailed, now()); err != nil {
		return err
	}
	return tx.SaveDeployment(ctx, &former)
}

// concludeLive moves a Deployment to live from wherever it is.
func (p *Platform) concludeLive(ctx context.Context, deployment models.Deployment) error {
	if deployment.State == models.DeploymentPending {
		if err := p.moveDeployment(ctx, &deployment, models.DeploymentRolling); err != nil {
			return err
		}
	}
	return p.moveDeployment(ctx, &deployment, models.DeploymentLive)
}

// abandon lets go of what a cancelled rollout had started.
func (p *Platform) abandon(ctx context.Context, want rollout.Want) {
	if want.App.LiveReleaseID != nil && *want.App.LiveReleaseID == want.Release.ID {
		return
	}
	instances, err := p.Store.Instances(ctx, want.App.ID)
	if err != nil {
		p.Log.Error("abandon rollout", "error", err)
		return
	}
	change := rollout.Change{App: want.App.ID}
	for _, instance := range instances {
		if instance.ReleaseID == want.Release.ID {
			change.Remove = append(change.Remove, instance)
		}
	}
	p.warn("abandon rollout", want.App, p.change(ctx, change))
}

func tellOutcome(want rollout.Want, outcome rollout.Outcome, log rollout.Log) {
	text := "no instances: nothing is scaled up"
	if outcome.Healthy > 0 {
		text = counts(want.Formation) + " healthy"
	}
	log.Say("%s", narrative.Timed("Rollout", text, outcome.Took))
	if outcome.Proof.Requests > 0 {
		log.Say("%s", narrative.Field("", fmt.Sprintf("%d of %d requests failed during the switch",
			outcome.Proof.Failed, outcome.Proof.Requests)))
	}
}

func (p *Platform) moveDeployment(ctx context.Context, deployment *models.Deployment, next models.DeploymentState) error {
	if err := deployment.Move(next, now()); err != nil {
		return err
	}
	if err := p.Store.SaveDeployment(ctx, deployment); err != nil {
		return err
	}
	if deployment.State.Ended() {
		p.Watcher.DeploymentEnded(deployment.State)
	}
	return nil
}

// moveRefs moves what the push asked for, now that its Release serves.
func (p *Platform) moveRefs(ctx context.Context, app models.App, build *models.Build) error {
	if len(build.Updates) == 0 {
		return nil
	}
	updates := make([]*models.RefUpdate, len(build.Updates))
	for i := range build.Updates {
		updates[i] = &build.Updates[i]
	}
	err := p.Repositories.UpdateRefs(context.WithoutCancel(ctx), app.ID, updates, len(updates) > 1)
	for _, update := range updates {
		err = errors.Join(err, update.Err)
	}
	if err != nil {
		return fmt.Errorf("move refs: %w", err)
	}
	return nil
}

// checkDisk refuses a push when the disk is almost full: an app that serves is
// worth more than one that is built.
func (p *Platform) checkDisk() error {
	free, _, err := diskspace.Of(p.Settings.DataDir)
	if err != nil {
		return fmt.Errorf("check free disk space: %w", err)
	}
	if free >= p.Settings.MinFreeBytes {
		return nil
	}
	return models.Errorf(models.Unavailable, "the server's disk is almost full: %d MB free, %d MB needed",
		free>>20, p.Settings.MinFreeBytes>>20).WithRemedy("the operator frees space; then push again. What runs goes on running")
}
