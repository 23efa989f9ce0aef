// Command rest measures PERF-5: what `sky up`, control plane and agent in one
// process, holds in memory when ten apps run and nothing happens.
//
//	go run ./bench/rest -sky bin/sky
//
// It deploys ten static sites, waits until Go has given back what the builds
// needed, and reads the kernel's count. RssAnon is what the process itself
// holds; the rest of VmRSS is its program file, which the kernel can drop.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
)

func main() { lab.Main("rest", run) }

func run(ctx context.Context) (err error) {
	sky := flag.String("sky", "bin/sky", "the sky program")
	apps := flag.Int("apps", 10, "apps to deploy")
	// Go collects at least every two minutes, and scavenges behind that.
	quiet := flag.Duration("quiet", 150*time.Second, "how long nothing shall happen")
	flag.Parse()
	l, err := lab.Open(ctx, *sky)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := report(l, "after the start"); err != nil {
		return err
	}
	for number := range *apps {
		if err := deploy(ctx, l, fmt.Sprintf("rest-%d", number+1)); err != nil {
			return err
		}
	}
	if err := report(l, fmt.Sprintf("after %d deployments", *apps)); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(*quiet):
	}
	return report(l, fmt.Sprintf("at rest, %s later", *quiet))
}

func deploy(ctx context.Context, l *lab.Lab, name string) error {
	app, err := l.NewApp(ctx, name, "examples/static")
	if err != nil {
		return err
	}
	if err := app.Commit(ctx, "Begin "+name); err != nil {
		return err
	}
	_, err = app.Push(ctx, nil)
	return err
}

func report(l *lab.Lab, when string) error {
	total, err := memory(l.PID(), "VmRSS")
	if err != nil {
		return err
	}
	own, err := memory(l.PID(), "RssAnon")
	if err != nil {
		return err
	}
	fmt.Printf("%-24s VmRSS %6.1f MB (goal: under 120), RssAnon %6.1f MB\n", when, total, own)
	return nil
}

// memory reads a field of /proc/PID/status, in MB (proc_pid_status(5)).
func memory(pid int, field string) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if text, ok := strings.CutPrefix(scanner.Text(), field+":"); ok {
			kilobytes, err := strconv.ParseFloat(strings.Fields(text)[0], 64)
			return kilobytes * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, field)
}
