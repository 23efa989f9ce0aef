package platform

import (
	"context"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
	"github.com/skypanel/sky/rollout"
)

// commandLimit is how long a command that runs once may take.
const commandLimit = time.Hour

// releasePhase runs the Release's own command in its new image with its Config,
// before anything of it serves. A command that fails fails the Deployment. It
// runs once for a Release: an interrupted Deployment waits for the one that runs.
func (p *Platform) releasePhase(ctx context.Context, want rollout.Want, deployment *models.Deployment, log rollout.Log) error {
	if deployment.Released || len(want.Release.Scripts[models.ReleaseProcess]) == 0 {
		return nil
	}
	if deployment.State == models.DeploymentPending {
		if err := p.moveDeployment(ctx, deployment, models.DeploymentReleasing); err != nil {
			return err
		}
	}
	return p.runOnce(ctx, want, models.ReleaseProcess, log, func(tx transaction) error {
		deployment.Released = true
		return tx.SaveDeployment(ctx, deployment)
	})
}

// runOnce runs a command of the Release to its end and shows its output. One that
// succeeds is forgotten in the transaction that does what is to be beside it.
func (p *Platform) runOnce(ctx context.Context, want rollout.Want, process string, log rollout.Log, beside func(transaction) error) error {
	started := time.Now()
	log.Say("%s", narrative.Field("Command", process+": "+narrative.Command(want.Release.Scripts[process])))
	from, err := p.Logs.Size(appStream(want.App.ID))
	if err != nil {
		return err
	}
	instance, err := p.Roller.Begin(ctx, want, process)
	if err != nil {
		return err
	}
	finish := p.copyOutput(ctx, instance, from, log)
	err = p.Roller.Ended(ctx, instance, commandLimit)
	finish()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		log.Say("%s", narrative.Timed("", process+" command succeeded", time.Since(started)))
		err = p.changeBeside(ctx, rollout.Change{App: want.App.ID, Remove: []models.Instance{instance}}, beside)
	}
	if err != nil {
		p.warn("forget command", want.App, p.Roller.Forget(context.WithoutCancel(ctx), instance))
	}
	return err
}

// copyOutput shows what an Instance prints, until finish is called; that blocks
// until all that is kept by then was shown.
func (p *Platform) copyOutput(ctx context.Context, instance models.Instance, from int64, log rollout.Log) (finish func()) {
	show := func(entry logs.Entry) error {
		from = entry.Offset
		if entry.Instance == instance.ID.String() {
			log.Say("   %s", entry.Text)
		}
		return nil
	}
	following, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Logs.Read(following, appStream(instance.AppID), from, true, show) // it ends with following
	}()
	return func() {
		cancel()
		<-done
		if err := p.Logs.Read(ctx, appStream(instance.AppID), from, false, show); err != nil && ctx.Err() == nil {
			p.Log.Warn("output of a command", "instance", instance.ID, "error", err)
		}
	}
}

// afterDeployment runs the commands that follow a Build's Deployment. The
// Release serves already, so that one that fails is only told.
func (p *Platform) afterDeployment(ctx context.Context, before models.App, release models.Release, log rollout.Log) {
	for _, process := range []string{models.SetupProcess, models.PostdeployProcess} {
		first := before.LiveReleaseID == nil
		if len(release.Scripts[process]) == 0 || (process == models.SetupProcess && !first) {
			continue
		}
		if err := p.runOnce(ctx, rollout.Want{App: before, Release: release}, process, log, nil); err != nil {
			log.Say("%s", narrative.Field("Warning", err.Error()))
		}
	}
}
