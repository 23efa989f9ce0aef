package platform

import (
	"context"
	"errors"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// finishBuild records how a Build ended and ends its log. A Build whose image
// was made stays succeeded, whatever became of its Release.
func (p *Platform) finishBuild(build models.Build, state models.BuildState, err error) {
	ctx := context.WithoutCancel(p.ctx)
	log := p.buildLog(build)
	if err != nil && build.State == models.BuildSucceeded {
		p.failPending(build, err)
	}
	if err != nil {
		build.Error = narrative.Clean(err.Error())
		log.fail(err)
	}
	if !build.State.Ended() {
		if moveErr := build.Move(state, now()); moveErr != nil {
			p.Log.Error("finish build", "build", build.ID, "error", moveErr)
		}
	}
	if saveErr := p.saveEnded(ctx, &build); saveErr != nil {
		p.Log.Error("finish build", "build", build.ID, "error", saveErr)
	}
	p.tellBuild(build)
	if err != nil && models.CodeOf(err) == models.Internal && !errors.Is(err, errCancelled) && !errors.Is(err, errSuperseded) {
		p.Log.Error("deploy", "app", build.AppID, "build", build.Number, "error", err)
	}
	log.end(err)
}

// saveEnded writes a Build that has ended, and has its git host told.
func (p *Platform) saveEnded(ctx context.Context, build *models.Build) error {
	defer p.work.ring()
	return p.Store.Transact(ctx, func(tx *store.Store) error {
		if err := tx.SaveBuild(ctx, build); err != nil || !build.Hosted {
			return err
		}
		return queueTask(ctx, tx, taskReport, about{build.ID}, now())
	})
}
