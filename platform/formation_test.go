package platform

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/require"
)

func TestStopRefusesWhatRunsNothing(t *testing.T) {
	s := newStage(t)
	err := s.StopApp(t.Context(), s.actor, s.app, silent{})
	require.ErrorContains(t, err, "never deployed")
	_, err = s.push(t, 1)
	require.NoError(t, err)
	require.NoError(t, s.StopApp(t.Context(), s.actor, s.app, silent{}))
	err = s.StopApp(t.Context(), s.actor, s.app, silent{})
	require.True(t, models.IsCode(err, models.Conflict))
	require.NotEmpty(t, models.AsError(err).Remedy)
}

// TestAStopThatACrashInterruptedIsRepeated: the App is marked as stopped, and
// its Instances still run.
func TestAStopThatACrashInterruptedIsRepeated(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	_, err = s.Store.UpdateApp(t.Context(), s.app.ID, func(app *models.App) error { app.Stopped = true; return nil })
	require.NoError(t, err)
	require.NoError(t, s.StopApp(t.Context(), s.actor, s.app, rollout.Log(silent{})))
	instances, err := s.Store.Instances(t.Context(), s.app.ID)
	require.NoError(t, err)
	require.Empty(t, instances)
}
