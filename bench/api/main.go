// Command api measures what it costs to list and to get apps over REST, and
// shows that it grows with the page, not with the table.
//
//	go run ./bench/api -sky bin/sky
//
// It starts Sky on each engine, fills the database with apps that have a release
// and an instance, and has 16 clients ask at once, first with few apps, then with
// many. Compare the two within one run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
)

// size is how much to fill in and to ask.
type size struct{ few, many, clients, requests int }

func main() { lab.Main("api", run) }

func run(ctx context.Context) error {
	given := size{}
	sky := flag.String("sky", "bin/sky", "the sky program")
	flag.IntVar(&given.few, "few", 1_000, "apps at first")
	flag.IntVar(&given.many, "apps", 100_000, "apps at last")
	flag.IntVar(&given.clients, "clients", 16, "clients that ask at once")
	flag.IntVar(&given.requests, "requests", 40, "requests of each client, for each row")
	flag.Parse()
	return lab.OnServers(func(engine, url string) error { return measure(ctx, *sky, engine, url, given) })
}

func measure(ctx context.Context, sky, engine, address string, given size) (err error) {
	l, err := lab.Open(ctx, sky, "--database-url", address, "--api-rate", "0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if address == "" {
		address = filepath.Join(l.Dir, "data", "sky.db")
	}
	database, err := lab.OpenStore(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	f := &filler{database: database}
	few, err := f.rows(ctx, l, given, given.few)
	if err != nil {
		return err
	}
	many, err := f.rows(ctx, l, given, given.many)
	if err != nil {
		return err
	}
	report(engine, given, few, many)
	return nil
}

// rows fills up to so many apps and measures every kind of request.
func (f *filler) rows(ctx context.Context, l *lab.Lab, given size, apps int) ([]row, error) {
	if err := f.upTo(ctx, apps); err != nil {
		return nil, err
	}
	a := &asker{url: l.Client.URL, token: l.Client.Token, given: given, apps: apps}
	return a.all(ctx, f)
}

func report(engine string, given size, few, many []row) {
	fmt.Printf("%s, %d clients\n%-34s %21s %21s   p50 ÷\n", engine, given.clients, "", fmt.Sprintf("%d apps: p50, p99", given.few), fmt.Sprintf("%d: p50, p99", given.many))
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	for i, row := range many {
		fmt.Printf("%-34s %7.2f ms %7.2f ms  %7.2f ms %7.2f ms   %.2f\n", row.what,
			millis(few[i].median), millis(few[i].worst), millis(row.median), millis(row.worst), float64(row.median)/float64(few[i].median))
	}
}
