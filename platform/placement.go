package platform

import (
	"context"
	"slices"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
	"github.com/skypanel/sky/scheduler"
)

// Apply implements rollout.Store.
func (p *Platform) Apply(ctx context.Context, change rollout.Change) (map[models.ID]uint64, error) {
	generations := map[models.ID]uint64{}
	err := p.Store.Transact(ctx, func(tx *store.Store) error {
		remove := make([]models.ID, 0, len(change.Remove))
		for _, instance := range change.Remove {
			remove = append(remove, instance.ID)
		}
		if err := p.givePlan(ctx, tx, change); err != nil {
			return err
		}
		if err := tx.ChangeInstances(ctx, change.Add, remove); err != nil {
			return err
		}
		if err := tx.CloseUsage(ctx, remove, now()); err != nil {
			return err
		}
		if change.Live != nil {
			if _, err := tx.UpdateApp(ctx, change.App, func(app *models.App) error {
				app.LiveReleaseID, app.UpdatedAt = change.Live, now()
				app.Stopped = app.Stopped && !change.Running
				app.Suspended = app.Suspended && !change.Running
				return nil
			}); err != nil {
				return err
			}
		}
		return p.bump(ctx, tx, change, generations)
	})
	return generations, err
}

// givePlan lets new Instances start with the plan that their App has now.
func (p *Platform) givePlan(ctx context.Context, tx *store.Store, change rollout.Change) error {
	if len(change.Add) == 0 {
		return nil
	}
	app, err := tx.App(ctx, change.App)
	for i := range change.Add {
		change.Add[i].PlanID = app.PlanID
	}
	return err
}

// bump counts a new generation for every node: each of them routes every App.
func (p *Platform) bump(ctx context.Context, tx *store.Store, change rollout.Change, generations map[models.ID]uint64) error {
	nodes, err := tx.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if node.State == models.NodeRemoved {
			continue
		}
		if generations[node.ID], err = tx.NextGeneration(ctx, node.ID); err != nil {
			return err
		}
	}
	return nil
}

// change applies a Change and lets the agents know.
func (p *Platform) change(ctx context.Context, change rollout.Change) error {
	generations, err := p.Apply(ctx, change)
	for node := range generations {
		p.Fleet.Refresh(node)
	}
	return err
}

// refreshAll gives every node a new generation.
func (p *Platform) refreshAll(ctx context.Context) {
	if err := p.change(ctx, rollout.Change{}); err != nil {
		p.Log.Error("refresh assignments", "error", err)
	}
}

// Instances implements rollout.Store.
func (p *Platform) Instances(ctx context.Context, app models.ID) ([]models.Instance, error) {
	return p.Store.Instances(ctx, app)
}

// Candidates implements rollout.Store: the Nodes that may get Instances. Right
// after Sky's start no agent has come yet, so it waits for one for a while.
func (p *Platform) Candidates(ctx context.Context, app models.ID) ([]scheduler.Node, error) {
	nodes, err := p.onlineNodes(ctx, app)
	if err != nil {
		return nil, err
	}
	candidates := make([]scheduler.Node, 0, len(nodes))
	for _, node := range nodes {
		instances, err := p.Store.InstancesOnNode(ctx, node.ID)
		if err != nil {
			return nil, err
		}
		ofApp := slices.DeleteFunc(slices.Clone(instances), func(i models.Instance) bool { return i.AppID != app })
		candidates = append(candidates, scheduler.Node{ID: node.ID, Instances: len(instances), OfApp: len(ofApp)})
	}
	return candidates, nil
}

// onlineNodes waits for a node that may get the App's Instances.
func (p *Platform) onlineNodes(ctx context.Context, id models.ID) ([]models.Node, error) {
	const patience = 30 * time.Second
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	app, err := p.Store.App(ctx, id)
	if err != nil {
		return nil, err
	}
	var online []models.Node
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = p.Fleet.Wait(limited, func(view rollout.View) (bool, error) {
		online = slices.DeleteFunc(slices.Clone(nodes), func(node models.Node) bool {
			closed := node.Cordoned || node.State == models.NodeRemoved || (app.Region != "" && app.Region != node.Region)
			return closed || !view.Online(node.ID)
		})
		return len(online) > 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return online, nil
}
