package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type bench struct {
	commits int
	runs    int
	clone   bool
	dir     string
	self    string
}

func (b *bench) source() string { return filepath.Join(b.dir, "source.git") }

func (b *bench) run(ctx context.Context) (err error) {
	if b.dir, err = os.MkdirTemp("", "sky-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	key := filepath.Join(b.dir, "id")
	if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		return fmt.Errorf("make key: %w: %s", err, out)
	}
	if err := b.makeSource(ctx); err != nil {
		return fmt.Errorf("make source: %w", err)
	}
	count, err := b.git(ctx, b.source(), "count-objects", "-v", "-H")
	if err != nil {
		return err
	}
	fmt.Println("source:", strings.Join(strings.Fields(count), " "))
	results := map[string][]result{}
	for i := range b.runs {
		for _, kind := range []string{"git", "git-strict", "sky"} { // in turn, so that drift hits both
			r, err := b.measure(ctx, kind, fmt.Sprint(kind, i))
			if err != nil {
				return fmt.Errorf("measure %s: %w", kind, err)
			}
			results[kind] = append(results[kind], r)
		}
	}
	show(results)
	return nil
}

// result is one server's run.
type result struct {
	full, one, clone time.Duration
	cpu              time.Duration
	memory           int64 // kB
}

// measure starts a server, pushes all but the last commit, then that one, and
// with -clone clones everything back.
func (b *bench) measure(ctx context.Context, kind, name string) (r result, err error) {
	dir := filepath.Join(b.dir, name)
	cmd := exec.CommandContext(ctx, b.self, "-serve", kind, "-dir", dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return r, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return r, err
	}
	if err := cmd.Start(); err != nil {
		return r, err
	}
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		r, err = b.push(ctx, strings.TrimSpace(address))
	}
	_ = stdin.Close()
	if waitErr := cmd.Wait(); err == nil {
		err = waitErr
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.memory = usage.Maxrss
		r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return r, err
}

func (b *bench) push(ctx context.Context, address string) (r result, err error) {
	url := "ssh://git@" + address + "/app.git"
	if r.full, err = b.timed(ctx, url, "main~1:refs/heads/main"); err != nil {
		return r, err
	}
	if r.one, err = b.timed(ctx, url, "main:refs/heads/main"); err != nil || !b.clone {
		return r, err
	}
	copied := filepath.Join(b.dir, "copy.git")
	start := time.Now()
	_, err = b.git(ctx, b.dir, "clone", "-q", "--bare", url, copied)
	r.clone = time.Since(start)
	return r, errors.Join(err, os.RemoveAll(copied))
}

func (b *bench) timed(ctx context.Context, url, spec string) (time.Duration, error) {
	start := time.Now()
	_, err := b.git(ctx, b.source(), "push", "-q", url, spec)
	return time.Since(start), err
}

func (b *bench) git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := b.command(ctx, dir, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}

func (b *bench) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_SSH_COMMAND=ssh -i "+filepath.Join(b.dir, "id")+" -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")
	return cmd
}

func show(results map[string][]result) {
	fmt.Printf("%-18s %8s %12s %8s %8s %8s\n", "median", "git", "git-strict", "sky", "÷ git", "÷ strict")
	rows := []struct {
		name string
		of   func(result) float64
	}{
		{"full push, s", func(r result) float64 { return r.full.Seconds() }},
		{"one commit, s", func(r result) float64 { return r.one.Seconds() }},
		{"clone, s", func(r result) float64 { return r.clone.Seconds() }},
		{"server CPU, s", func(r result) float64 { return r.cpu.Seconds() }},
		{"server peak, MB", func(r result) float64 { return float64(r.memory) / 1024 }},
	}
	for _, row := range rows {
		git, strict, sky := median(results["git"], row.of), median(results["git-strict"], row.of), median(results["sky"], row.of)
		fmt.Printf("%-18s %8.2f %12.2f %8.2f %8.2f %8.2f\n", row.name, git, strict, sky, sky/git, sky/strict)
	}
}

func median(results []result, of func(result) float64) float64 {
	values := make([]float64, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
