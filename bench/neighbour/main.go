// Command neighbour measures what a build costs the apps beside it: the 99th
// percentile of a running app's latency while nothing else happens, and while
// another app's build spins on all CPUs and takes all the memory that it gets.
//
//	go run ./bench/neighbour -sky bin/sky
//
// The app is examples/go, pushed to a Sky of the benchmark's own and asked
// through the ingress. The build is made by buildpipeline.Builder, as root on the
// engine's own machine, with the weight alone that every build gets, with a plan's
// memory as well, and with a plan's memory and CPU.
// All take turns in every round; the median of the windows' percentiles counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
	"github.com/skypanel/sky/buildpipeline"
)

func main() { lab.Main("neighbour", run) }

// condition is what happens beside the app.
type condition struct {
	name   string
	builds bool
	limits buildpipeline.Limits
}

const planMemory = 512 << 20

var conditions = []condition{
	{name: "quiet"},
	{"build, its weight alone", true, buildpipeline.Limits{}},
	{"build with 512 MB", true, buildpipeline.Limits{MemoryBytes: planMemory}},
	{"build with 512 MB and one CPU", true, buildpipeline.Limits{MemoryBytes: planMemory, CPUMillis: 1000}},
}

type settings struct {
	rounds, rate, memory int
	window               time.Duration
}

func run(ctx context.Context) (err error) {
	var s settings
	sky := flag.String("sky", "bin/sky", "the sky program")
	flag.IntVar(&s.rounds, "rounds", 7, "windows under each condition")
	flag.IntVar(&s.rate, "rate", 100, "requests per second")
	flag.DurationVar(&s.window, "window", 8*time.Second, "how long each is measured")
	flag.IntVar(&s.memory, "memory", 4096, "MB that the build tries to take")
	flag.Parse()
	l, err := lab.Open(ctx, *sky)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	app, err := l.NewApp(ctx, "neighbour", filepath.Join("examples", "go"))
	if err != nil {
		return err
	}
	if err := app.Commit(ctx, "Begin"); err != nil {
		return err
	}
	if _, err := app.Push(ctx, nil); err != nil {
		return err
	}
	if _, err := lab.Await(ctx, app.Request, "Hello"); err != nil {
		return err
	}
	hog, err := newHog(s.memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hog.close(context.WithoutCancel(ctx))) }()
	return measure(ctx, app, hog, s)
}

// measure takes the conditions in turns, from another one in each round.
func measure(ctx context.Context, app *lab.App, hog *hog, s settings) error {
	order := slices.Clone(conditions)
	windows := map[string][]window{}
	for range s.rounds {
		for _, c := range order {
			taken, err := under(ctx, c, app, hog, s)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			windows[c.name] = append(windows[c.name], taken)
		}
		order = append(order[1:], order[0])
	}
	show(windows)
	return nil
}

// settle is how long what ended or began may take to be felt.
const settle = 2 * time.Second

// under measures one window.
func under(ctx context.Context, c condition, app *lab.App, hog *hog, s settings) (window, error) {
	if c.builds {
		if err := hog.begin(ctx, c.limits); err != nil {
			return window{}, err
		}
		defer hog.end()
	}
	select {
	case <-ctx.Done():
		return window{}, ctx.Err()
	case <-time.After(settle):
	}
	taken, err := ask(ctx, app, s.rate, s.window)
	if err == nil && c.builds {
		err = hog.alive()
	}
	return taken, err
}

func show(windows map[string][]window) {
	quiet := median(windows["quiet"], 0.99)
	fmt.Printf("\nmedian of %d windows, milliseconds\n", len(windows["quiet"]))
	fmt.Printf("  %-32s %8s %8s %8s %8s %8s\n", "", "p50", "p99", "worst", "failed", "÷ quiet")
	for _, c := range conditions {
		failed := 0
		for _, w := range windows[c.name] {
			failed += w.failed
		}
		p99 := median(windows[c.name], 0.99)
		fmt.Printf("  %-32s %8.2f %8.2f %8.2f %8d %8.2f\n", c.name, millis(median(windows[c.name], 0.5)), millis(p99),
			millis(median(windows[c.name], 1)), failed, float64(p99)/float64(quiet))
	}
}

// median is that of the windows' quantiles.
func median(windows []window, share float64) time.Duration {
	var each []time.Duration
	for _, w := range windows {
		each = append(each, lab.Quantile(w.latencies, share))
	}
	return lab.Quantile(each, 0.5)
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
