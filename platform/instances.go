package platform

import (
	"context"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// InstanceStatus is one Instance as its agent observes it.
type InstanceStatus struct {
	ID       models.ID
	Process  string
	Ordinal  int
	Release  int
	State    models.InstanceState
	Since    time.Time
	Restarts int
	Reason   string
	Node     string
}

// instances joins the App's wanted Instances with what is observed of them.
func (p *Platform) instances(ctx context.Context, app models.App) ([]InstanceStatus, error) {
	wanted, err := p.Store.Instances(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	ids := make([]models.ID, 0, len(wanted))
	for _, instance := range wanted {
		ids = append(ids, instance.ReleaseID)
	}
	releases, err := p.Store.ReleasesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	names := map[models.ID]string{}
	for _, node := range nodes {
		names[node.ID] = node.Name
	}
	observed := map[string]protocol.InstanceStatus{}
	for _, status := range p.Fleet.Instances(app.ID) {
		observed[status.ID] = status
	}
	joined := make([]InstanceStatus, 0, len(wanted))
	for _, instance := range wanted {
		seen, known := observed[instance.ID.String()]
		status := InstanceStatus{
			ID: instance.ID, Process: instance.Process, Ordinal: instance.Ordinal, Node: names[instance.NodeID],
			Release: releases[instance.ReleaseID].Number, State: models.InstanceAssigned, Since: instance.CreatedAt,
		}
		if known {
			status.State, status.Since = models.InstanceState(seen.State), seen.Since
			status.Restarts, status.Reason = seen.Restarts, narrative.Clean(seen.Reason)
		}
		joined = append(joined, status)
	}
	return joined, nil
}

// failures remembers which Instances were told to have failed, so that each is
// told once.
type failures struct {
	mu   sync.Mutex
	told map[string]bool
}

func (f *failures) first(instance string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.told == nil {
		f.told = map[string]bool{}
	}
	before := f.told[instance]
	f.told[instance] = true
	return !before
}

// Observed implements fleet.Nodes: an Instance that failed is an Event.
func (p *Platform) Observed(ctx context.Context, _ models.ID, observed protocol.Observed) {
	for _, status := range observed.Instances {
		if status.State != string(models.InstanceFailed) || !p.failures.first(status.ID) {
			continue
		}
		app, err := models.ParseID(status.AppID)
		if err != nil {
			continue
		}
		p.record(ctx, models.Actor{Name: "sky"}, &models.App{ID: app}, "instance.failed", narrative.Clean(status.Reason))
	}
}
