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
	return p.applyBeside(ctx, change, nil)
}

// applyBeside applies a Change in one transaction with what is done beside it.
func (p *Platform) applyBeside(ctx context.Context, change rollout.Change, beside func(transaction) error) (map[models.ID]uint64, error) {
	var generations map[models.ID]uint64
	err := p.Store.Transact(ctx, func(tx *store.Store) error {
		remove := idsOf(change.Remove)
		if err := p.addRemove(ctx, tx, change, remove); err != nil {
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
		if beside != nil {
			if err := beside(tx); err != nil {
				return err
			}
		}
		var err error
		generations, err = nextGenerations(ctx, tx, change)
		return err
	})
	if err == nil {
		p.guests.dismiss(idsOf(change.Remove))
	}
	return generations, err
}

// nextGenerations counts new Assignments: of every node where the change is one of
// routes, as each node routes every App, and else of those that start or stop something.
func nextGenerations(ctx context.Context, tx transaction, change rollout.Change) (map[models.ID]uint64, error) {
	nodes := change.Nodes()
	everywhere := len(nodes) == 0 || change.Rerouted || change.Live != nil
	if !everywhere {
		app, err := tx.App(ctx, change.App)
		if err != nil {
			return nil, err
		}
		everywhere = slices.ContainsFunc(slices.Concat(change.Add, change.Remove), func(instance models.Instance) bool {
			return serves(app, instance)
		})
	}
	if everywhere {
		return tx.NextGenerations(ctx)
	}
	return tx.NextGenerations(ctx, nodes...)
}

func idsOf(instances []models.Instance) []models.ID {
	ids := make([]models.ID, 0, len(instances))
	for _, instance := range instances {
		ids = append(ids, instance.ID)
	}
	return ids
}

// addRemove changes the Instances. Those that are added have room, or the error is
// rollout.ErrRoomTaken: what is promised is added up while no other transaction
// can promise anything.
func (p *Platform) addRemove(ctx context.Context, tx *store.Store, change rollout.Change, remove []models.ID) error {
	if len(change.Add) == 0 {
		return tx.ChangeInstances(ctx, nil, remove)
	}
	nodes, err := tx.LockNodes(ctx)
	if err != nil {
		return err
	}
	if err := p.givePlan(ctx, tx, change); err != nil {
		return err
	}
	if err := tx.ChangeInstances(ctx, change.Add, remove); err != nil {
		return err
	}
	return checkRoom(ctx, tx, nodes, change.Add)
}

// errRoomTaken is told when the room was taken again and again.
var errRoomTaken = models.Errorf(models.Unavailable, "%w by other deployments", rollout.ErrRoomTaken).WithRemedy("try again")

// checkRoom compares what is promised, on the Nodes to which Instances were added,
// with what may be.
func checkRoom(ctx context.Context, tx *store.Store, nodes map[models.ID]models.Node, added []models.Instance) error {
	options, err := optionsOf(ctx, tx)
	if err != nil {
		return err
	}
	ids := make([]models.ID, 0, len(added))
	for _, instance := range added {
		ids = append(ids, instance.NodeID)
	}
	reserved, err := tx.ReservedOn(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		node, known := nodes[id]
		capacity, promised := options.policy().Capacity(node.CPUs, node.MemoryBytes), reserved[id]
		fits := promised.CPUMillis <= capacity.CPUMillis && promised.MemoryBytes <= capacity.MemoryBytes
		if !known || node.Cordoned || node.State == models.NodeRemoved || !fits {
			return errRoomTaken
		}
	}
	return nil
}

// givePlan lets new Instances start with the plan that their App has now.
func (p *Platform) givePlan(ctx context.Context, tx *store.Store, change rollout.Change) error {
	app, err := tx.App(ctx, change.App)
	for i := range change.Add {
		change.Add[i].PlanID = app.PlanID
	}
	return err
}

// change applies a Change and lets the agents know.
func (p *Platform) change(ctx context.Context, change rollout.Change) error {
	return p.changeBeside(ctx, change, nil)
}

func (p *Platform) changeBeside(ctx context.Context, change rollout.Change, beside func(transaction) error) error {
	generations, err := p.applyBeside(ctx, change, beside)
	change.Announce(p.Fleet, generations)
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

// Await implements rollout.Store: right after Sky's start no agent has come yet.
func (p *Platform) Await(ctx context.Context, id models.ID) error {
	const patience = 30 * time.Second
	app, err := p.Store.App(ctx, id)
	if err != nil {
		return err
	}
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return err
	}
	nodes = slices.DeleteFunc(nodes, func(node models.Node) bool {
		return node.State == models.NodeRemoved || node.LostAt != nil || node.Cordoned || (app.Region != "" && app.Region != node.Region)
	})
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = p.Fleet.Wait(limited, func(view rollout.View) (bool, error) {
		online := slices.ContainsFunc(nodes, func(node models.Node) bool { return view.Online(node.ID) })
		return online || len(nodes) == 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return nil
}

// Offer implements rollout.Store.
func (p *Platform) Offer(ctx context.Context, id models.ID) (rollout.Offer, error) {
	app, err := p.Store.App(ctx, id)
	if err != nil {
		return rollout.Offer{}, err
	}
	offer := rollout.Offer{Region: app.Region}
	if offer.Each, err = p.sizeOf(ctx, app); err != nil {
		return rollout.Offer{}, err
	}
	if offer.Nodes, err = p.candidates(ctx); err != nil {
		return rollout.Offer{}, err
	}
	return offer, p.Fleet.Wait(ctx, func(view rollout.View) (bool, error) {
		for i := range offer.Nodes {
			offer.Nodes[i].Offline = !view.Online(offer.Nodes[i].ID)
		}
		return true, nil
	})
}

// sizeOf is what an Instance of the App is promised that starts now.
func (p *Platform) sizeOf(ctx context.Context, app models.App) (scheduler.Size, error) {
	if app.PlanID == nil {
		return scheduler.Size{CPUMillis: models.PlanlessCPUMillis, MemoryBytes: models.PlanlessMemoryBytes}, nil
	}
	plan, err := p.Store.Plan(ctx, *app.PlanID)
	return scheduler.Size{CPUMillis: plan.CPUMillis, MemoryBytes: plan.MemoryBytes}, err
}

// candidates are the Nodes with what they have promised, offline as the database
// says.
func (p *Platform) candidates(ctx context.Context) ([]scheduler.Node, error) {
	options, err := p.Options(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	reserved, err := p.Store.Reserved(ctx)
	if err != nil {
		return nil, err
	}
	candidates := make([]scheduler.Node, 0, len(nodes))
	for _, node := range nodes {
		if node.State == models.NodeRemoved {
			continue
		}
		promised := reserved[node.ID]
		candidates = append(candidates, scheduler.Node{
			ID: node.ID, Name: node.Name, Region: node.Region, Cordoned: node.Cordoned, Offline: !isOnline(node), Instances: promised.Instances,
			Capacity: options.policy().Capacity(node.CPUs, node.MemoryBytes),
			Reserved: scheduler.Size{CPUMillis: promised.CPUMillis, MemoryBytes: promised.MemoryBytes},
		})
	}
	return candidates, nil
}
