// Command rollout measures PERF-3: rollouts under load, of which no request may
// fail.
//
//	go run ./bench/rollout -sky bin/sky
//
// Each rollout is a change of config, which makes a release without a build. The
// load is open-loop: requests leave by the clock whether or not earlier ones
// were answered, latency counts from when a request was due, and nothing is ever
// asked twice. A request fails when it is not answered with 200 and the app's
// own words.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/bench/internal/lab"
)

func main() { lab.Main("rollout", run) }

func run(ctx context.Context) (err error) {
	sky := flag.String("sky", "bin/sky", "the sky program")
	rollouts := flag.Int("rollouts", 50, "rollouts to make")
	rate := flag.Int("rate", 500, "requests per second")
	example := flag.String("example", "go", "the example to run: go or node")
	flag.Parse()
	l, err := lab.Open(ctx, *sky)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	app, err := l.NewApp(ctx, "rolling", filepath.Join("examples", *example))
	if err != nil {
		return err
	}
	if err := app.Commit(ctx, "Begin"); err != nil {
		return err
	}
	if _, err := app.Push(ctx, nil); err != nil {
		return err
	}
	load := newLoad(app, *rate)
	load.start(ctx)
	took, err := rollAll(ctx, l, app.Name, *rollouts, load)
	result := load.stop()
	if err != nil {
		return err
	}
	show(*rollouts, took, result)
	if result.failed > 0 {
		return fmt.Errorf("%d requests failed", result.failed)
	}
	return nil
}

// rollAll makes the rollouts, one after the other, and returns how long each
// took from the call to the first answer of the new release.
func rollAll(ctx context.Context, l *lab.Lab, app string, rollouts int, load *load) ([]time.Duration, error) {
	var took []time.Duration
	for number := range rollouts {
		called := time.Now()
		done, err := l.Client.ChangeEnv(ctx, app, v1.EnvChange{Set: map[string]string{"N": strconv.Itoa(number)}})
		if err != nil {
			return nil, fmt.Errorf("rollout %d: %w", number, err)
		}
		first, err := load.firstAnswer(ctx, done.Release)
		if err != nil {
			return nil, err
		}
		took = append(took, first.Sub(called))
	}
	return took, nil
}

func show(rollouts int, took []time.Duration, result result) {
	fmt.Printf("%d rollouts, %d requests\n", rollouts, result.requests)
	fmt.Printf("  failed                          %8d (goal: 0)\n", result.failed)
	for reason, count := range result.reasons {
		fmt.Printf("    %s: %d\n", reason, count)
	}
	row := func(name string, value time.Duration) {
		fmt.Printf("  %-30s %8.1f ms\n", name, float64(value.Microseconds())/1000)
	}
	row("latency, median", lab.Quantile(result.latencies, 0.5))
	row("latency, 99th percentile", lab.Quantile(result.latencies, 0.99))
	row("latency, worst", lab.Quantile(result.latencies, 1))
	row("image ready to serving, median", lab.Quantile(took, 0.5))
	row("image ready to serving, 99th", lab.Quantile(took, 0.99))
}
