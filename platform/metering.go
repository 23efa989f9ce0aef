package platform

import (
	"context"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// meter knows which Instances have an open usage interval, so that an agent's
// report costs the database only what changed. Its zero value is ready.
type meter struct {
	mu   sync.Mutex
	open map[models.ID]bool
}

// load begins with the intervals that a former process left open.
func (m *meter) load(open []models.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = make(map[models.ID]bool, len(open))
	for _, id := range open {
		m.open[id] = true
	}
}

// changes returns which observed Instances began to run and which ended, as far
// as the meter does not know it.
func (m *meter) changes(observed []protocol.InstanceStatus) (began, ended []protocol.InstanceStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, status := range observed {
		id, err := models.ParseID(status.ID)
		if err != nil {
			continue
		}
		switch models.InstanceState(status.State) {
		case models.InstanceHealthy:
			if !m.open[id] {
				began = append(began, status)
			}
		case models.InstanceFailed, models.InstanceStopped:
			if m.open[id] {
				ended = append(ended, status)
			}
		}
	}
	return began, ended
}

func (m *meter) set(ids []models.ID, open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[models.ID]bool{}
	}
	for _, id := range ids {
		if open {
			m.open[id] = true
		} else {
			delete(m.open, id)
		}
	}
}

// meterObserved opens usage intervals for Instances that became healthy and ends
// those of Instances that failed. An Instance that is let go of ends where that
// is decided: see Apply.
func (p *Platform) meterObserved(ctx context.Context, observed protocol.Observed) error {
	began, ended := p.meter.changes(observed.Instances)
	if err := p.beginUsage(ctx, began); err != nil {
		return err
	}
	for _, status := range ended {
		id, _ := models.ParseID(status.ID) // the meter has read it
		if err := p.Store.CloseUsage(ctx, []models.ID{id}, within(status.Since, time.Time{}, now())); err != nil {
			return err
		}
		p.meter.set([]models.ID{id}, false)
	}
	return nil
}

// beginUsage opens intervals at the price of the plan that each Instance started
// with. Who lets go of one meanwhile comes before, and it gets none, or after,
// and ends it: an interval without an Instance would never end.
func (p *Platform) beginUsage(ctx context.Context, began []protocol.InstanceStatus) error {
	if len(began) == 0 {
		return nil
	}
	ids := make([]models.ID, 0, len(began))
	for _, status := range began {
		id, _ := models.ParseID(status.ID)
		ids = append(ids, id)
	}
	options, err := p.Options(ctx)
	if err != nil {
		return err
	}
	var open []models.ID
	err = p.Store.Transact(ctx, func(tx *store.Store) error {
		instances, err := tx.LockInstances(ctx, ids)
		if err != nil {
			return err
		}
		prices, err := pricesOf(ctx, tx, instances, options.Billing)
		if err != nil {
			return err
		}
		var intervals []models.UsageInterval
		for i, status := range began {
			if instance, wanted := instances[ids[i]]; wanted {
				intervals = append(intervals, prices.interval(instance, within(status.Since, instance.CreatedAt, now())))
				open = append(open, instance.ID)
			}
		}
		return tx.OpenUsage(ctx, intervals)
	})
	if err == nil {
		p.meter.set(open, true)
	}
	return err
}

// prices are the Apps and Plans that usage is priced by.
type prices struct {
	apps    map[models.ID]models.App
	plans   map[models.ID]models.Plan
	billing bool
}

func pricesOf(ctx context.Context, tx *store.Store, instances map[models.ID]models.Instance, billed bool) (prices, error) {
	var apps, plans []models.ID
	for _, instance := range instances {
		apps = append(apps, instance.AppID)
		if instance.PlanID != nil {
			plans = append(plans, *instance.PlanID)
		}
	}
	found, err := prices{billing: billed}, error(nil)
	if found.apps, err = tx.AppsByID(ctx, apps); err != nil {
		return prices{}, err
	}
	found.plans, err = tx.PlansByID(ctx, plans)
	return found, err
}

func (p prices) interval(instance models.Instance, started time.Time) models.UsageInterval {
	app := p.apps[instance.AppID]
	interval := models.UsageInterval{
		ID: models.NewID(), InstanceID: instance.ID, OrganisationID: app.OrganisationID, AppID: app.ID, AppName: app.Name,
		Process: instance.Process, StartedAt: started, BilledUntil: started,
	}
	if instance.PlanID != nil {
		plan := p.plans[*instance.PlanID]
		interval.PlanName = plan.Name
		if p.billing {
			interval.PriceHour = plan.PriceHour
		}
	}
	return interval
}

// within moves a node's clock into the bounds that the database's rows allow.
func within(at, from, to time.Time) time.Time {
	at = at.UTC().Truncate(time.Microsecond)
	if at.Before(from) {
		at = from
	}
	if at.After(to) {
		return to
	}
	return at
}
