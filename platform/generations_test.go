package platform

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/require"
)

// TestWhoeverIsNotConcernedIsLeftAlone counts the nodes that get a new assignment: all
// where routes change, since each routes every app, and else those that do something.
func TestWhoeverIsNotConcernedIsLeftAlone(t *testing.T) {
	s := newStage(t)
	other := s.join(t, "other", 16, 64*gib)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	app := s.live(t)
	live, err := s.liveRelease(t.Context(), app)
	require.NoError(t, err)
	next := models.Release{AppID: app.ID, Image: "next", Processes: live.Processes}
	require.NoError(t, s.newRelease(t.Context(), &next, origin{}))
	instance := func(release models.Release, process string) models.Instance {
		return models.Instance{
			ID: models.NewID(), AppID: app.ID, ReleaseID: release.ID, NodeID: other.ID, Process: process, Ordinal: 9, CreatedAt: now(),
		}
	}
	once := instance(live, models.WebProcess)
	once.Once = true
	coming, worker, serving := instance(next, models.WebProcess), instance(live, "worker"), instance(live, models.WebProcess)
	for _, test := range []struct {
		what       string
		change     rollout.Change
		everywhere bool
	}{
		{"an instance of a release to come", rollout.Change{Add: []models.Instance{coming}}, false},
		{"a worker", rollout.Change{Add: []models.Instance{worker}}, false},
		{"a command", rollout.Change{Add: []models.Instance{once}}, false},
		{"the end of all that", rollout.Change{Remove: []models.Instance{coming, worker, once}}, false},
		{"one more that serves", rollout.Change{Add: []models.Instance{serving}}, true},
		{"one less that serves", rollout.Change{Remove: []models.Instance{serving}}, true},
		{"another release", rollout.Change{Live: &live.ID}, true},
		{"a stop", rollout.Change{Rerouted: true}, true},
		{"whatever is elsewhere", rollout.Change{}, true},
	} {
		test.change.App = app.ID
		generations, err := s.Apply(t.Context(), test.change)
		require.NoError(t, err, test.what)
		if test.everywhere {
			require.Len(t, generations, 2, test.what)
		} else {
			require.Len(t, generations, 1, test.what)
			require.Contains(t, generations, other.ID, test.what)
		}
	}
}
