package testenv

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
)

// Engine is a Docker engine of the test's own, which may be stopped and started
// while the machine's other one goes on.
type Engine struct {
	Host string // its address, for DOCKER_HOST

	dir     string
	flags   []string
	bridge  string
	command *exec.Cmd
	mounted string // its small disk, if it has one
}

// NewEngine starts one with the given images, copied from the machine's engine.
// It needs root; without it the test is skipped. The caller ends it with Remove.
func NewEngine(t testing.TB, images ...string) *Engine {
	t.Helper()
	return NewSmallEngine(t, 0, images...)
}

// NewSmallEngine is NewEngine with a disk of so many megabytes, in memory; 0 is
// the machine's own disk.
func NewSmallEngine(t testing.TB, megabytes int, images ...string) *Engine {
	t.Helper()
	e := newEngine(t)
	if megabytes > 0 {
		if err := e.mount(megabytes); err != nil {
			t.Fatal(err)
		}
	}
	e.begin(t)
	if len(images) == 0 {
		return e
	}
	if err := e.load(Docker(t), images); err != nil {
		e.Remove()
		t.Fatal(err)
	}
	return e
}

// NewSwarmEngine is NewEngine for one that is the manager of a Docker Swarm of its own,
// and lets no container gain privileges. The test must run on a machine of a Lab: Swarm
// makes a bridge where the engine is.
func NewSwarmEngine(t testing.TB) *Engine {
	t.Helper()
	address := labAddress()
	if address == "" {
		t.Fatal("a swarm must not be made outside of a lab")
	}
	e := newEngine(t)
	e.flags = []string{"--no-new-privileges"}
	e.begin(t)
	if err := run("docker", "-H", e.Host, "swarm", "init", "--advertise-addr", address); err != nil {
		e.Remove()
		t.Fatal(err)
	}
	return e
}

func newEngine(t testing.TB) *Engine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a Docker engine of the test's own needs root")
	}
	dir, err := os.MkdirTemp("", "sky-engine-")
	if err != nil {
		t.Fatal(err)
	}
	return &Engine{Host: "unix://" + filepath.Join(dir, "docker.sock"), dir: dir, bridge: fmt.Sprintf("skyt%d", os.Getpid()%1e6)}
}

// begin starts it for the first time, with a bridge of its own: with "--bridge none" the
// engine would delete docker0.
func (e *Engine) begin(t testing.TB) {
	t.Helper()
	if err := run("ip", "link", "add", e.bridge, "type", "bridge"); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		e.Remove()
		t.Fatal(err)
	}
}

func (e *Engine) mount(megabytes int) error {
	data := filepath.Join(e.dir, "data")
	if err := os.Mkdir(data, 0o711); err != nil {
		return err
	}
	if output, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", megabytes), "tmpfs", data).CombinedOutput(); err != nil {
		return fmt.Errorf("mount a small disk: %w: %s", err, output)
	}
	e.mounted = data
	return nil
}

// Start runs the engine and returns when it answers.
func (e *Engine) Start() error {
	file := func(name string) string { return filepath.Join(e.dir, name) }
	log, err := os.OpenFile(file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	e.command = exec.Command("dockerd", append([]string{"-H", e.Host, "--data-root", file("data"), "--exec-root", file("exec"),
		"--pidfile", file("pid"), "--bridge", e.bridge, "--iptables=false"}, e.flags...)...)
	e.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	e.command.Stdout, e.command.Stderr = log, log
	if err := e.command.Start(); err != nil {
		return err
	}
	return e.answers()
}

func (e *Engine) answers() error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	docker, err := client.NewClientWithOpts(client.WithHost(e.Host), client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer func() { _ = docker.Close() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err = docker.Ping(ctx); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			text, _ := os.ReadFile(filepath.Join(e.dir, "log"))
			return fmt.Errorf("dockerd does not answer: %w\n%s", err, text)
		}
	}
}

// Stop ends the engine, and with it its containers, and waits for it.
func (e *Engine) Stop() {
	_ = e.command.Process.Signal(syscall.SIGTERM)
	_ = e.command.Wait()
}

// Remove stops the engine and deletes all it has.
func (e *Engine) Remove() {
	if e.command != nil && e.command.ProcessState == nil {
		e.Stop()
	}
	_ = exec.Command("ip", "link", "del", e.bridge).Run()
	if e.mounted != "" {
		_ = exec.Command("umount", "-l", e.mounted).Run()
	}
	_ = os.RemoveAll(e.dir)
}

// load copies images from another engine.
func (e *Engine) load(from *client.Client, images []string) error {
	to, err := client.NewClientWithOpts(client.WithHost(e.Host), client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	archive, err := from.ImageSave(context.Background(), images)
	if err != nil {
		return fmt.Errorf("save %v: %w", images, err)
	}
	defer func() { _ = archive.Close() }()
	answer, err := to.ImageLoad(context.Background(), archive)
	if err != nil {
		return fmt.Errorf("load %v: %w", images, err)
	}
	_, err = io.Copy(io.Discard, answer.Body) // loaded only when the answer has ended
	return errors.Join(err, answer.Body.Close())
}
