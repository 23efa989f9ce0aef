// Command billing measures what it costs to bill an hour of many running
// instances, and shows that no kill changes a total.
//
//	go run ./bench/billing
//
// It fills an empty database of each engine with organisations and instances
// that began at random moments at random prices. One hour is billed in peace,
// and timed. The next is billed by processes of which 27 are killed (SIGKILL)
// at random moments, each followed by another that goes on. Then every wallet is
// compared, to the millionth, with a computation that shares no code with ours.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// size is how much there is to bill.
type size struct {
	instances, organisations, kills int
	seed                            uint64
}

// start is when the first instances began, at the earliest.
var start = time.Date(2026, 11, 22, 14, 0, 0, 0, time.UTC)

func main() { lab.Main("billing", run) }

func run(ctx context.Context) error {
	given := size{}
	flag.IntVar(&given.instances, "instances", 100_000, "instances that run")
	flag.IntVar(&given.organisations, "organisations", 1_000, "organisations that pay for them")
	flag.IntVar(&given.kills, "kills", 27, "kills at random moments")
	flag.Uint64Var(&given.seed, "seed", 1, "of what is random")
	address := flag.String("bill", "", "bill the database at this address, and end: what the benchmark kills")
	hours := flag.Int("hours", 1, "with -bill, up to so many hours after the start")
	flag.Parse()
	if *address != "" {
		return bill(ctx, *address, *hours)
	}
	return lab.OnEngines(func(engine, address string) error { return measure(ctx, engine, address, given) })
}

// bill is the process that is killed.
func bill(ctx context.Context, address string, hours int) error {
	database, err := lab.OpenStore(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = database.Close() }()
	fmt.Println("billing")
	p := &platform.Platform{Store: database, Log: slog.New(slog.DiscardHandler)}
	return p.Bill(ctx, start.Add(time.Duration(hours)*time.Hour))
}

func measure(ctx context.Context, engine, address string, given size) error {
	database, err := lab.OpenStore(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = database.Close() }()
	random := rand.New(rand.NewPCG(given.seed, 27))
	running, err := fill(ctx, database, random, given)
	if err != nil {
		return err
	}
	p := &platform.Platform{Store: database, Log: slog.New(slog.DiscardHandler)}
	if err := p.Bill(ctx, start.Add(time.Hour)); err != nil { // the hour in which they began
		return err
	}
	began := time.Now()
	if err := p.Bill(ctx, start.Add(2*time.Hour)); err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("%-10s %d instances of %d organisations, one hour: %.2f s, %.1f µs for each instance\n",
		engine, given.instances, given.organisations, took.Seconds(), float64(took.Microseconds())/float64(given.instances))
	progress, err := killed(ctx, database, address, random, took, given)
	if err != nil {
		return err
	}
	fmt.Printf("%-10s next hour, %d kills, of which %d left work half done; percent billed after each of them: %v\n", engine, given.kills, len(progress), progress)
	return compare(ctx, engine, p, running, 3)
}

// admin may verify.
var admin = models.Actor{Name: "bench", Admin: true, Scopes: models.AllScopes()}
