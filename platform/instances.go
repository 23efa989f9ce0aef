package platform

import (
	"context"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
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

// Observed implements fleet.Nodes: usage is metered by it, and an Instance that
// failed is an Event.
func (p *Platform) Observed(ctx context.Context, _ models.ID, observed protocol.Observed) {
	if err := p.meterObserved(ctx, observed); err != nil && ctx.Err() == nil {
		p.Log.Error("meter usage", "error", err) // the agent's next report is metered again
	}
	for _, status := range observed.Instances {
		if status.State != string(models.InstanceFailed) || !p.failures.first(status.ID) {
			continue
		}
		if err := p.tellFailure(ctx, status); err != nil && ctx.Err() == nil {
			p.Log.Error("tell of a failed instance", "instance", status.ID, "error", err)
		}
	}
}

// tellFailure writes the audit fact of an Instance that failed, and notifies its
// Organisation. One of an App that is gone is nobody's news.
func (p *Platform) tellFailure(ctx context.Context, status protocol.InstanceStatus) error {
	id, err := models.ParseID(status.AppID)
	if err != nil {
		return err
	}
	app, err := p.Store.App(ctx, id)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	reason := narrative.Clean(status.Reason)
	what := fact{kind: "instance.failed", detail: reason, app: &app}
	return p.commit(ctx, models.Actor{Name: "sky"}, what, func(tx *store.Store) error {
		return tx.Notify(ctx, &models.Notification{
			ID: models.NewID(), OrganisationID: app.OrganisationID, AppID: &app.ID, Kind: what.kind, Ref: status.ID,
			Text: "An instance of " + app.Name + " failed: " + reason, CreatedAt: now(),
		})
	})
}
