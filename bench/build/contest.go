package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
	"github.com/skypanel/sky/buildpipeline"
)

// contest measures one app, Sky and its peers in turns.
type contest struct {
	app
	builder *buildpipeline.Builder
	docker  lab.Docker
	ca      []byte
	verbose bool
}

// contestant makes images of commits.
type contestant interface {
	name() string
	// begin prepares a round, in which no cache mount of an earlier one is known.
	begin() error
	// build makes an image and returns its id; fresh is without any cache.
	build(ctx context.Context, files map[string]string, fresh bool) (string, error)
	clean(ctx context.Context) error
}

// step is one build of a round.
type step struct {
	name   string
	change func(*commit)
}

const (
	cold       = "no cache"
	unchanged  = "no change"
	line       = "one line"
	dependency = "a dependency"
)

// steps are what happens to the app in a round.
func (c *contest) steps() []step {
	steps := []step{
		{cold, func(c *commit) { *c = commit{line: word(), dependency: word()} }},
		{unchanged, func(*commit) {}},
		{line, func(c *commit) { c.line = word() }},
	}
	if c.depends {
		steps = append(steps, step{dependency, func(c *commit) { c.dependency, c.swapped = word(), true }})
	}
	return steps
}

func (c *contest) run(ctx context.Context, rounds int) (err error) {
	if err := c.builder.Stack(ctx, c.stack.Type, c.stack.Version, quiet{}); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sky-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	contestants := []contestant{newSky(c)}
	for _, peer := range []string{"naive", "tuned"} {
		contestants = append(contestants, &peerBuild{contest: c, peer: peer, dir: filepath.Join(dir, peer)})
	}
	defer func() {
		for _, one := range contestants {
			err = errors.Join(err, one.clean(context.WithoutCancel(ctx)))
		}
	}()
	measured := newTable()
	for round := range rounds {
		if err := c.round(ctx, contestants, measured); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		// Who begins changes: the first finds the machine quietest.
		contestants = append(contestants[1:], contestants[0])
	}
	return c.show(ctx, measured)
}

func (c *contest) round(ctx context.Context, contestants []contestant, measured *table) error {
	for _, one := range contestants {
		if err := one.begin(); err != nil {
			return err
		}
	}
	commits := make([]commit, len(contestants))
	for _, step := range c.steps() {
		for number, one := range contestants {
			step.change(&commits[number])
			files := c.at(commits[number])
			started := time.Now()
			image, err := one.build(ctx, files, step.name == cold)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", one.name(), step.name, err)
			}
			measured.add(step.name, one.name(), time.Since(started), image)
			if c.verbose {
				fmt.Printf("%s, %s, %s: %.3f\n", c.app.name, step.name, one.name(), time.Since(started).Seconds())
			}
		}
	}
	return nil
}

// table holds what was measured.
type table struct {
	times  map[[2]string][]time.Duration // by step and contestant
	images map[string]string             // by contestant, the last
}

func newTable() *table {
	return &table{map[[2]string][]time.Duration{}, map[string]string{}}
}

func (t *table) add(step, who string, took time.Duration, image string) {
	t.times[[2]string{step, who}] = append(t.times[[2]string{step, who}], took)
	t.images[who] = image
}

func (t *table) median(step, who string) float64 {
	return lab.Quantile(slices.Clone(t.times[[2]string{step, who}]), 0.5).Seconds()
}

func (c *contest) show(ctx context.Context, t *table) error {
	fmt.Printf("\n%s, median of %d, seconds\n", c.app.name, len(t.times[[2]string{cold, "sky"}]))
	fmt.Printf("  %-14s %8s %8s %8s %8s %8s\n", "", "sky", "naive", "tuned", "÷ naive", "÷ tuned")
	for _, step := range c.steps() {
		sky, naive, tuned := t.median(step.name, "sky"), t.median(step.name, "naive"), t.median(step.name, "tuned")
		fmt.Printf("  %-14s %8.3f %8.3f %8.3f %8.2f %8.2f\n", step.name, sky, naive, tuned, sky/naive, sky/tuned)
	}
	fmt.Printf("  no change ÷ the naive one-line build: %.3f\n", t.median(unchanged, "sky")/t.median(line, "naive"))
	fmt.Printf("  %-14s", "image, MB")
	for _, who := range []string{"sky", "naive", "tuned"} {
		size, err := c.docker.Run(ctx, "image", "inspect", "--format", "{{.Size}}", t.images[who])
		if err != nil {
			return err
		}
		var bytes int64
		if _, err := fmt.Sscan(size, &bytes); err != nil {
			return fmt.Errorf("size of image: %w", err)
		}
		fmt.Printf(" %8d", bytes>>20)
	}
	fmt.Println()
	return nil
}
