package platform

import (
	"context"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// fact is what an audit Event will say.
type fact struct {
	kind         string // such as "app.create"
	detail       string // never a secret
	app          *models.App
	organisation *models.ID // where there is no app
}

func (f fact) by(actor models.Actor) models.Event {
	event := models.Event{
		ID: models.NewID(), Actor: actor.Name, Via: actor.Via, Address: actor.Address, Kind: f.kind, Detail: f.detail,
		OrganisationID: f.organisation, CreatedAt: now(),
	}
	if actor.UserID != (models.ID{}) {
		event.ActorID = &actor.UserID
	}
	if f.app != nil {
		event.AppID = &f.app.ID
		if f.app.OrganisationID != (models.ID{}) {
			event.OrganisationID = &f.app.OrganisationID
		}
	}
	return event
}

// commit makes a change and writes its audit fact in one transaction: neither
// is there without the other.
func (p *Platform) commit(ctx context.Context, actor models.Actor, what fact, change func(tx *store.Store) error) error {
	err := p.Store.Transact(ctx, func(tx *store.Store) error {
		if err := change(tx); err != nil {
			return err
		}
		event := what.by(actor)
		return tx.AppendEvent(ctx, &event)
	})
	if err == nil {
		p.news.ring()
	}
	return err
}

// record writes an audit fact of something that is no change of the database,
// such as a restart; that it could not be written is logged.
func (p *Platform) record(ctx context.Context, actor models.Actor, what fact) {
	event := what.by(actor)
	if err := p.Store.AppendEvent(context.WithoutCancel(ctx), &event); err != nil {
		p.Log.Error("audit event lost", "kind", what.kind, "error", err)
	}
	p.news.ring()
}
