package platform

import (
	"context"
	"errors"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
	"github.com/stretchr/testify/require"
)

func TestPushGoesLiveAndMovesTheRef(t *testing.T) {
	s := newStage(t)
	seen, err := s.push(t, 1)
	require.NoError(t, err)
	require.Equal(t, oid(1), s.main(t))
	for _, part := range []string{`1111111 "change 1" to shop`, "Build    done", "v1", "web=1 healthy", "http://shop.sky.test"} {
		require.Contains(t, seen, part)
	}
	require.NotContains(t, seen, "full output")
	status, statusErr := s.Status(t.Context(), s.live(t))
	require.NoError(t, statusErr)
	require.Equal(t, "running", status.State)
}

// live reads the App afresh.
func (s *stage) live(t *testing.T) models.App {
	t.Helper()
	app, err := s.Store.App(t.Context(), s.app.ID)
	require.NoError(t, err)
	return app
}

func TestFailedBuildMovesNothing(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	s.build.build = func(context.Context, buildpipeline.Job) error {
		return models.Errorf(models.Failed, "build step `x` exited with code 1").WithRemedy("mend it")
	}
	seen, err := s.push(t, 2)
	require.EqualError(t, err, "build step `x` exited with code 1")
	require.Contains(t, seen, "mend it")
	require.Equal(t, oid(1), s.main(t))
	build, err := s.BuildNumber(t.Context(), s.app, 0)
	require.NoError(t, err)
	require.Equal(t, models.BuildFailed, build.State)
}

// TestPlatformFaultsAreNotTold: what broke inside Sky goes to its log only.
func TestPlatformFaultsAreNotTold(t *testing.T) {
	s := newStage(t)
	s.build.build = func(context.Context, buildpipeline.Job) error { return errors.New("secret path /x") }
	seen, _ := s.push(t, 1)
	require.Contains(t, seen, "a fault of Sky's")
	require.NotContains(t, seen, "/x")
}

func TestSickReleaseLeavesTheOldOne(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	before := *s.live(t).LiveReleaseID
	s.nodes.become = func(instance protocol.Instance) protocol.InstanceStatus {
		if instance.Release == 2 {
			return protocol.InstanceStatus{State: string(models.InstanceFailed), Reason: "exited with code 1", Tail: []string{"no such table"}}
		}
		return protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	}
	seen, err := s.push(t, 2)
	require.EqualError(t, err, "web.1 exited with code 1")
	require.Contains(t, seen, "no such table")
	require.Equal(t, oid(1), s.main(t))
	require.Equal(t, before, *s.live(t).LiveReleaseID)
	releases, err := s.Releases(t.Context(), s.app, models.PageRequest{})
	require.NoError(t, err)
	first := releases.Items[len(releases.Items)-1]
	require.Equal(t, before, first.ID)
	require.Equal(t, models.DeploymentLive, first.Deployment.State)
}

// blocking lets builds begin and wait until their context ends.
func (s *stage) blocking() (begun chan int) {
	begun = make(chan int, 9)
	s.build.build = func(ctx context.Context, job buildpipeline.Job) error {
		begun <- job.Number
		<-ctx.Done()
		return ctx.Err()
	}
	return begun
}

// pushAside pushes without waiting for the verdict.
func (s *stage) pushAside(t *testing.T, digit int) chan error {
	verdict := make(chan error, 1)
	go func() {
		_, err := s.push(t, digit)
		verdict <- err
	}()
	return verdict
}

// queued waits until a build of this number waits in the lane.
func (s *stage) queued(t *testing.T, number int) {
	t.Helper()
	require.Eventually(t, func() bool {
		builds, err := s.Store.Builds(t.Context(), s.app.ID, 100)
		return err == nil && len(builds) >= number &&
			s.lanes.find(s.app.ID, func(id models.ID) bool { return id == builds[0].ID }) != nil
	}, patience, tick)
}

func TestCancelRunningBuild(t *testing.T) {
	s := newStage(t)
	begun := s.blocking()
	verdict := s.pushAside(t, 1)
	<-begun
	build, err := s.CancelBuild(t.Context(), s.actor, s.app, 1)
	require.NoError(t, err)
	require.Equal(t, models.BuildCancelled, build.State)
	require.EqualError(t, <-verdict, "build #1 was cancelled")
	_, err = s.CancelBuild(t.Context(), s.actor, s.app, 1)
	require.True(t, models.IsCode(err, models.Conflict))
}

// TestCancelWaitingBuild: a build that waits ends at once, and so does its
// pusher's terminal, while the one before it runs on.
func TestCancelWaitingBuild(t *testing.T) {
	s := newStage(t)
	begun := s.blocking()
	first := s.pushAside(t, 1)
	<-begun
	second := s.pushAside(t, 2)
	s.queued(t, 2)
	build, err := s.CancelBuild(t.Context(), s.actor, s.app, 2)
	require.NoError(t, err)
	require.Equal(t, models.BuildCancelled, build.State)
	require.EqualError(t, <-second, "build #2 was cancelled")
	require.Empty(t, first)
	_, err = s.CancelBuild(t.Context(), s.actor, s.app, 1)
	require.NoError(t, err)
	require.Error(t, <-first)
}

func TestNewestPushWins(t *testing.T) {
	s := newStage(t)
	begun := s.blocking()
	first := s.pushAside(t, 1)
	<-begun
	second := s.pushAside(t, 2)
	s.queued(t, 2)
	s.pushAside(t, 3)
	require.EqualError(t, <-second, "superseded by a newer push")
	build, err := s.BuildNumber(t.Context(), s.app, 2)
	require.NoError(t, err)
	require.Equal(t, models.BuildCancelled, build.State)
	require.Empty(t, first)
}

// TestStopHandsOver: what ran and what waited when Sky stopped is taken up by
// the next process.
func TestStopHandsOver(t *testing.T) {
	s := newStage(t)
	begun := s.blocking()
	verdict := s.pushAside(t, 1)
	<-begun
	s.Stop()
	require.True(t, models.IsCode(<-verdict, models.Unavailable))
	build, err := s.BuildNumber(t.Context(), s.app, 1)
	require.NoError(t, err)
	require.Equal(t, models.BuildRunning, build.State)

	s.build.build = nil
	s.open(t)
	require.NoError(t, s.BuildLog(t.Context(), build, 0, true, func(logs.Entry) error { return nil }), "it ends")
	require.Eventually(t, func() bool { return s.main(t) == oid(1) }, patience, tick)
}

func TestDestroyEndsRunningAndWaitingBuilds(t *testing.T) {
	s := newStage(t)
	begun := s.blocking()
	first := s.pushAside(t, 1)
	<-begun
	second := s.pushAside(t, 2)
	s.queued(t, 2)
	err := s.DestroyApp(t.Context(), s.actor, "shop", "shopp")
	require.Equal(t, "confirm", models.AsError(err).Field)
	require.NoError(t, s.DestroyApp(t.Context(), s.actor, "shop", "shop"))
	require.Error(t, <-first)
	require.Error(t, <-second)
	require.Empty(t, begun, "the waiting build never began")
	_, err = s.App(t.Context(), s.actor, models.AppRead, "shop")
	require.True(t, models.IsCode(err, models.NotFound))
}

func TestConfigChangeReleasesWithoutABuild(t *testing.T) {
	s := newStage(t)
	release, err := s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Set: map[string]string{"A": "1"}}, silent{})
	require.NoError(t, err)
	require.Nil(t, release, "nothing runs yet")
	_, pushed := s.push(t, 1)
	require.NoError(t, pushed)
	s.build.build = func(context.Context, buildpipeline.Job) error { t.Error("built"); return nil }
	release, err = s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Set: map[string]string{"B": "2"}, Unset: []string{"A"}}, silent{})
	require.NoError(t, err)
	require.Equal(t, "Set B; Unset A", release.Description)
	config, err := s.configOf(*release)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"B": "2"}, config)
	release, err = s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Set: map[string]string{"B": "2"}}, silent{})
	require.NoError(t, err)
	require.Nil(t, release, "nothing changed")
	_, err = s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Unset: []string{"NOPE"}}, silent{})
	require.EqualError(t, err, "NOPE is not set")
}

func TestRollback(t *testing.T) {
	s := newStage(t)
	for digit := 1; digit <= 2; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	release, err := s.Rollback(t.Context(), s.actor, s.app, 0, silent{})
	require.NoError(t, err)
	require.Equal(t, 3, release.Number)
	require.Equal(t, "image-1", release.Image)
	require.Equal(t, oid(1), s.main(t), "the branch says what is live")
	_, err = s.Rollback(t.Context(), s.actor, s.live(t), 9, silent{})
	require.True(t, models.IsCode(err, models.NotFound))
}

func TestOtherBranchesAreStored(t *testing.T) {
	s := newStage(t)
	out := &screen{}
	side := &models.RefUpdate{Name: "refs/heads/side", Old: models.ZeroObject, New: oid(1)}
	s.Receive(t.Context(), &models.Push{App: s.app, Actor: s.actor, Updates: []*models.RefUpdate{side}, Out: out})
	require.NoError(t, side.Err)
	require.Contains(t, out.String(), "only main deploys")
	builds, err := s.Store.Builds(t.Context(), s.app.ID, 100)
	require.NoError(t, err)
	require.Empty(t, builds)
	_, err = s.push(t, 1, "no-deploy")
	require.True(t, models.IsCode(err, models.Conflict))
}
