package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
	"golang.org/x/sync/errgroup"
)

// contest measures one language, Sky and the floor in turns.
type contest struct {
	language
	lab     *lab.Lab
	verbose bool
	app     *lab.App
	floor   *floor
	text    string // the greeting as it is now
}

// phases are how a push passed, each from the one before.
type phases struct {
	receive, build, rollout, answer time.Duration
	total                           time.Duration // push to the first answer
	command                         time.Duration // until git push had returned
}

func (c *contest) run(ctx context.Context, runs int) (err error) {
	if err := c.prepare(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.floor.clean(context.WithoutCancel(ctx))) }()
	var ours []phases
	var floors []floorPhases
	for number := range runs {
		under, err := c.floor.measure(ctx, c.file, change("floor"))
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		pushed, err := c.push(ctx, change("sky"))
		if err != nil {
			return err
		}
		if c.verbose {
			fmt.Printf("%s %d: floor %+v, sky %+v\n", c.name, number, under, pushed)
		}
		ours, floors = append(ours, pushed), append(floors, under)
	}
	c.show(ours, floors)
	return nil
}

// prepare makes the first push, which fills the caches, and the same for the
// floor with the Dockerfile that Sky rendered.
func (c *contest) prepare(ctx context.Context) error {
	var err error
	if c.app, err = c.lab.NewApp(ctx, "live-"+c.name, c.example()); err != nil {
		return err
	}
	if err := c.app.Commit(ctx, "Begin"); err != nil {
		return err
	}
	if _, err := c.app.Push(ctx, nil); err != nil {
		return err
	}
	build, err := c.lab.Client.Build(ctx, c.app.Name, 0)
	if err != nil {
		return err
	}
	releases, err := c.lab.Client.Releases(ctx, c.app.Name)
	if err != nil {
		return err
	}
	c.text = c.greeting
	command, err := lab.FindDocker(ctx)
	if err != nil {
		return err
	}
	c.floor = &floor{text: c.greeting, docker: command, dir: filepath.Join(c.lab.Dir, "floor-"+c.name), tag: "sky-bench-floor-" + c.name, command: releases[0].Processes["web"]}
	if err := c.floor.prepare(ctx, build.Dockerfile, c.example()); err != nil {
		return err
	}
	_, err = c.floor.measure(ctx, c.file, change("floor"))
	return err
}

// change is a text that was never built: BuildKit knows contents again, also
// those of another app or of an earlier run.
func change(who string) string { return fmt.Sprintf("Change for %s at %d", who, time.Now().UnixNano()) }

// push measures one change.
func (c *contest) push(ctx context.Context, text string) (phases, error) {
	if err := lab.Replace(filepath.Join(c.app.Work, c.file), c.text, text); err != nil {
		return phases{}, err
	}
	if err := c.app.Commit(ctx, text); err != nil {
		return phases{}, err
	}
	c.text = text
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var first time.Time
	answered, ctx := errgroup.WithContext(ctx)
	started := time.Now()
	lines, err := c.app.Push(ctx, func(line lab.Line) {
		if !strings.HasPrefix(line.Text, "Release") {
			return // nothing can answer yet, and asking would slow the build
		}
		answered.Go(func() (err error) {
			first, err = lab.Await(ctx, c.app.Request, text)
			return err
		})
	})
	command := time.Since(started)
	if err := errors.Join(err, answered.Wait()); err != nil {
		return phases{}, err
	}
	p := phases{command: command, total: first.Sub(started)}
	p.split(lines)
	return p, nil
}

// split reads the phases from when the pusher's terminal told of them.
func (p *phases) split(lines []lab.Line) {
	at := map[string]time.Duration{}
	for _, line := range lines {
		heading, _, _ := strings.Cut(line.Text, " ")
		if _, told := at[heading]; !told {
			at[heading] = line.After
		}
	}
	p.receive = at["Push"]
	p.build = at["Release"] - at["Push"]
	p.rollout = at["Rollout"] - at["Release"]
	p.answer = p.total - at["Release"]
}

func (c *contest) show(ours []phases, floors []floorPhases) {
	fmt.Printf("\n%s, median of %d, seconds\n", c.name, len(ours))
	row := func(name string, of func(phases) time.Duration) time.Duration {
		var values []time.Duration
		for _, p := range ours {
			values = append(values, of(p))
		}
		median := lab.Quantile(values, 0.5)
		fmt.Printf("  %-34s %6.3f\n", name, median.Seconds())
		return median
	}
	floorRow := func(name string, of func(floorPhases) time.Duration) time.Duration {
		var values []time.Duration
		for _, p := range floors {
			values = append(values, of(p))
		}
		median := lab.Quantile(values, 0.5)
		fmt.Printf("  %-34s %6.3f\n", name, median.Seconds())
		return median
	}
	floorRow("floor: docker build", func(p floorPhases) time.Duration { return p.build })
	floorRow("floor: docker run, first answer", func(p floorPhases) time.Duration { return p.run })
	floorRow("floor: the same with Sky's limits", func(p floorPhases) time.Duration { return p.limited })
	limited := floorRow("floor with limits", func(p floorPhases) time.Duration { return p.build + p.limited })
	floor := floorRow("floor", func(p floorPhases) time.Duration { return p.build + p.run })
	row("sky: connect, receive, check", func(p phases) time.Duration { return p.receive })
	row("sky: build", func(p phases) time.Duration { return p.build })
	row("sky: release to first answer", func(p phases) time.Duration { return p.answer })
	row("sky: release to rollout told", func(p phases) time.Duration { return p.rollout })
	sky := row("sky: push to first answer", func(p phases) time.Duration { return p.total })
	row("sky: until git push returned", func(p phases) time.Duration { return p.command })
	fmt.Printf("  %-34s %6.2f (goal: 1.25 at most)\n", "sky ÷ floor", sky.Seconds()/floor.Seconds())
	fmt.Printf("  %-34s %6.2f\n", "sky ÷ floor with limits", sky.Seconds()/limited.Seconds())
}
