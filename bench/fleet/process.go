package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// files is how many each process may have open, where the system lets it.
const files = 1 << 16

// raiseFiles lets this process, and those that it starts, have a file for every
// agent.
func raiseFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	higher := syscall.Rlimit{Cur: max(limit.Max, files), Max: max(limit.Max, files)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &higher) == nil {
		return nil
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

// control is the control plane's process.
type control struct {
	process *exec.Cmd
	started ready
}

// ready is what the control plane says when it is.
type ready struct {
	URL   string
	Nodes []credential
	App   string // whose Instance the first node logs
	Apps  []string
}

type credential struct {
	Token    string
	Instance string
}

// taken is how long one change took: until it was stored, and from then on until the
// node had it, and until every node that it concerns had.
type taken struct{ Stored, Acknowledged, Everywhere time.Duration }

func startControl(ctx context.Context, p plan, dir string) (*control, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &control{process: exec.CommandContext(ctx, program, "-serve", dir, "-agents", strconv.Itoa(p.agents), "-apps", strconv.Itoa(p.apps))}
	c.process.Stderr = os.Stderr
	output, err := c.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.process.Start(); err != nil {
		return nil, err
	}
	if err := json.NewDecoder(output).Decode(&c.started); err != nil {
		return nil, errors.Join(fmt.Errorf("the control plane did not start: %w", err), c.stop())
	}
	return c, nil
}

func (c *control) stop() error {
	err := c.process.Process.Signal(os.Interrupt)
	_ = c.process.Wait() // it was told to end
	return err
}

// change changes the assignment of a node, or with rerouted that of all, and waits until
// it is acknowledged.
func (c *control) change(ctx context.Context, node int, rerouted bool) (taken, error) {
	url := fmt.Sprintf("%s/change?node=%d", c.started.URL, node)
	if rerouted {
		url += "&routes=changed"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return taken{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return taken{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	var took taken
	if answer.StatusCode != http.StatusOK {
		return took, fmt.Errorf("change an assignment: %s", answer.Status)
	}
	return took, json.NewDecoder(answer.Body).Decode(&took)
}

// report prints what the control plane holds in memory (proc_pid_status(5)).
func (c *control) report(when string) error {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", c.process.Process.Pid))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	held := map[string]float64{}
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		name, rest, _ := strings.Cut(scanner.Text(), ":")
		if fields := strings.Fields(rest); len(fields) == 2 {
			kilobytes, _ := strconv.ParseFloat(fields[0], 64)
			held[name] = kilobytes * 1024 / 1e6
		}
	}
	fmt.Printf("control plane %s: VmRSS %.0f MB, RssAnon %.0f MB\n", when, held["VmRSS"], held["RssAnon"])
	return nil
}

// cpu is the processor's time that the control plane has used (proc_pid_stat(5)).
func (c *control) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond
	return time.Duration(user+system) * tick, err
}
