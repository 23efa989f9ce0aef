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

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
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
