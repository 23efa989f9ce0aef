package platform

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestAStoredBranchThatBecomesTheDeployBranchKeepsItsCommits restarts Sky, and
// rolls back, while the new deploy branch has commits that nothing released.
func TestAStoredBranchThatBecomesTheDeployBranchKeepsItsCommits(t *testing.T) {
	s := newStage(t)
	for digit := 1; digit <= 2; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	side := &models.RefUpdate{Name: "refs/heads/side", Old: models.ZeroObject, New: oid(7)}
	s.Receive(t.Context(), &models.Push{App: s.live(t), Actor: s.actor, Updates: []*models.RefUpdate{side}, Out: &screen{}})
	require.NoError(t, side.Err)
	branch := "side"
	_, err := s.ChangeApp(t.Context(), s.actor, "shop", "", AppSettings{DeployBranch: &branch})
	require.NoError(t, err)

	require.NoError(t, s.alignRefs(t.Context()))
	require.Equal(t, oid(7), s.repos.refs["refs/heads/side"], "a restart")
	_, err = s.Rollback(t.Context(), s.actor, s.live(t), 1, silent{})
	require.NoError(t, err)
	require.Equal(t, oid(7), s.repos.refs["refs/heads/side"], "a rollback")
}

// TestARefThatACrashLeftBehindFollows: the switch was made, the ref was not.
func TestARefThatACrashLeftBehindFollows(t *testing.T) {
	s := newStage(t)
	for digit := 1; digit <= 2; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	for _, before := range []string{oid(1), models.ZeroObject} {
		s.repos.refs["refs/heads/main"] = before
		require.NoError(t, s.alignRefs(t.Context()))
		require.Equal(t, oid(2), s.main(t))
	}
}

// TestASecondCrashLosesNoPush kills Sky in a rollout, and again right after the
// next start has looked for what to resume.
func TestASecondCrashLosesNoPush(t *testing.T) {
	s := newStage(t)
	build, deployment := s.killedInRollout(t)
	for range 2 { // a start that dies before its lane begins
		found, err := s.interrupted(t.Context())
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, build.ID, found[0].ID)
	}
	require.NoError(t, s.recover(t.Context()))
	require.Eventually(t, func() bool { return s.main(t) == oid(1) }, patience, tick)
	unfinished, err := s.Store.UnfinishedDeployments(t.Context())
	require.NoError(t, err)
	require.Empty(t, unfinished)
	newest, err := s.Store.DeploymentOf(t.Context(), deployment.ReleaseID)
	require.NoError(t, err)
	require.NotEqual(t, deployment.ID, newest.ID)
}

// TestASupersededRolloutIsNotResumedForEver: a newer push waited, too.
func TestASupersededRolloutIsNotResumedForEver(t *testing.T) {
	s := newStage(t)
	build, _ := s.killedInRollout(t)
	s.supersede(build.ID, models.Build{Number: 2})
	unfinished, err := s.Store.UnfinishedDeployments(t.Context())
	require.NoError(t, err)
	require.Empty(t, unfinished)
}

// killedInRollout leaves what a process does that was killed in the rollout of
// the first push.
func (s *stage) killedInRollout(t *testing.T) (models.Build, models.Deployment) {
	t.Helper()
	build := models.Build{
		ID: models.NewID(), AppID: s.app.ID, ActorID: s.actor.UserID, Ref: "refs/heads/main", Commit: oid(1), State: models.BuildQueued,
		Updates: []models.RefUpdate{{Name: "refs/heads/main", Old: models.ZeroObject, New: oid(1)}}, CreatedAt: now(),
	}
	require.NoError(t, s.Store.CreateBuild(t.Context(), &build))
	_, err := s.buildRelease(t.Context(), s.app, &build, s.buildLog(build))
	require.NoError(t, err)
	release, err := s.Store.ReleaseOfBuild(t.Context(), build.ID)
	require.NoError(t, err)
	deployment, err := s.Store.DeploymentOf(t.Context(), release.ID)
	require.NoError(t, err)
	require.NoError(t, s.moveDeployment(t.Context(), &deployment, models.DeploymentRolling))
	return build, deployment
}
