package platform

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// scripted makes every build bring commands that run once.
func scripted(s *stage, scripts models.Processes) { s.build.scripts = scripts }

// ends makes commands that run once end, each as the fleet's words say; began
// counts them.
func (s *stage) ends(exit func(protocol.Instance) string) (began *atomic.Int64) {
	began = &atomic.Int64{}
	seen := map[string]bool{}
	s.nodes.become = func(instance protocol.Instance) protocol.InstanceStatus {
		if !instance.Once {
			return protocol.InstanceStatus{State: protocol.StateHealthy}
		}
		if !seen[instance.ID] {
			began.Add(1)
			seen[instance.ID] = true
		}
		if reason := exit(instance); reason != "" {
			return protocol.InstanceStatus{State: protocol.StateFailed, Reason: reason}
		}
		return protocol.InstanceStatus{State: protocol.StateStopped}
	}
	return began
}

func TestReleaseCommandRunsBeforeAnythingServes(t *testing.T) {
	s := newStage(t)
	scripted(s, models.Processes{"release": {"migrate"}, "setup": {"seed"}, "postdeploy": {"tell"}})
	var order []string
	began := s.ends(func(instance protocol.Instance) string {
		app, err := s.Store.App(context.Background(), s.app.ID)
		word := fmt.Sprint(instance.Process, " ", instance.Command, " ", err)
		if app.LiveReleaseID != nil && app.LiveReleaseID.String() == instance.ReleaseID {
			word += " live"
		}
		order = append(order, word)
		return ""
	})
	seen, err := s.push(t, 1)
	require.NoError(t, err)
	require.Contains(t, seen, "release: migrate")
	require.EqualValues(t, 3, began.Load())
	require.Equal(t, []string{"release [migrate] <nil>", "setup [seed] <nil> live", "postdeploy [tell] <nil> live"}, slices.Compact(order))
	instances, err := s.Store.Instances(t.Context(), s.app.ID)
	require.NoError(t, err)
	require.Len(t, instances, 1, "a command leaves no instance")

	_, err = s.push(t, 2)
	require.NoError(t, err)
	require.EqualValues(t, 5, began.Load(), "setup is for the first deployment")
	_, err = s.Rollback(t.Context(), s.actor, s.live(t), 1, silent{})
	require.NoError(t, err)
	require.NoError(t, s.Restart(t.Context(), s.actor, s.live(t), silent{}))
	require.EqualValues(t, 5, began.Load(), "neither a rollback nor a restart runs it")
	_, err = s.ChangeConfig(t.Context(), s.actor, s.live(t), ConfigChange{Set: map[string]string{"A": "b"}}, silent{})
	require.NoError(t, err)
	require.EqualValues(t, 6, began.Load(), "a config change does")
}

func TestReleaseCommandThatFailsServesNothing(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	before := *s.live(t).LiveReleaseID
	scripted(s, models.Processes{"release": {"migrate"}, "postdeploy": {"tell"}})
	began := s.ends(func(instance protocol.Instance) string { return "exited with code 3" })
	_, err = s.push(t, 2)
	require.EqualError(t, err, "the release command exited with code 3")
	require.Equal(t, before, *s.live(t).LiveReleaseID)
	require.Equal(t, oid(1), s.main(t))
	require.EqualValues(t, 1, began.Load())
	instances, err := s.Store.Instances(t.Context(), s.app.ID)
	require.NoError(t, err)
	require.Len(t, instances, 1)

	s.ends(func(instance protocol.Instance) string {
		if instance.Process == models.PostdeployProcess {
			return "exited with code 4"
		}
		return ""
	})
	seen, err := s.push(t, 3)
	require.NoError(t, err, "it serves already")
	require.Contains(t, seen, "the postdeploy command exited with code 4")
}

// TestInterruptedReleaseCommandIsNotBegunTwice stops Sky while the command runs;
// the next start waits for the one that runs.
func TestInterruptedReleaseCommandIsNotBegunTwice(t *testing.T) {
	s := newStage(t)
	scripted(s, models.Processes{"release": {"migrate"}})
	running := make(chan struct{})
	var done atomic.Bool
	var ids []string
	s.nodes.become = func(instance protocol.Instance) protocol.InstanceStatus {
		switch {
		case !instance.Once:
			return protocol.InstanceStatus{State: protocol.StateHealthy}
		case done.Load():
			return protocol.InstanceStatus{State: protocol.StateStopped}
		}
		ids = append(ids, instance.ID)
		if len(ids) == 1 {
			close(running)
		}
		return protocol.InstanceStatus{State: protocol.StateStarting}
	}
	go func() {
		<-running
		s.Stop()
	}()
	_, err := s.push(t, 1)
	require.True(t, models.IsCode(err, models.Unavailable), "%v", err)
	done.Store(true)
	s.open(t)
	s.refreshAll(t.Context())
	require.Eventually(t, func() bool { return s.main(t) == oid(1) }, patience, tick)
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	deployment, err := s.Store.DeploymentOf(t.Context(), *s.live(t).LiveReleaseID)
	require.NoError(t, err)
	require.True(t, deployment.Released)
}

func TestCancelledReleaseCommandIsStopped(t *testing.T) {
	s := newStage(t)
	scripted(s, models.Processes{"release": {"migrate"}})
	s.nodes.become = func(instance protocol.Instance) protocol.InstanceStatus {
		if instance.Once {
			go func() {
				build, err := s.BuildNumber(context.Background(), s.app, 0)
				if err == nil {
					_, _ = s.CancelBuild(context.Background(), s.actor, s.app, build.Number)
				}
			}()
		}
		return protocol.InstanceStatus{State: protocol.StateStarting}
	}
	_, err := s.push(t, 1)
	require.True(t, models.IsCode(err, models.Cancelled), "%v", err)
	instances, err := s.Store.Instances(t.Context(), s.app.ID)
	require.NoError(t, err)
	require.Empty(t, instances)
}
