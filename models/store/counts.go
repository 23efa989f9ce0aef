package store

import (
	"context"
	"time"

	"github.com/skypanel/sky/models"
)

// Counts counts the rows of a platform.
type Counts struct {
	Organisations int64
	Suspended     int64 // of the organisations
	Users         int64
	Apps          int64
	RunningApps   int64 // that are to run Instances
	Instances     int64
	Nodes         int64
	OnlineNodes   int64
	Builds        int64 // since some time, as are the next two
	FailedBuilds  int64
	Releases      int64
	QueuedBuilds  int64 // that wait or run now
}

// Counts counts; builds and releases since a time.
func (s *Store) Counts(ctx context.Context, since time.Time) (Counts, error) {
	counts := Counts{}
	read := s.reader(ctx)
	unfinished := []models.BuildState{models.BuildQueued, models.BuildRunning}
	for _, number := range []struct {
		into  *int64
		table any
		where []any
	}{
		{&counts.Organisations, &models.Organisation{}, []any{"deleted_at IS NULL"}},
		{&counts.Suspended, &models.Organisation{}, []any{"deleted_at IS NULL AND suspended = ?", true}},
		{&counts.Users, &models.User{}, nil},
		{&counts.Apps, &models.App{}, nil},
		{&counts.RunningApps, &models.App{}, []any{"live_release_id IS NOT NULL AND stopped = ? AND suspended = ?", false, false}},
		{&counts.Instances, &models.Instance{}, nil},
		{&counts.Nodes, &models.Node{}, nil},
		{&counts.OnlineNodes, &models.Node{}, []any{"state = ?", models.NodeOnline}},
		{&counts.Builds, &models.Build{}, []any{"created_at >= ?", since}},
		{&counts.FailedBuilds, &models.Build{}, []any{"created_at >= ? AND state = ?", since, models.BuildFailed}},
		{&counts.Releases, &models.Release{}, []any{"created_at >= ?", since}},
		{&counts.QueuedBuilds, &models.Build{}, []any{"state IN ?", unfinished}},
	} {
		query := read.Model(number.table)
		if number.where != nil {
			query = query.Where(number.where[0], number.where[1:]...)
		}
		var err error
		if *number.into, err = count(query, "rows"); err != nil {
			return counts, err
		}
	}
	return counts, nil
}
