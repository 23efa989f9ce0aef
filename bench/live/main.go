// Command live measures PERF-2: how long a one-line change takes from `git
// push` to the first answer of the new version, against `docker build` and
// `docker run` of the same change.
//
//	go run ./bench/live -sky bin/sky
//
// Both take turns on the same engine, and the median counts. The floor builds
// the Dockerfile that Sky rendered, from a directory without history, and has
// its container asked at its own address. Behind a company proxy, SKY_EXTRA_CA
// names the certificates that builds need.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"

	"github.com/skypanel/sky/bench/internal/lab"
)

func main() { lab.Main("live", run) }

func run(ctx context.Context) (err error) {
	sky := flag.String("sky", "bin/sky", "the sky program")
	runs := flag.Int("runs", 5, "changes to push, of which the median counts")
	only := flag.String("only", "", "one of node and go; empty measures both")
	verbose := flag.Bool("v", false, "print every run")
	flag.Parse()
	l, err := lab.Open(ctx, *sky)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, language := range []language{
		{"node", "server.js", "Hello from Node.js"}, {"go", "main.go", "Hello from Go"},
	} {
		if *only != "" && *only != language.name {
			continue
		}
		c := &contest{language: language, lab: l, verbose: *verbose}
		if err := c.run(ctx, *runs); err != nil {
			return fmt.Errorf("%s: %w", language.name, err)
		}
	}
	return nil
}

// language is an example and the line of it that changes.
type language struct{ name, file, greeting string }

func (l language) example() string { return filepath.Join("examples", l.name) }
