package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "receive:", err)
		os.Exit(1)
	}
}

func run() error {
	var b bench
	serve := flag.String("serve", "", "be a server: sky or git (used by the benchmark itself)")
	dir := flag.String("dir", "", "the server's directory")
	flag.IntVar(&b.commits, "commits", 14_000, "commits to make; each has about seven objects")
	flag.IntVar(&b.runs, "runs", 3, "runs, of which the median counts")
	flag.BoolVar(&b.clone, "clone", false, "clone back as well")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *serve != "" {
		return serveUntilTold(ctx, *serve, *dir)
	}
	if b.runs < 1 || b.commits < 10 {
		return errors.New("too few runs or commits")
	}
	return b.run(ctx)
}
