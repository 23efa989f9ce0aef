package platform

import (
	"context"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// kept waits until the lane has tidied up after a push, and returns what stayed.
func (s *stage) kept(t *testing.T) []string {
	t.Helper()
	require.NoError(t, s.lanes.do(t.Context(), s.app.ID, func(context.Context) error { return nil }))
	s.build.mu.Lock()
	defer s.build.mu.Unlock()
	return s.build.kept
}

// TestOldReleasesLoseTheirImages but for the newest that served and what runs.
func TestOldReleasesLoseTheirImages(t *testing.T) {
	s := newStage(t)
	_, err := s.ChangeOptions(t.Context(), s.actor, OptionsChange{KeepReleases: new(2)})
	require.NoError(t, err)
	for digit := 1; digit <= 4; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	require.Equal(t, []string{"image-3", "image-4"}, s.kept(t))

	s.nodes.become = func(instance protocol.Instance) protocol.InstanceStatus {
		if instance.Image == "image-5" {
			return protocol.InstanceStatus{State: protocol.StateFailed, Reason: "exited"}
		}
		return protocol.InstanceStatus{State: protocol.StateHealthy}
	}
	_, err = s.push(t, 5)
	require.Error(t, err)
	require.Equal(t, []string{"image-3", "image-4"}, s.kept(t), "what never served is no release to go back to")
	_, err = s.Rollback(t.Context(), s.actor, s.live(t), 3, silent{})
	require.NoError(t, err)
	_, err = s.push(t, 6)
	require.NoError(t, err)
	require.Equal(t, []string{"image-3", "image-6"}, s.kept(t), "the rollback is the newest but one")
}

func TestDiskIsAccountedFor(t *testing.T) {
	s := newStage(t)
	disk, err := s.Disk(t.Context(), s.actor)
	require.NoError(t, err)
	names := map[string]int64{}
	for _, item := range disk.Items {
		names[item.Name] = item.Bytes
	}
	require.EqualValues(t, 5<<20, names["images of shop"])
	require.EqualValues(t, 1<<20, names["build cache, all of it"])
	require.Positive(t, names["data: logs"]+names["data: master.json"])
	_, err = s.Disk(t.Context(), models.Actor{Name: "ann"})
	require.True(t, models.IsCode(err, models.Forbidden))
	for _, wrong := range []OptionsChange{{KeepReleases: new(0)}, {CacheMB: new(-1)}, {AppCacheMB: new(-1)}} {
		_, err := s.ChangeOptions(t.Context(), s.actor, wrong)
		require.True(t, models.IsCode(err, models.Invalid))
	}
	require.NoError(t, s.sweepDue(t.Context(), time.Now()))
}
