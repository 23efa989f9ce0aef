package store_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

// engines runs test on SQLite and on a PostgreSQL of its own.
func engines(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Run("sqlite", func(t *testing.T) {
		s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "sky.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		test(t, s)
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short")
		}
		s, err := store.OpenPostgres(t.Context(), testenv.Postgres(t))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		test(t, s)
	})
}

func user(t *testing.T, s *store.Store) models.User {
	t.Helper()
	u := models.User{ID: models.NewID(), Name: "user-" + models.NewID().String()}
	require.NoError(t, s.CreateUser(t.Context(), &u))
	return u
}

func organisation(t *testing.T, s *store.Store, owner models.User) models.Organisation {
	t.Helper()
	o := models.Organisation{ID: models.NewID(), Name: "org-" + models.NewID().String()}
	require.NoError(t, s.CreateOrganisation(t.Context(), &o, owner.ID))
	return o
}

func app(t *testing.T, s *store.Store) models.App {
	t.Helper()
	id, owner := models.NewID(), user(t, s)
	a := models.App{
		ID: id, Name: "app-" + id.String(), CreatorID: owner.ID, OrganisationID: organisation(t, s, owner).ID, DeployBranch: "main",
		Formation: models.Formation{"web": 1},
	}
	require.NoError(t, s.CreateApp(t.Context(), &a))
	return a
}

func TestAppRoundTrip(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		made := app(t, s)
		read, err := s.AppByName(t.Context(), made.Name)
		require.NoError(t, err)
		require.Equal(t, made, read)

		twin := made
		twin.ID = models.NewID()
		require.True(t, models.IsCode(s.CreateApp(t.Context(), &twin), models.Conflict))

		_, err = s.UpdateApp(t.Context(), made.ID, func(a *models.App) error {
			a.Formation["worker"] = 2
			return nil
		})
		require.NoError(t, err)
		read, err = s.App(t.Context(), made.ID)
		require.NoError(t, err)
		require.Equal(t, models.Formation{"web": 1, "worker": 2}, read.Formation)

		_, err = s.AppByName(t.Context(), "nobody")
		require.True(t, models.IsCode(err, models.NotFound))
	})
}

func TestBuildsAreNumberedWithoutGapsUnderRaces(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		a := app(t, s)
		const racers = 8
		var group sync.WaitGroup
		for range racers {
			group.Go(func() {
				build := models.Build{ID: models.NewID(), AppID: a.ID, State: models.BuildQueued}
				if err := s.CreateBuild(context.WithoutCancel(t.Context()), &build); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		builds, err := s.Builds(t.Context(), a.ID, 100)
		require.NoError(t, err)
		require.Len(t, builds, racers)
		for i, build := range builds {
			require.Equal(t, racers-i, build.Number)
		}
	})
}

func TestEnvironmentChangesAreOneTransaction(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		a := app(t, s)
		variable := func(key, value string) models.EnvVar {
			return models.EnvVar{ID: models.NewID(), AppID: a.ID, Key: key, Value: []byte(value)}
		}
		require.NoError(t, s.ChangeEnv(t.Context(), a.ID, []models.EnvVar{variable("A", "1"), variable("B", "2")}, nil))
		require.NoError(t, s.ChangeEnv(t.Context(), a.ID, []models.EnvVar{variable("A", "3")}, []string{"B"}))
		vars, err := s.EnvVars(t.Context(), a.ID)
		require.NoError(t, err)
		require.Len(t, vars, 1)
		require.Equal(t, "3", string(vars[0].Value))
	})
}

func TestDeleteAppLeavesNothingButEvents(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		a := app(t, s)
		node := models.Node{ID: models.NewID(), Name: "node-" + a.Name, State: models.NodeOnline}
		require.NoError(t, s.CreateNode(ctx, &node))
		release := models.Release{ID: models.NewID(), AppID: a.ID, Config: []byte{}}
		require.NoError(t, s.CreateRelease(ctx, &release))
		instance := models.Instance{ID: models.NewID(), AppID: a.ID, ReleaseID: release.ID, NodeID: node.ID, Process: "web", Ordinal: 1}
		require.NoError(t, s.ChangeInstances(ctx, []models.Instance{instance}, nil))
		require.NoError(t, s.AppendEvent(ctx, &models.Event{ID: models.NewID(), AppID: &a.ID, Kind: "app.create"}))

		require.NoError(t, s.DeleteApp(ctx, a.ID))
		left, err := s.InstancesOnNode(ctx, node.ID)
		require.NoError(t, err)
		require.Empty(t, left)
		events, err := s.Events(ctx, store.EventFilter{App: &a.ID}, models.PageRequest{})
		require.NoError(t, err)
		require.Len(t, events.Items, 1)
	})
}

func TestGenerationsGrow(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		first, second := node(t, s), node(t, s)
		removed := models.Node{ID: models.NewID(), Name: "gone", State: models.NodeRemoved}
		require.NoError(t, s.CreateNode(t.Context(), &removed))
		for want := uint64(1); want <= 3; want++ {
			got, err := s.NextGenerations(t.Context())
			require.NoError(t, err)
			require.Equal(t, map[models.ID]uint64{first.ID: want, second.ID: want}, got)
		}
		read, err := s.Node(t.Context(), first.ID)
		require.NoError(t, err)
		require.EqualValues(t, 3, read.Generation)
	})
}

// TestGenerationsGrowForManyAtOnce: none is given twice, and nobody waits for ever.
func TestGenerationsGrowForManyAtOnce(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		one := node(t, s)
		for range 5 {
			node(t, s)
		}
		numbers := make(chan uint64, 40)
		var work sync.WaitGroup
		for range 8 {
			work.Go(func() {
				for range 5 {
					got, err := s.NextGenerations(t.Context())
					if err != nil {
						t.Error(err)
					}
					numbers <- got[one.ID]
				}
			})
		}
		work.Wait()
		close(numbers)
		seen := map[uint64]bool{}
		for number := range numbers {
			require.False(t, seen[number], number)
			seen[number] = true
		}
		require.Len(t, seen, 40)
	})
}
