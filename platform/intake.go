package platform

import (
	"context"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// maxIntake is how many deliveries are made durable at once.
const maxIntake = 256

// intake makes deliveries durable, those that come at once in one transaction: a
// disk syncs once for all of them.
type intake struct {
	arrivals chan *arrival
	stopped  <-chan struct{} // closed once nothing is taken any more
}

// arrival is what one request brings: a delivery, for each App that it concerns.
type arrival struct {
	deliveries []*models.WebhookDelivery
	fresh      bool
	kept       chan error
}

// keep returns once the deliveries are durable, and whether any is new. When ctx
// ends first they may be kept all the same.
func (i *intake) keep(ctx context.Context, deliveries []*models.WebhookDelivery) (fresh bool, err error) {
	came := &arrival{deliveries: deliveries, kept: make(chan error, 1)}
	select {
	case i.arrivals <- came:
	case <-i.stopped:
		return false, models.Errorf(models.Unavailable, "sky is stopping")
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case err := <-came.kept:
		return came.fresh, err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// takeDeliveries makes arrivals durable until the platform stops.
func (p *Platform) takeDeliveries() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case first := <-p.intake.arrivals:
			p.keepArrivals(p.intake.gather(first))
		}
	}
}

// gather returns what has come by now.
func (i *intake) gather(first *arrival) []*arrival {
	batch := []*arrival{first}
	for len(batch) < maxIntake {
		select {
		case next := <-i.arrivals:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// keepArrivals keeps a batch. Where one of it cannot be kept, each is kept by
// itself.
func (p *Platform) keepArrivals(batch []*arrival) {
	ctx := context.WithoutCancel(p.ctx)
	err := p.keepTogether(ctx, batch)
	if err != nil && len(batch) > 1 {
		for _, came := range batch {
			came.kept <- p.keepTogether(ctx, []*arrival{came})
		}
		p.work.ring()
		return
	}
	for _, came := range batch {
		came.kept <- err
	}
	p.work.ring()
}

// keepTogether writes the deliveries and what is to be done about them, in one
// transaction.
func (p *Platform) keepTogether(ctx context.Context, batch []*arrival) error {
	return p.Store.Transact(ctx, func(tx *store.Store) error {
		apps := map[models.ID]bool{}
		for _, came := range batch {
			came.fresh = false
			for _, delivery := range came.deliveries {
				fresh, err := tx.AddDelivery(ctx, delivery)
				if err != nil {
					return err
				}
				came.fresh = came.fresh || fresh
				if fresh && delivery.AppID != nil && delivery.State == models.DeliveryReceived {
					apps[*delivery.AppID] = true
				}
			}
		}
		for app := range apps {
			if err := queueTask(ctx, tx, taskDeliveries, about{ID: app}, now()); err != nil {
				return err
			}
		}
		return nil
	})
}
