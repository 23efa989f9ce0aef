package platform

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/scheduler"
)

// notice is something that the platform's admins are to know.
type notice struct {
	kind string // of the audit Event, too
	ref  string // the occasion: each is told once
	text string
	app  *models.App // whose Organisation is told too; nil is none's
}

// alert writes the audit fact of a notice and notifies the admins, each in the
// Organisation that they have owned for the longest. What was told is not told again.
func alert(ctx context.Context, tx *store.Store, what notice) error {
	organisations, err := tx.AdminOrganisations(ctx)
	if err != nil {
		return err
	}
	if what.app != nil && !slices.Contains(organisations, what.app.OrganisationID) {
		organisations = append(organisations, what.app.OrganisationID)
	}
	news := len(organisations) == 0
	for _, organisation := range organisations {
		first, err := tx.NotifyFirst(ctx, what.to(organisation))
		if err != nil {
			return err
		}
		news = news || first
	}
	if !news {
		return nil
	}
	event := fact{kind: what.kind, detail: what.text, app: what.app}.by(models.Actor{Name: "sky"})
	return tx.AppendEvent(ctx, &event)
}

func (n notice) to(organisation models.ID) *models.Notification {
	notification := &models.Notification{
		ID: models.NewID(), OrganisationID: organisation, Kind: n.kind, Ref: organisation.String() + " " + n.ref,
		Text: n.text, CreatedAt: now(),
	}
	if n.app != nil {
		notification.AppID = &n.app.ID
	}
	return notification
}

// alertIf alerts when mark changed something, in one transaction with it.
func (p *Platform) alertIf(ctx context.Context, what notice, mark func(tx *store.Store) (bool, error)) error {
	err := p.Store.Transact(ctx, func(tx *store.Store) error {
		if changed, err := mark(tx); err != nil || !changed {
			return err
		}
		return alert(ctx, tx, what)
	})
	if err == nil {
		p.news.ring()
	}
	return err
}

// What is promised of a node or a region is worth an alert from almostFull on,
// once, until it is less than roomAgain.
const (
	almostFull = 0.90
	roomAgain  = 0.85
)

// capacitySetting is the row that says which capacity was told to be short.
const capacitySetting = "capacity-alerts"

// watchCapacity alerts when what nodes and regions may promise is almost used up.
func (p *Platform) watchCapacity(ctx context.Context, at time.Time) error {
	shares, err := p.shares(ctx)
	if err != nil {
		return err
	}
	err = p.Store.Transact(ctx, func(tx *store.Store) error {
		told := map[string]bool{}
		if err := tx.LockSetting(ctx, capacitySetting, &told); err != nil {
			return err
		}
		next, raised := capacityNews(told, shares)
		for _, what := range raised {
			text := fmt.Sprintf("%d %% of what the %s may promise is promised. Add a node: sky admin nodes add NAME", int(100*shares[what]), what)
			if err := alert(ctx, tx, notice{kind: "capacity.low", ref: what + " " + at.UTC().Format(time.RFC3339Nano), text: text}); err != nil {
				return err
			}
		}
		if maps.Equal(told, next) {
			return nil
		}
		return tx.PutSetting(ctx, capacitySetting, next)
	})
	if err == nil {
		p.news.ring()
	}
	return err
}

// shares are how much is promised of what each node, and each region, that takes
// Instances may promise.
func (p *Platform) shares(ctx context.Context) (map[string]float64, error) {
	nodes, err := p.candidates(ctx)
	if err != nil {
		return nil, err
	}
	shares, regions := map[string]float64{}, map[string]*scheduler.Node{}
	for _, node := range nodes {
		if node.Cordoned || node.Offline {
			continue
		}
		shares["node "+node.Name] = scheduler.Share(node.Reserved, node.Capacity)
		if regions[node.Region] == nil {
			regions[node.Region] = &scheduler.Node{}
		}
		regions[node.Region].Add(node)
	}
	for name, region := range regions {
		shares["region "+name] = scheduler.Share(region.Reserved, region.Capacity)
	}
	return shares, nil
}

// capacityNews decides what is told now, and what counts as told from now on.
func capacityNews(told map[string]bool, shares map[string]float64) (next map[string]bool, raised []string) {
	next = map[string]bool{}
	for what, share := range shares {
		switch {
		case share >= almostFull && !told[what]:
			raised, next[what] = append(raised, what), true
		case told[what] && share >= roomAgain:
			next[what] = true
		}
	}
	slices.Sort(raised)
	return next, raised
}
