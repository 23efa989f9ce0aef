package rollout

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/scheduler"
)

// Begin has a command of the Release run once on a Node, and returns the
// Instance that does. One that an interrupted attempt began is the same one: a
// command is never begun twice for a Release.
func (r *Roller) Begin(ctx context.Context, want Want, process string) (models.Instance, error) {
	current, err := r.Store.Instances(ctx, want.App.ID)
	if err != nil {
		return models.Instance{}, err
	}
	for _, instance := range current {
		if instance.Once && instance.ReleaseID == want.Release.ID && instance.Process == process {
			return instance, nil
		}
	}
	nodes, err := r.Store.Candidates(ctx, want.App.ID)
	if err != nil {
		return models.Instance{}, err
	}
	placed, err := scheduler.Place(nodes, 1)
	if err != nil {
		return models.Instance{}, err
	}
	instance := models.Instance{
		ID: models.NewID(), AppID: want.App.ID, ReleaseID: want.Release.ID, NodeID: placed[0], Process: process, Ordinal: 1, Once: true,
	}
	if _, err := r.apply(ctx, Change{App: want.App.ID, Add: []models.Instance{instance}}); err != nil {
		return models.Instance{}, fmt.Errorf("assign %s: %w", process, err)
	}
	return instance, nil
}

// Ended blocks until what Begin began has ended. It is models.Failed when that
// did not end well or not within limit, which is counted from this call. When ctx
// ends, the command goes on.
func (r *Roller) Ended(ctx context.Context, instance models.Instance, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	waiting := ""
	err := r.Fleet.Wait(limited, func(view View) (bool, error) {
		status, _ := view.Instance(instance.ID)
		switch status.State {
		case string(models.InstanceStopped):
			return true, nil
		case string(models.InstanceFailed):
			return false, models.Errorf(models.Failed, "the %s command %s", instance.Process, status.Reason)
		}
		waiting = ""
		if !view.Online(instance.NodeID) {
			waiting = ": its node is offline"
		}
		return false, nil
	})
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return models.Errorf(models.Failed, "the %s command did not end within %s%s", instance.Process, limit, waiting)
	}
	return err
}

// Forget lets go of what Begin began; a command that still runs is stopped.
func (r *Roller) Forget(ctx context.Context, instance models.Instance) error {
	_, err := r.apply(ctx, Change{App: instance.AppID, Remove: []models.Instance{instance}})
	return err
}
