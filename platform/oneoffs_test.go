package platform

import (
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/billing"
	"github.com/stretchr/testify/require"
)

// TestOneOffsAreCharged as any instance of their plan, for as long as their command
// ran, whatever its node's clock says. One whose command never ran costs nothing.
func TestOneOffsAreCharged(t *testing.T) {
	s := newStage(t)
	ctx, price := t.Context(), 3600*models.MoneyUnit // a millionth for each microsecond
	on := true
	_, err := s.ChangeOptions(ctx, s.actor, OptionsChange{Billing: &on})
	require.NoError(t, err)
	_, err = s.ChangePlan(ctx, s.actor, "basic", "", PlanChange{PriceHour: &price})
	require.NoError(t, err)
	_, err = s.push(t, 1)
	require.NoError(t, err)
	s.nodes.become = attendedAt
	var ran time.Duration
	for _, skew := range []time.Duration{-time.Hour, 0, time.Hour} {
		run := s.runs(t)
		from := now()
		s.tells(run, skew, protocol.StateHealthy, from)
		until := now()
		s.tells(run, skew, protocol.StateStopped, until)
		require.NoError(t, s.EndRun(ctx, s.actor, s.live(t), "run.1"))
		interval := s.usageOf(t, run)
		require.Equal(t, models.OneOffProcess, interval.Process)
		require.Equal(t, "basic", interval.PlanName)
		require.Equal(t, []time.Time{from, until}, []time.Time{interval.StartedAt, *interval.EndedAt}, "by a clock that is %s off", skew)
		ran += until.Sub(from)
	}

	failed := s.runs(t)
	s.tells(failed, 0, protocol.StateFailed, now())
	require.NoError(t, s.EndRun(ctx, s.actor, s.live(t), "run.1"))
	require.Zero(t, s.usageOf(t, failed))

	require.NoError(t, s.Bill(ctx, now().Add(time.Hour)))
	wallet, err := s.Store.Wallet(ctx, s.app.OrganisationID)
	require.NoError(t, err)
	require.Equal(t, -billing.Cost(price, ran), wallet.Balance)
	require.Equal(t, models.Money(ran.Microseconds()), -wallet.Balance)
	verified, err := s.VerifyBilling(ctx, s.actor)
	require.NoError(t, err)
	require.Empty(t, verified.Mismatches)
}

// TestAOneOffThatIsLetGoOfIsChargedNoMore, whether its agent tells of its end or not.
func TestAOneOffThatIsLetGoOfIsChargedNoMore(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	s.nodes.become = attendedAt
	run := s.runs(t)
	s.tells(run, 0, protocol.StateHealthy, now())
	require.Nil(t, s.usageOf(t, run).EndedAt)
	require.NoError(t, s.EndRun(t.Context(), s.actor, s.live(t), "run.1"))
	require.NotNil(t, s.usageOf(t, run).EndedAt)
}

// runs starts a one-off.
func (s *stage) runs(t *testing.T) models.Instance {
	t.Helper()
	_, err := s.StartRun(t.Context(), s.actor, s.live(t), []string{"sleep", "600"})
	require.NoError(t, err)
	oneOffs := s.oneOffs(t)
	require.Len(t, oneOffs, 1)
	return oneOffs[0]
}

// tells has the agent of an Instance, whose clock is off, tell its state.
func (s *stage) tells(instance models.Instance, skew time.Duration, state string, since time.Time) {
	heard := now()
	said := protocol.Observed{At: heard.Add(skew), Instances: []protocol.InstanceStatus{{
		ID: instance.ID.String(), AppID: instance.AppID.String(), State: state, Since: since.Add(skew),
	}}}
	s.Observed(s.ctx, instance.NodeID, said.ByClock(heard))
}

// usageOf is the interval of an Instance, or zero.
func (s *stage) usageOf(t *testing.T, instance models.Instance) models.UsageInterval {
	t.Helper()
	rows, err := s.Store.Usage(t.Context(), s.app.OrganisationID, time.Time{}, now().Add(time.Hour), models.PageRequest{})
	require.NoError(t, err)
	for _, row := range rows.Items {
		if row.InstanceID == instance.ID {
			return row
		}
	}
	return models.UsageInterval{}
}
