// Command webhook measures how many deliveries of GitHub's Sky accepts, and whether
// any that it acknowledged is lost when it is killed.
//
//	go run ./bench/webhook -sky bin/sky
//
// It starts Sky on each engine, links an app with a GitHub stand-in, and sends
// signed pushes as fast as they are accepted. A delivery is accepted once it is
// durable. What counts is the time of Sky's processor, not ours: client and server
// share the machine. Then the same again, with SIGKILL in the middle; every
// acknowledged delivery must be in the ledger afterwards.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
)

// load is how much to send.
type load struct {
	deliveries, clients, kills int
}

func main() { lab.Main("webhook", run) }

func run(ctx context.Context) error {
	given := load{}
	sky := flag.String("sky", "bin/sky", "the sky program")
	flag.IntVar(&given.deliveries, "deliveries", 10_000, "deliveries to measure with")
	flag.IntVar(&given.clients, "clients", 32, "how many are sent at once")
	flag.IntVar(&given.kills, "kills", 5, "how often Sky is killed")
	flag.Parse()
	return lab.OnServers(func(engine, url string) error { return measure(ctx, *sky, engine, url, given) })
}

func measure(ctx context.Context, sky, engine, address string, given load) (err error) {
	l, err := lab.Open(ctx, sky, "--database-url", address, "--api-rate", "0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	s, err := newSender(ctx, l)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	before, begun := cpuOf(l.PID()), time.Now()
	sent, err := s.send(ctx, given.deliveries, given.clients)
	if err != nil {
		return err
	}
	wall, cpu := time.Since(begun), cpuOf(l.PID())-before
	if sent.refused > 0 {
		return fmt.Errorf("%d deliveries were refused", sent.refused)
	}
	decided, err := s.decided(ctx)
	if err != nil {
		return err
	}
	whole := cpuOf(l.PID()) - before
	fmt.Printf("%s: %d deliveries of %d bytes from %d clients\n", engine, given.deliveries, s.size(), given.clients)
	fmt.Printf("  accepted     %6.0f/s by the clock, %6.0f/s of one processor\n", rate(given.deliveries, wall), rate(given.deliveries, cpu))
	fmt.Printf("  and decided  %6.0f/s of one processor; the last %s after it was accepted\n", rate(given.deliveries, whole), decided.Round(time.Millisecond))
	fmt.Printf("  until acknowledged: median %s, p99 %s\n",
		lab.Quantile(sent.took, 0.5).Round(10*time.Microsecond), lab.Quantile(sent.took, 0.99).Round(10*time.Microsecond))
	return s.killed(ctx, given)
}

func rate(count int, took time.Duration) float64 { return float64(count) / took.Seconds() }
