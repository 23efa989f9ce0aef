package main

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
)

// running is an instance, as the independent computation knows it.
type running struct {
	organisation models.ID
	priceMicros  int64
	startedAt    time.Time
}

// fill makes the organisations and the instances that they pay for.
func fill(ctx context.Context, database *store.Store, random *rand.Rand, given size) ([]running, error) {
	owner := models.User{ID: models.NewID(), Name: "owner"}
	if err := database.CreateUser(ctx, &owner); err != nil {
		return nil, err
	}
	organisations := make([]models.ID, given.organisations)
	err := database.Transact(ctx, func(tx *store.Store) error {
		for i := range organisations {
			organisations[i] = models.NewID()
			row := models.Organisation{ID: organisations[i], Name: fmt.Sprintf("org-%d", i)}
			if err := tx.CreateOrganisation(ctx, &row, owner.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := make([]running, given.instances)
	intervals := make([]models.UsageInterval, given.instances)
	for i := range intervals {
		one := running{
			organisation: organisations[i%len(organisations)], priceMicros: random.Int64N(100_000) + 1,
			startedAt: start.Add(time.Duration(random.Int64N(int64(time.Hour)))).Truncate(time.Microsecond),
		}
		all[i] = one
		intervals[i] = models.UsageInterval{
			ID: models.NewID(), InstanceID: models.NewID(), OrganisationID: one.organisation, AppID: models.NewID(), AppName: "shop", Process: "web",
			PlanName: "basic", PriceHour: models.Money(one.priceMicros), StartedAt: one.startedAt, BilledUntil: one.startedAt,
		}
	}
	return all, database.OpenUsage(ctx, intervals)
}

// killed bills the third hour in processes that are killed, until one gets
// through. It returns how much of the hour each kill found billed, in percent,
// where it was neither nothing nor all.
func killed(ctx context.Context, database *store.Store, address string, random *rand.Rand, whole time.Duration, given size) ([]int, error) {
	var progress []int
	for range given.kills {
		if err := killOne(ctx, address, time.Duration(random.Int64N(1+2*int64(whole)/int64(given.kills)))); err != nil {
			return nil, err
		}
		left, err := database.OrganisationsDue(ctx, start.Add(3*time.Hour))
		if err != nil {
			return nil, err
		}
		if len(left) > 0 && len(left) < given.organisations {
			progress = append(progress, 100-100*len(left)/given.organisations)
		}
	}
	last := biller(ctx, address)
	return progress, last.Run()
}

func biller(ctx context.Context, address string) *exec.Cmd {
	child := exec.CommandContext(ctx, os.Args[0], "-bill", address, "-hours", strconv.Itoa(3))
	child.Stderr = os.Stderr
	return child
}

// killOne kills a process that bills, so long after it begins.
func killOne(ctx context.Context, address string, after time.Duration) error {
	child := biller(ctx, address)
	output, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	if _, err := output.Read(make([]byte, 8)); err != nil {
		return fmt.Errorf("it did not begin: %w", err)
	}
	kill := time.AfterFunc(after, func() { _ = child.Process.Kill() })
	_ = child.Wait() // it was killed
	kill.Stop()
	return nil
}

// compare holds every wallet to what the instances have cost since they began,
// in exact fractions, rounded half up for each instance.
func compare(ctx context.Context, engine string, p *platform.Platform, all []running, hours int) error {
	end, want := start.Add(time.Duration(hours)*time.Hour), map[models.ID]*big.Int{}
	for _, one := range all {
		ran := new(big.Rat).SetFrac64(end.Sub(one.startedAt).Nanoseconds(), int64(time.Hour))
		cost := ran.Mul(ran, new(big.Rat).SetInt64(one.priceMicros))
		cost.Add(cost, big.NewRat(1, 2)) // rounds half up, with the division
		if want[one.organisation] == nil {
			want[one.organisation] = new(big.Int)
		}
		want[one.organisation].Add(want[one.organisation], new(big.Int).Quo(cost.Num(), cost.Denom()))
	}
	total := new(big.Int)
	for organisation, owed := range want {
		wallet, err := p.Store.Wallet(ctx, organisation)
		if err != nil {
			return err
		}
		if owed.Int64() != -int64(wallet.Balance) {
			return fmt.Errorf("organisation %s owes %s millionths and was billed %d", organisation, owed, -wallet.Balance)
		}
		total.Add(total, owed)
	}
	found, err := p.VerifyBilling(ctx, admin)
	if err != nil {
		return err
	}
	if len(found.Mismatches) > 0 {
		return fmt.Errorf("%d totals do not add up: %v", len(found.Mismatches), found.Mismatches[0])
	}
	fmt.Printf("%-10s %s millionths in %d wallets: all as computed apart; %d intervals and %d ledgers replayed, none differs\n",
		engine, total, len(want), found.Intervals, found.Ledgers)
	return nil
}
