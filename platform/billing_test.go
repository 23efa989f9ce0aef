package platform

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/billing"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// books are a Platform that has nothing but a database.
type books struct {
	*Platform
	admin models.Actor
}

// onBothEngines runs test with books on SQLite and on PostgreSQL.
func onBothEngines(t *testing.T, test func(t *testing.T, b *books, address string)) {
	open := func(t *testing.T, address string) *books {
		database, err := openBooks(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, database.Close()) })
		b := &books{Platform: &Platform{Store: database, Log: slog.New(slog.DiscardHandler)}}
		b.admin = models.Actor{UserID: models.NewID(), Name: "root", Admin: true, Scopes: models.AllScopes()}
		require.NoError(t, database.CreateUser(t.Context(), &models.User{ID: b.admin.UserID, Name: "root", Admin: true}))
		_, err = b.Seed(t.Context())
		require.NoError(t, err)
		on := true
		_, err = b.ChangeOptions(t.Context(), b.admin, OptionsChange{Billing: &on})
		require.NoError(t, err)
		return b
	}
	t.Run("sqlite", func(t *testing.T) {
		address := filepath.Join(t.TempDir(), "sky.db")
		test(t, open(t, address), address)
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short")
		}
		address := testenv.Postgres(t)
		test(t, open(t, address), address)
	})
}

func openBooks(ctx context.Context, address string) (*store.Store, error) {
	if strings.HasSuffix(address, ".db") {
		return store.OpenSQLite(ctx, address)
	}
	return store.OpenPostgres(ctx, address)
}

func (b *books) organisation(t *testing.T, name string) models.Organisation {
	t.Helper()
	view, err := b.CreateOrganisation(t.Context(), b.admin, name, "")
	require.NoError(t, err)
	return view.Organisation
}

// usage makes intervals of random length and price, some of which still run, and
// returns what they cost up to a time, computed apart from the product.
func (b *books) usage(t *testing.T, random *rand.Rand, organisation models.ID, count int, until time.Time) models.Money {
	t.Helper()
	var total models.Money
	intervals := make([]models.UsageInterval, count)
	for i := range intervals {
		started := until.Add(-time.Duration(random.Int64N(int64(90 * time.Hour)))).Truncate(time.Microsecond)
		interval := models.UsageInterval{
			ID: models.NewID(), InstanceID: models.NewID(), OrganisationID: organisation, AppID: models.NewID(), AppName: "shop",
			Process: "web", PlanName: "basic", PriceHour: models.Money(random.Int64N(100_000)), StartedAt: started, BilledUntil: started,
		}
		limit := until.Truncate(time.Hour)
		if random.IntN(2) == 0 {
			ended := started.Add(time.Duration(random.Int64N(int64(20 * time.Hour)))).Truncate(time.Microsecond)
			if ended.After(until) {
				ended = until
			}
			interval.EndedAt, limit = &ended, ended
		}
		intervals[i] = interval
		if ran := limit.Sub(started).Microseconds(); ran > 0 {
			const hour = 3_600_000_000 // microseconds; prices here are small enough for 64 bits
			total += models.Money((int64(interval.PriceHour)*ran + hour/2) / hour)
		}
	}
	require.NoError(t, b.Store.OpenUsage(t.Context(), intervals))
	return total
}

func (b *books) requireExact(t *testing.T, want map[models.ID]models.Money) {
	t.Helper()
	found, err := b.VerifyBilling(t.Context(), b.admin)
	require.NoError(t, err)
	require.Empty(t, found.Mismatches)
	for organisation, total := range want {
		wallet, err := b.Store.Wallet(t.Context(), organisation)
		require.NoError(t, err)
		require.Equal(t, -total, wallet.Balance)
	}
}

// TestBillingIsExactUnderRaces: four processes bill the same usage, again and
// again, at times that jump; every total is what an independent computation says.
func TestBillingIsExactUnderRaces(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		random := rand.New(rand.NewPCG(3, 4))
		until := time.Date(2026, 11, 22, 15, 17, 3, 0, time.UTC)
		want := map[models.ID]models.Money{}
		for _, name := range []string{"acme", "globex"} {
			organisation := b.organisation(t, name)
			want[organisation.ID] = b.usage(t, random, organisation.ID, billBatch+100, until)
		}
		var group sync.WaitGroup
		for worker := range 4 {
			group.Go(func() {
				for _, back := range []time.Duration{60 * time.Hour, 80 * time.Hour, 3 * time.Hour, 0} { // the clock jumps too
					at := until.Add(-back - time.Duration(worker)*time.Hour)
					if err := b.Bill(context.WithoutCancel(t.Context()), at); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		require.NoError(t, b.Bill(t.Context(), until))
		b.requireExact(t, want)
		due, err := b.Store.OrganisationsDue(t.Context(), until.Truncate(time.Hour))
		require.NoError(t, err)
		require.Empty(t, due)
	})
}

const killedBooks = "SKY_TEST_BILL"

// TestKilledBiller is not a test of its own: TestBillingSurvivesKill runs it, to
// be killed.
func TestKilledBiller(t *testing.T) {
	address := os.Getenv(killedBooks)
	if address == "" {
		t.Skip("TestBillingSurvivesKill runs it")
	}
	database, err := openBooks(t.Context(), address)
	require.NoError(t, err)
	p := &Platform{Store: database, Log: slog.New(slog.DiscardHandler)}
	at, err := time.Parse(time.RFC3339, os.Getenv(killedBooks+"_AT"))
	require.NoError(t, err)
	_, _ = os.Stdout.WriteString("billing\n")
	require.NoError(t, p.Bill(t.Context(), at))
}

// TestBillingSurvivesKill bills in processes that are killed anywhere in their
// work, until one gets through: nothing is billed twice, nothing is lost.
func TestBillingSurvivesKill(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, address string) {
		random := rand.New(rand.NewPCG(5, 6))
		until := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
		want := map[models.ID]models.Money{}
		organisation := b.organisation(t, "acme")
		want[organisation.ID] = b.usage(t, random, organisation.ID, 6*billBatch, until)
		for kills := range 9 {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledBiller$")
			child.Env = append(os.Environ(), killedBooks+"="+address, killedBooks+"_AT="+until.Format(time.RFC3339))
			output, err := child.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())
			_, err = output.Read(make([]byte, 8)) // it is about to begin
			require.NoError(t, err)
			kill := time.AfterFunc(time.Duration(kills)*7*time.Millisecond, func() { _ = child.Process.Kill() })
			_ = child.Wait()
			kill.Stop()
		}
		require.NoError(t, b.Bill(t.Context(), until))
		b.requireExact(t, want)
	})
}

// TestVerificationFindsWhatIsWrong: a total that somebody changed is named.
func TestVerificationFindsWhatIsWrong(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		until := time.Date(2026, 11, 22, 15, 0, 0, 0, time.UTC)
		organisation := b.organisation(t, "acme")
		b.usage(t, rand.New(rand.NewPCG(7, 8)), organisation.ID, 50, until)
		require.NoError(t, b.Bill(t.Context(), until))
		require.NoError(t, b.Store.Transact(t.Context(), func(tx *store.Store) error {
			wallet, err := tx.LockWallet(t.Context(), organisation.ID)
			wallet.Balance++
			require.NoError(t, err)
			return tx.SaveWallet(t.Context(), &wallet)
		}))
		found, err := b.VerifyBilling(t.Context(), b.admin)
		require.NoError(t, err)
		require.Len(t, found.Mismatches, 1)
		require.Contains(t, found.Mismatches[0].Subject, "balance of")
	})
}

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

// TestNoIntervalOutlivesItsInstance: an Instance that is let go of while its agent
// tells that it is healthy leaves no interval that nobody ends.
func TestNoIntervalOutlivesItsInstance(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		b.organisation(t, "acme")
		b.Repositories = &repositories{}
		app, err := b.CreateApp(ctx, b.admin, NewApp{Name: "shop", Organisation: "acme"})
		require.NoError(t, err)
		node, err := b.EnsureNode(ctx, "local")
		require.NoError(t, err)
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
