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
	return r.Place(ctx, models.Instance{
		ID: models.NewID(), AppID: want.App.ID, ReleaseID: want.Release.ID, Process: process, Ordinal: 1, Once: true,
	})
}

// Place assigns an Instance that runs once to a Node with room, and returns it with
// that.
func (r *Roller) Place(ctx context.Context, instance models.Instance) (models.Instance, error) {
	err := r.room(ctx, instance.AppID, func(offer Offer) error {
		ask := scheduler.Ask{Region: offer.Region, Each: offer.Each, Groups: []scheduler.Group{{Count: 1}}}
		placed, err := scheduler.Place(offer.Nodes, ask)
		if err != nil {
			return err
		}
		instance.NodeID = placed[0][0]
		if _, err := r.apply(ctx, Change{App: instance.AppID, Add: []models.Instance{instance}}); err != nil {
			return fmt.Errorf("assign %s: %w", instance.Process, err)
		}
		return nil
	})
	return instance, err
}

// Created blocks until an Instance that waits for its terminal can have it. It is
// models.Failed when that will never be, and models.Unavailable when it takes longer
// than Patience.
func (r *Roller) Created(ctx context.Context, instance models.Instance) error {
	limited, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	waiting := ""
	err := r.Fleet.Wait(limited, func(view View) (bool, error) {
		status, _ := view.Instance(instance.ID)
		waiting = blocker(view, instance, status)
		if !view.Online(instance.NodeID) {
			return false, gone(instance)
		}
		ended, err := hasEnded(view, instance)
		return ended || status.Container != "", err
	})
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return models.Errorf(models.Unavailable, "gave up after %s: %s", r.Patience, waiting)
	}
	return err
}

// Ended blocks until what Begin began has ended. It is models.Failed when that
// did not end well or not within limit, which is counted from this call, and
// models.Unavailable when its Node was lost: whether it ended is not known then.
// When ctx ends, the command goes on.
func (r *Roller) Ended(ctx context.Context, instance models.Instance, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		away := false
		err := r.Fleet.Wait(limited, func(view View) (bool, error) {
			ended, err := hasEnded(view, instance)
			away = !ended && !view.Online(instance.NodeID)
			return ended || (away && r.LostAfter != nil), err
		})
		if err == nil && away {
			err = r.returned(limited, instance)
			away = err == nil // it is back, and the command is waited for again
		}
		switch {
		case err == nil && !away:
			return nil
		case err != nil && limited.Err() != nil && ctx.Err() == nil:
			return overdue(instance, limit, away)
		case err != nil:
			return err
		}
	}
}

func overdue(instance models.Instance, limit time.Duration, away bool) error {
	waiting := ""
	if away {
		waiting = ": its node is offline"
	}
	return models.Errorf(models.Failed, "the %s command did not end within %s%s", instance.Process, limit, waiting)
}

func hasEnded(view View, instance models.Instance) (bool, error) {
	status, _ := view.Instance(instance.ID)
	switch status.State {
	case string(models.InstanceStopped):
		return true, nil
	case string(models.InstanceFailed):
		return false, models.Errorf(models.Failed, "the %s command %s", instance.Process, status.Reason)
	}
	return false, nil
}

// returned waits for the Node of a command to come back, for LostAfter.
func (r *Roller) returned(ctx context.Context, instance models.Instance) error {
	limited, cancel := context.WithTimeout(ctx, r.LostAfter(ctx))
	defer cancel()
	err := r.Fleet.Wait(limited, func(view View) (bool, error) { return view.Online(instance.NodeID), nil })
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return models.Errorf(models.Unavailable, "the node of the %s command was lost; whether the command ended is not known", instance.Process)
	}
	return err
}

// Forget lets go of what Begin began; a command that still runs is stopped.
func (r *Roller) Forget(ctx context.Context, instance models.Instance) error {
	_, err := r.apply(ctx, Change{App: instance.AppID, Remove: []models.Instance{instance}})
	return err
}
