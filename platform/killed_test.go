package platform

import (
	"context"
	"fmt"
	"testing"

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
	"github.com/stretchr/testify/require"
)

// TestKilledAtEveryStep kills the control plane before each commit, move of a ref
// and word to a node of whatever changes an App, and starts another. No push that
// was accepted is lost, what somebody waited for in vain can be asked for again, and
// nothing is left behind.
func TestKilledAtEveryStep(t *testing.T) {
	if testenv.OnPostgres() {
		t.Skip("it is SQLite that refuses the commits of the dead")
	}
	for name, change := range changes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m *mortals
			step := 0
			for lived := false; !lived && !t.Failed(); step++ {
				if m == nil || change.before == nil {
					m = newMortals(t)
				}
				t.Run(fmt.Sprintf("before step %d", step+1), func(t *testing.T) { lived = m.killedBefore(t, step, change) })
			}
			require.GreaterOrEqual(t, step, 5, "there is something to do")
		})
	}
}

// change is something that somebody does to an App, for the n-th time.
type change struct {
	before func(m *mortals, t *testing.T, n int) // what there is; nil is an App that nobody pushed to
	do     func(m *mortals, t *testing.T, n int) error
}

func changes() map[string]change {
	return map[string]change{
		"first push": {do: (*mortals).deploy},
		"push":       {(*mortals).five, (*mortals).deploy},
		"scale up":   {(*mortals).five, scaling(models.Formation{"web": 3, "worker": 2})},
		"scale down": {(*mortals).five, scaling(models.Formation{"web": 1, "worker": 0})},
		"rollback": {(*mortals).twice, func(m *mortals, t *testing.T, _ int) error {
			_, err := m.Rollback(t.Context(), m.actor, m.live(t), 0, silent{})
			return err
		}},
		"config": {(*mortals).five, func(m *mortals, t *testing.T, n int) error {
			_, err := m.ChangeConfig(t.Context(), m.actor, m.live(t), ConfigChange{Set: map[string]string{"A": fmt.Sprint(n)}}, silent{})
			return err
		}},
		"restart": {(*mortals).five, func(m *mortals, t *testing.T, _ int) error {
			return m.Restart(t.Context(), m.actor, m.live(t), silent{})
		}},
		"plan": {(*mortals).onBasic, func(m *mortals, t *testing.T, _ int) error {
			return m.ChangeAppPlan(t.Context(), m.actor, m.live(t), "small", silent{})
		}},
		"stop": {(*mortals).started, func(m *mortals, t *testing.T, _ int) error {
			return m.StopApp(t.Context(), m.actor, m.live(t), silent{})
		}},
	}
}

// killedBefore has a control plane killed before a step of the change, and another
// one follow. It reports whether the change has fewer steps.
func (m *mortals) killedBefore(t *testing.T, step int, change change) (lived bool) {
	life := m.begin(t)
	if change.before != nil {
		change.before(m, t, step)
	}
	m.settled(t)
	life.endAfter(step)
	err := change.do(m, t, step)
	m.idle(t)
	life.endAfter(-1)
	if lived = life.goesOn(); lived {
		require.NoError(t, err)
	}
	m.Stop()

	m.begin(t)
	m.settled(t)
	if err := change.do(m, t, step); !models.IsCode(err, models.Conflict) { // else it was done
		require.NoError(t, err)
	}
	m.settled(t)
	return lived
}

// deploy pushes what nobody pushed yet, unless it is live.
func (m *mortals) deploy(t *testing.T, n int) error {
	if commit := oid(100 + n); m.main(t) == commit {
		return nil
	}
	_, err := m.push(t, 100+n)
	return err
}

// five has the App run as many Instances as its plan allows, half of what its nodes
// have room for.
func (m *mortals) five(t *testing.T, n int) {
	t.Helper()
	if m.live(t).LiveReleaseID == nil {
		_, err := m.push(t, 1)
		require.NoError(t, err)
	}
	require.NoError(t, scaling(models.Formation{"web": 4, "worker": 1})(m, t, n))
}

// twice is five, with a Release to go back to.
func (m *mortals) twice(t *testing.T, n int) {
	t.Helper()
	m.five(t, n)
	require.NoError(t, m.deploy(t, n))
}

func (m *mortals) onBasic(t *testing.T, n int) {
	t.Helper()
	m.five(t, n)
	if n > 0 {
		require.NoError(t, m.ChangeAppPlan(t.Context(), m.actor, m.live(t), "basic", silent{}))
	}
}

func (m *mortals) started(t *testing.T, n int) {
	t.Helper()
	if m.live(t).Stopped {
		require.NoError(t, m.StartApp(t.Context(), m.actor, m.live(t), silent{}))
	}
	m.five(t, n)
}

func scaling(formation models.Formation) func(*mortals, *testing.T, int) error {
	return func(m *mortals, t *testing.T, _ int) error {
		return m.Scale(t.Context(), m.actor, m.live(t), formation, silent{})
	}
}

// idle waits until the App's lane has nothing to do, or ends.
func (m *mortals) idle(t *testing.T) {
	t.Helper()
	for range 2 { // chores come behind what was in the lane
		_ = m.lanes.do(t.Context(), m.app.ID, func(context.Context) error { return nil })
	}
}

// settled waits until the App's lane is idle, and looks whether all that there is
// belongs together.
func (m *mortals) settled(t *testing.T) {
	t.Helper()
	m.idle(t)
	m.Fleet.(mortalNodes).goOn()
	ctx := t.Context()
	builds, err := m.Store.Builds(ctx, m.app.ID, 100)
	require.NoError(t, err)
	app := m.live(t)
	if len(builds) > 0 {
		require.Equal(t, models.BuildSucceeded, builds[0].State, builds[0].Error)
		release, err := m.Store.ReleaseOfBuild(ctx, builds[0].ID)
		require.NoError(t, err)
		deployment, err := m.Store.DeploymentOf(ctx, release.ID)
		require.NoError(t, err)
		require.Equal(t, models.DeploymentLive, deployment.State, "the push was accepted: %s", deployment.Error)
		require.NoError(t, m.BuildLog(ctx, builds[0], 0, true, func(logs.Entry) error { return nil }), "its log ends")
	}
	unfinished, err := m.Store.UnfinishedDeployments(ctx)
	require.NoError(t, err)
	require.Empty(t, unfinished)
	if app.LiveReleaseID == nil {
		return
	}
	live, err := m.Store.Release(ctx, *app.LiveReleaseID)
	require.NoError(t, err)
	require.Equal(t, live.Commit, m.main(t))
	deployment, err := m.Store.DeploymentOf(ctx, live.ID)
	require.NoError(t, err)
	require.Equal(t, models.DeploymentLive, deployment.State, deployment.Error)
	m.whole(t, app, live)
}

// whole looks whether exactly what the App is to run does, and is charged.
func (m *mortals) whole(t *testing.T, app models.App, live models.Release) {
	t.Helper()
	instances, err := m.Store.Instances(t.Context(), app.ID)
	require.NoError(t, err)
	open, err := m.Store.OpenUsageOf(t.Context(), app.OrganisationID)
	require.NoError(t, err)
	var charged, there []models.ID
	for _, interval := range open {
		charged = append(charged, interval.InstanceID)
	}
	counted := models.Formation{}
	for process := range live.Processes {
		counted[process] = 0
	}
	for _, instance := range instances {
		there = append(there, instance.ID)
		require.Equal(t, live.ID, instance.ReleaseID)
		require.Equal(t, app.PlanID, instance.PlanID)
		require.True(t, m.nodes.isHealthy(instance.ID), instance.Process)
		counted[instance.Process]++
	}
	wanted := formation(app, live)
	for process := range wanted {
		if app.Stopped {
			wanted[process] = 0
		}
	}
	require.Equal(t, wanted, counted)
	require.ElementsMatch(t, there, charged)
	require.Len(t, m.Fleet.Instances(app.ID), len(there), "what agents run")
	verified, err := m.VerifyBilling(t.Context(), m.actor)
	require.NoError(t, err)
	require.Empty(t, verified.Mismatches)
}
