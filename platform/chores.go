package platform

import (
	"context"
	"time"
)

// choresEvery is how often what time brings is looked after. Nothing depends on
// it being exact: every chore is a function of the rows and the time.
const choresEvery = time.Minute

// keepHouse does the chores until the platform stops: at once, for what an
// outage left undone, and then again and again.
func (p *Platform) keepHouse() {
	ticker := time.NewTicker(min(choresEvery, p.catchUpEvery()))
	defer ticker.Stop()
	for {
		p.doChores(p.ctx, now())
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
		case <-p.due:
		}
	}
}

// hurry has the chores done now, because a change is waiting for one.
func (p *Platform) hurry() {
	select {
	case p.due <- struct{}{}:
	default: // it is known already
	}
}

// doChores does each chore once. One that fails is logged and keeps none of the
// others from its turn.
func (p *Platform) doChores(ctx context.Context, at time.Time) {
	for _, chore := range []struct {
		name string
		do   func(context.Context, time.Time) error
	}{
		{"keep metrics", p.keepMetrics},
		{"prune metrics", p.pruneMetrics},
		{"bill usage", p.Bill},
		{"settle wallets", p.Settle},
		{"replace what lost nodes ran", p.replaceLost},
		{"watch capacity", p.watchCapacity},
		{"verify domains", p.verifyDue},
		{"drop master keys", p.dropKeys},
		{"purge access", p.purgeAccess},
		{"sweep builds", p.sweepDue},
		{"catch up with GitHub", p.catchUpDue},
		{"expire previews", p.expirePreviews},
		{"forget deliveries", p.forgetDeliveries},
		{"forget failed tasks", p.purgeTasks},
		{"enforce suspensions", func(ctx context.Context, _ time.Time) error { return p.enforceSuspensions(ctx) }},
	} {
		if err := chore.do(ctx, at); err != nil && ctx.Err() == nil {
			p.Log.Error("chore", "name", chore.name, "error", err)
		}
	}
}
