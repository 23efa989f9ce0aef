package main

import (
	"context"
	"errors"
	"flag"

	"github.com/skypanel/sky/bench/internal/lab"
)

func main() { lab.Main("receive", run) }

func run(ctx context.Context) error {
	var b bench
	serve := flag.String("serve", "", "be a server: sky or git (used by the benchmark itself)")
	dir := flag.String("dir", "", "the server's directory")
	flag.IntVar(&b.commits, "commits", 14_000, "commits to make; each has about seven objects")
	flag.IntVar(&b.runs, "runs", 3, "runs, of which the median counts")
	flag.BoolVar(&b.clone, "clone", false, "clone back as well")
	flag.Parse()
	if *serve != "" {
		return serveUntilTold(ctx, *serve, *dir)
	}
	if b.runs < 1 || b.commits < 10 {
		return errors.New("too few runs or commits")
	}
	return b.run(ctx)
}
