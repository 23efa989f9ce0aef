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
		app, err := models.ParseID(status.AppID)
		if err != nil {
			continue
		}
		p.record(ctx, models.Actor{Name: "sky"}, fact{kind: "instance.failed", detail: narrative.Clean(status.Reason), app: &models.App{ID: app}})
	}
}
