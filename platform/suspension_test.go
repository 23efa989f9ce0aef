package platform

import (
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

// TestFundsRunOut plays an Organisation's way from its last money to suspension
// and back.
func TestFundsRunOut(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	on, hours := true, 24
	_, err := s.ChangeOptions(ctx, s.actor, OptionsChange{Billing: &on, GraceHours: &hours})
	require.NoError(t, err)
	_, err = s.push(t, 1)
	require.NoError(t, err)
	own, err := s.Store.Organisation(ctx, s.app.OrganisationID)
	require.NoError(t, err)
	begin := now()
	s.Observed(ctx, models.ID{}, protocol.Observed{Instances: s.nodes.Instances(s.app.ID)})
	_, err = s.TopUp(ctx, s.actor, own.Name, models.LedgerEntry{Kind: models.LedgerTopUp, Amount: 20_000, Ref: "bank 1"})
	require.NoError(t, err)
	_, err = s.TopUp(ctx, s.actor, own.Name, models.LedgerEntry{Kind: models.LedgerTopUp, Amount: 20_000, Ref: "bank 1"})
	require.True(t, models.IsCode(err, models.Conflict), "a payment counts once")

	kinds := func() (kinds []string) {
		told, err := s.Notifications(ctx, s.actor, own.Name, false, models.PageRequest{})
		require.NoError(t, err)
		for _, row := range told.Items {
			kinds = append([]string{row.Kind}, kinds...)
		}
		return kinds
	}
	look := func(after time.Duration) models.Organisation {
		at := begin.Add(after)
		require.NoError(t, s.Bill(ctx, at))
		require.NoError(t, s.Settle(ctx, at))
		require.NoError(t, s.Settle(ctx, at))
		require.NoError(t, s.enforceSuspensions(ctx))
		now, err := s.Store.Organisation(ctx, own.ID)
		require.NoError(t, err)
		return now
	}
	require.False(t, look(time.Minute).Suspended)
	require.Equal(t, []string{"billing.low"}, kinds())
	require.False(t, look(5*time.Hour).Suspended)
	require.Equal(t, []string{"billing.low", "billing.out"}, kinds())
	require.True(t, look(30*time.Hour).Suspended)
	instances, err := s.Store.Instances(ctx, s.app.ID)
	require.NoError(t, err)
	require.Empty(t, instances, "nothing runs")
	status, err := s.Status(ctx, s.live(t))
	require.NoError(t, err)
	require.Equal(t, "suspended", status.State)
	err = s.Restart(ctx, s.actor, s.live(t), silent{})
	require.ErrorContains(t, err, "suspended: out of funds")

	_, err = s.TopUp(ctx, s.actor, own.Name, models.LedgerEntry{Kind: models.LedgerTopUp, Amount: 100 * models.MoneyUnit})
	require.NoError(t, err)
	require.False(t, look(31*time.Hour).Suspended)
	require.Equal(t, []string{"billing.low", "billing.out", "billing.suspended", "billing.resumed"}, kinds())
	require.False(t, s.live(t).Suspended)
	instances, err = s.Store.Instances(ctx, s.app.ID)
	require.NoError(t, err)
	require.NotEmpty(t, instances, "it runs again")
	found, err := s.VerifyBilling(ctx, s.actor)
	require.NoError(t, err)
	require.Empty(t, found.Mismatches)
}

// TestWhatIsStoppedWhileSuspendedStaysStopped: and what is refused meanwhile
// leaves no Release behind.
func TestWhatIsStoppedWhileSuspendedStaysStopped(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	for digit := 1; digit <= 2; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	fresh, err := s.CreateApp(ctx, s.actor, NewApp{Name: "fresh"})
	require.NoError(t, err)
	_, err = s.Store.UpdateApp(ctx, fresh.ID, func(app *models.App) error {
		app.Suspended = true // its first push was on its way when the organisation was suspended
		return nil
	})
	require.NoError(t, err)
	_, err = s.SuspendOrganisation(ctx, s.actor, "admin", true, "")
	require.NoError(t, err)
	require.NoError(t, s.enforceSuspensions(ctx))
	_, err = s.Rollback(ctx, s.actor, s.live(t), 0, silent{})
	require.ErrorContains(t, err, "is suspended")
	_, err = s.Promote(ctx, s.actor, Promotion{From: s.live(t), To: fresh}, silent{})
	require.ErrorContains(t, err, "is suspended")
	unfinished, err := s.Store.UnfinishedDeployments(ctx)
	require.NoError(t, err)
	require.Empty(t, unfinished)

	require.NoError(t, s.StopApp(ctx, s.actor, s.live(t), silent{}))
	_, err = s.SuspendOrganisation(ctx, s.actor, "admin", false, "")
	require.NoError(t, err)
	require.NoError(t, s.enforceSuspensions(ctx))
	require.True(t, s.live(t).Stopped)
	require.False(t, s.live(t).Suspended)
	instances, err := s.Store.Instances(ctx, s.app.ID)
	require.NoError(t, err)
	require.Empty(t, instances)
	fresh, err = s.Store.App(ctx, fresh.ID)
	require.NoError(t, err)
	require.False(t, fresh.Suspended)
	require.False(t, fresh.Stopped)
}

// TestNoTopUpLiftsAnAdminsSuspension: that funds run out meanwhile does not make
// it one of those that a top-up lifts.
func TestNoTopUpLiftsAnAdminsSuspension(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		for name, reason := range map[string]string{"acme": "abuse", "globex": outOfFunds} {
			b.organisation(t, name)
			_, err := b.TopUp(ctx, b.admin, name, models.LedgerEntry{Kind: models.LedgerAdjustment, Amount: -1})
			require.NoError(t, err)
			begin := now()
			require.NoError(t, b.Settle(ctx, begin), "the grace begins")
			_, err = b.SuspendOrganisation(ctx, b.admin, name, true, reason)
			require.NoError(t, err)
			require.NoError(t, b.Settle(ctx, begin.Add(48*time.Hour)), "the grace is over")
			_, err = b.TopUp(ctx, b.admin, name, models.LedgerEntry{Kind: models.LedgerTopUp, Amount: 10 * models.MoneyUnit})
			require.NoError(t, err)
			require.NoError(t, b.Settle(ctx, begin.Add(49*time.Hour)))
			still, err := b.Store.OrganisationByName(ctx, name)
			require.NoError(t, err)
			require.True(t, still.Suspended, name)
			require.NotEqual(t, outOfFunds, still.SuspendedReason)
		}
	})
}

// TestSwitchingBillingOffForgives: who was suspended for want of funds runs
// again; who was suspended by an admin does not.
func TestSwitchingBillingOffForgives(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		broke, barred := b.organisation(t, "broke"), b.organisation(t, "barred")
		for organisation, reason := range map[models.ID]string{broke.ID: outOfFunds, barred.ID: "the bill"} {
			require.NoError(t, b.Store.Transact(t.Context(), func(tx *store.Store) error {
				return suspendOrganisation(t.Context(), tx, b.admin, organisation, true, reason)
			}))
		}
		off := false
		_, err := b.ChangeOptions(t.Context(), b.admin, OptionsChange{Billing: &off})
		require.NoError(t, err)
		require.NoError(t, b.Settle(t.Context(), now()))
		for organisation, suspended := range map[models.ID]bool{broke.ID: false, barred.ID: true} {
			row, err := b.Store.Organisation(t.Context(), organisation)
			require.NoError(t, err)
			require.Equal(t, suspended, row.Suspended)
		}
	})
}
