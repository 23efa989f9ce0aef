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
	s.Receive(t.Context(), &models.Push{App: s.live(t), Actor: s.actor, Updates: []*models.RefUpdate{side}, Out: &terminal{}})
	require.NoError(t, side.Err)
	branch := "side"
	_, err := s.ChangeApp(t.Context(), s.actor, "shop", AppSettings{DeployBranch: &branch})
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
