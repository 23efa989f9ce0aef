package platform

import (
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/billing"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoIntervalOutlivesItsInstance: an Instance that is let go of while its agent
// tells that it is healthy leaves no interval that nobody ends.
func TestNoIntervalOutlivesItsInstance(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		b.organisation(t, "acme")
		b.Repositories = &repositories{}
		app, err := b.CreateApp(ctx, b.admin, NewApp{Name: "shop", Organisation: "acme"})
		require.NoError(t, err)
		node := b.join(t, "local", 2, 4*gib)
		release := models.Release{ID: models.NewID(), AppID: app.ID, Config: []byte("sealed"), CreatedAt: now()}
		require.NoError(t, b.Store.CreateRelease(ctx, &release))
		for range 100 {
			instance := models.Instance{ID: models.NewID(), AppID: app.ID, ReleaseID: release.ID, NodeID: node.ID, Process: "web", CreatedAt: now()}
			_, err := b.Apply(ctx, rollout.Change{App: app.ID, Add: []models.Instance{instance}})
			require.NoError(t, err)
			var race sync.WaitGroup
			race.Go(func() {
				b.Observed(ctx, node.ID, protocol.Observed{Instances: []protocol.InstanceStatus{{
					ID: instance.ID.String(), AppID: app.ID.String(), State: string(models.InstanceHealthy), Since: now(),
				}}})
			})
			race.Go(func() {
				_, err := b.Apply(ctx, rollout.Change{App: app.ID, Remove: []models.Instance{instance}})
				assert.NoError(t, err)
			})
			race.Wait()
			open, err := b.Store.OpenInstances(ctx)
			require.NoError(t, err)
			require.Empty(t, open)
		}
	})
}

// TestUsageFollowsWhatRuns: an interval opens when an agent sees an Instance
// healthy, and ends when it fails or is let go of; reports that come twice or
// late change nothing.
func TestUsageFollowsWhatRuns(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	on := true
	_, err := s.ChangeOptions(ctx, s.actor, OptionsChange{Billing: &on})
	require.NoError(t, err)
	_, err = s.push(t, 1)
	require.NoError(t, err)
	instances, err := s.Store.Instances(ctx, s.app.ID)
	require.NoError(t, err)
	require.Len(t, instances, 1)
	seen := func(state models.InstanceState, since time.Time) {
		s.Observed(ctx, instances[0].NodeID, protocol.Observed{Instances: []protocol.InstanceStatus{{
			ID: instances[0].ID.String(), AppID: s.app.ID.String(), State: string(state), Since: since,
		}}})
	}
	usage := func() []models.UsageInterval {
		rows, err := s.Store.Usage(ctx, s.app.OrganisationID, time.Time{}, now().Add(time.Hour), models.PageRequest{})
		require.NoError(t, err)
		return rows.Items
	}
	seen(models.InstanceStarting, now())
	require.Empty(t, usage())
	healthy := now()
	seen(models.InstanceHealthy, healthy)
	seen(models.InstanceHealthy, healthy)
	s.meter = meter{} // another process hears of it
	seen(models.InstanceHealthy, healthy.Add(time.Second))
	rows := usage()
	require.Len(t, rows, 1)
	require.Equal(t, healthy, rows[0].StartedAt)
	require.Equal(t, "basic", rows[0].PlanName)
	require.NotZero(t, rows[0].PriceHour)

	price := models.Money(1)
	_, err = s.ChangePlan(ctx, s.actor, "basic", "", PlanChange{PriceHour: &price})
	require.NoError(t, err)
	require.Equal(t, rows[0].PriceHour, usage()[0].PriceHour, "what runs keeps its price")

	seen(models.InstanceFailed, now().Add(time.Hour)) // its node's clock is ahead
	ended := usage()[0].EndedAt
	require.NotNil(t, ended)
	require.False(t, ended.After(now()))
	seen(models.InstanceFailed, now())
	require.Equal(t, ended, usage()[0].EndedAt)
	require.NoError(t, s.StopApp(ctx, s.actor, s.live(t), silent{}))
	require.Equal(t, ended, usage()[0].EndedAt)
	require.Zero(t, billing.Cost(rows[0].PriceHour, -time.Second))
}
