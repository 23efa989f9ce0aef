package platform

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestFollowerMissesNoLateEvent: an Event whose transaction is seen after one
// that was made later still comes, and each comes once.
func TestFollowerMissesNoLateEvent(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		organisation := b.organisation(t, "acme")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b.ctx = ctx
		event := func(at time.Time) models.Event {
			id := models.FirstID(at)
			id[15] = 1
			return models.Event{ID: id, OrganisationID: &organisation.ID, Kind: "test.event", CreatedAt: at}
		}
		begun := time.Now().UTC().Truncate(time.Millisecond)
		late, soon, last := event(begun.Add(time.Second)), event(begun.Add(2*time.Second)), event(begun.Add(3*time.Second))
		publish := func(event models.Event) {
			require.NoError(t, b.Store.AppendEvent(ctx, &event))
			b.news.ring()
		}
		publish(soon)
		var got []models.ID
		done := errors.New("seen enough")
		err := b.FollowActivity(ctx, b.admin, EventsAsked{Organisation: "acme", Kind: "test"}, nil, func(event models.Event) error {
			got = append(got, event.ID)
			switch event.ID {
			case soon.ID:
				publish(late)
			case late.ID:
				publish(last)
			case last.ID:
				return done
			}
			return nil
		})
		require.ErrorIs(t, err, done)
		require.Equal(t, []models.ID{soon.ID, late.ID, last.ID}, got)

		got = nil
		err = b.FollowActivity(ctx, b.admin, EventsAsked{Organisation: "acme", Kind: "test"}, &soon.ID, func(event models.Event) error {
			got = append(got, event.ID)
			if event.ID == last.ID {
				return done
			}
			return nil
		})
		require.ErrorIs(t, err, done)
		require.Equal(t, []models.ID{late.ID, last.ID}, got, "what may have come before again, but not the one that is named")
	})
}
