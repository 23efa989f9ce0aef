// Command fleet measures PERF-4: what ten thousand agents cost one control plane,
// and how soon a changed assignment is acknowledged, also while one agent floods
// the control plane with a log.
//
//	go run ./bench/fleet
//	go run ./bench/fleet -agents 500 -window 15s
//
// The control plane is a process of its own, on SQLite: Sky's platform, fleet,
// agents' door and log store, without builds and git. The agents are links over
// real WebSockets on loopback that say what agents say, and run nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
)

// plan is what is measured.
type plan struct {
	agents   int
	apps     int
	changes  int
	switches int
	window   time.Duration
	serve    string
}

func main() {
	p := plan{}
	flag.IntVar(&p.agents, "agents", 10_000, "how many agents there are")
	flag.IntVar(&p.apps, "apps", 100, "how many apps run on them")
	flag.IntVar(&p.changes, "changes", 300, "how many assignments are changed, quiet and under the flood each")
	flag.IntVar(&p.switches, "switches", 20, "how many changes of routes there are, which concern every agent")
	flag.DurationVar(&p.window, "window", 70*time.Second, "for how long heartbeats are watched; the database is written once a minute")
	flag.StringVar(&p.serve, "serve", "", "for the benchmark's own use: be the control plane, in this directory")
	flag.Parse()
	lab.Main("fleet", func(ctx context.Context) error {
		if p.serve != "" {
			return serve(ctx, p)
		}
		return measure(ctx, p)
	})
}

func measure(ctx context.Context, p plan) (err error) {
	if err := raiseFiles(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sky-bench-fleet-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	c, err := startControl(ctx, p, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := c.report("without agents"); err != nil {
		return err
	}
	began := time.Now()
	agents, err := linkAll(ctx, c, p)
	if err != nil {
		return err
	}
	defer agents.close()
	fmt.Printf("%d agents have linked and got their assignment: %s\n", p.agents, time.Since(began).Round(time.Millisecond))
	return measureLinked(ctx, p, c, agents)
}

func measureLinked(ctx context.Context, p plan, c *control, agents *agents) error {
	if err := c.report("with agents"); err != nil {
		return err
	}
	if err := watchHeartbeats(ctx, p, c, agents); err != nil {
		return err
	}
	if err := change(ctx, "quiet", p, c); err != nil {
		return err
	}
	if err := switches(ctx, p, c); err != nil {
		return err
	}
	flooded, stop := agents.flood(ctx)
	err := change(ctx, "while one agent floods", p, c)
	stop()
	fmt.Printf("the flood: %d lines\n", flooded.Load())
	return errors.Join(err, agents.failed(), c.report("at the end"))
}

// watchHeartbeats measures the processor's time while nothing but heartbeats come.
func watchHeartbeats(ctx context.Context, p plan, c *control, agents *agents) error {
	before, err := c.cpu()
	if err != nil {
		return err
	}
	beats := agents.beats.Load()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(p.window):
	}
	after, err := c.cpu()
	if err != nil {
		return err
	}
	beats = agents.beats.Load() - beats
	fmt.Printf("heartbeats: %d in %s, %.0f µs of a CPU for each, %.1f %% of one CPU in all\n", beats, p.window,
		float64((after-before).Microseconds())/float64(max(1, beats)), 100*float64(after-before)/float64(p.window))
	return c.report("after heartbeats")
}

// change changes assignments of nodes at random, one after the other. The first
// node is the one that floods.
func change(ctx context.Context, when string, p plan, c *control) error {
	var stored, acknowledged []time.Duration
	for range p.changes {
		took, err := c.change(ctx, 1+rand.IntN(p.agents-1), false)
		if err != nil {
			return err
		}
		stored, acknowledged = append(stored, took.Stored), append(acknowledged, took.Acknowledged)
	}
	fmt.Printf("%d changed assignments, %s: transaction p50 %.1f ms, p99 %.1f ms; then to its acknowledgement p50 %.1f ms, p99 %.1f ms\n", p.changes, when,
		ms(stored, 0.5), ms(stored, 0.99), ms(acknowledged, 0.5), ms(acknowledged, 0.99))
	return nil
}

func ms(values []time.Duration, share float64) float64 {
	return float64(lab.Quantile(values, share).Microseconds()) / 1000
}

// switches changes routes, one after the other, with something to start on one node.
func switches(ctx context.Context, p plan, c *control) error {
	var stored, acknowledged, everywhere []time.Duration
	for range p.switches {
		took, err := c.change(ctx, 1+rand.IntN(p.agents-1), true)
		if err != nil {
			return err
		}
		stored, acknowledged, everywhere = append(stored, took.Stored), append(acknowledged, took.Acknowledged), append(everywhere, took.Everywhere)
	}
	fmt.Printf("%d changes of routes: transaction p50 %.1f ms; acknowledged by the node that acts after p50 %.1f ms, p99 %.1f ms; by all after p50 %.0f ms, p99 %.0f ms\n",
		p.switches, ms(stored, 0.5), ms(acknowledged, 0.5), ms(acknowledged, 0.99), ms(everywhere, 0.5), ms(everywhere, 0.99))
	return nil
}
