package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/skypanel/sky/bench/internal/lab"
	"golang.org/x/sys/unix"
)

// window is what a while of requests taught.
type window struct {
	latencies []time.Duration
	failed    int
}

// ask sends requests by the clock, whether or not earlier ones were answered;
// latency counts from when a request was due. It stands for clients on other
// machines, whose CPUs the build does not want: so it goes before everything here.
func ask(ctx context.Context, app *lab.App, rate int, length time.Duration) (window, error) {
	if err := goFirst(); err != nil {
		return window{}, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: rate}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	var mu sync.Mutex
	var taken window
	var group sync.WaitGroup
	every := time.Second / time.Duration(rate)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	begun := time.Now()
	for sent := 0; time.Duration(sent)*every < length; {
		select {
		case <-ctx.Done():
			group.Wait()
			return window{}, ctx.Err()
		case <-ticker.C:
		}
		// A late tick sends all that were due meanwhile.
		for ; time.Duration(sent)*every <= time.Since(begun); sent++ {
			due := begun.Add(time.Duration(sent) * every)
			group.Go(func() {
				ok := once(ctx, client, app)
				took := time.Since(due)
				mu.Lock()
				defer mu.Unlock()
				taken.latencies = append(taken.latencies, took)
				if !ok {
					taken.failed++
				}
			})
		}
	}
	group.Wait()
	return taken, nil
}

// once reports whether the app answered.
func once(ctx context.Context, client *http.Client, app *lab.App) bool {
	request, err := app.Request(ctx)
	if err != nil {
		return false
	}
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil && answer.StatusCode == http.StatusOK
}

// goFirst gives the threads of this process a realtime priority.
func goFirst() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(id, &attr, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("take a realtime priority (which needs root): %w", err)
		}
	}
	return nil
}
