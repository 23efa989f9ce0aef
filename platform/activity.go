package platform

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// followEvery is how often a follower looks for news of other control planes;
// those of this one wake it.
const followEvery = 2 * time.Second

// settleTime is how long an Event may take from its making until its transaction
// is seen: its id tells when it was made, so that one with a lower id may come
// after one with a higher.
const settleTime = 30 * time.Second

// FollowActivity calls yield for each Event of an Organisation that comes after
// the one with this id until ctx ends, in the order in which they are seen. Without
// an id it begins with what comes now. With one, Events of the settleTime before
// it may come again: a follower knows them by their ids.
func (p *Platform) FollowActivity(ctx context.Context, actor models.Actor, asked EventsAsked, after *models.ID, yield func(models.Event) error) error {
	filter, err := p.activityFilter(ctx, actor, asked)
	if err != nil {
		return err
	}
	seen := newSeen(after)
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		news := p.news.next()
		filter.After = seen.from()
		events, err := p.allEvents(ctx, filter)
		if err != nil {
			return err
		}
		for _, event := range seen.fresh(events) {
			if err := yield(event); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ctx.Done():
			return errStopping
		case <-news:
		case <-ticker.C:
		}
	}
}

// allEvents reads every page that filter finds, oldest first.
func (p *Platform) allEvents(ctx context.Context, filter store.EventFilter) ([]models.Event, error) {
	var found []models.Event
	for {
		page, err := p.Store.Events(ctx, filter, models.PageRequest{Limit: models.MaxPage, Sort: "id"})
		if err != nil {
			return nil, err
		}
		found = append(found, page.Items...)
		if len(page.Items) < models.MaxPage {
			return found, nil
		}
		filter.After = &found[len(found)-1].ID
	}
}

// seenEvents remembers which Events of the last settleTime a follower had.
type seenEvents struct {
	begin  models.ID // nothing before it is asked for
	newest time.Time
	ids    map[models.ID]time.Time
}

func newSeen(after *models.ID) *seenEvents {
	seen := &seenEvents{begin: models.NewID(), newest: now(), ids: map[models.ID]time.Time{}}
	if after != nil {
		seen.newest = models.TimeOf(*after)
		seen.begin = models.FirstID(seen.newest.Add(-settleTime))
		seen.ids[*after] = seen.newest
	}
	return seen
}

// from is the id after which something new may come yet.
func (s *seenEvents) from() *models.ID {
	from := models.FirstID(s.newest.Add(-settleTime))
	if bytes.Compare(from[:], s.begin[:]) < 0 {
		from = s.begin
	}
	return &from
}

// fresh returns those of events that were not seen, and remembers them.
func (s *seenEvents) fresh(events []models.Event) []models.Event {
	fresh := slices.DeleteFunc(slices.Clone(events), func(event models.Event) bool { _, known := s.ids[event.ID]; return known })
	for _, event := range fresh {
		made := models.TimeOf(event.ID)
		s.ids[event.ID] = made
		if made.After(s.newest) {
			s.newest = made
		}
	}
	old := s.newest.Add(-settleTime)
	maps.DeleteFunc(s.ids, func(_ models.ID, made time.Time) bool { return made.Before(old) })
	return fresh
}
