package agent

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/skypanel/sky/agent/protocol"
)

// ownEngine is a Docker daemon of the test's own, which may be killed.
type ownEngine struct {
	t       *testing.T
	dir     string
	command *exec.Cmd
}

const ownBridge = "skytest0"

// newOwnEngine starts one; it skips unless SKY_TEST_DOCKERD says that there is
// a daemon to start, and that we may.
func newOwnEngine(t *testing.T) *ownEngine {
	t.Helper()
	if os.Getenv("SKY_TEST_DOCKERD") == "" {
		t.Skip("SKY_TEST_DOCKERD is not set")
	}
	dir, err := os.MkdirTemp("/tmp", "sky-d")
	if err != nil {
		t.Fatal(err)
	}
	e := &ownEngine{t: t, dir: dir}
	t.Setenv("DOCKER_HOST", "unix://"+filepath.Join(dir, "docker.sock"))
	// Not "--bridge none": that deletes the docker0 of the machine's own engine.
	_ = exec.Command("ip", "link", "add", ownBridge, "type", "bridge").Run()
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", ownBridge).Run() })
	e.start()
	t.Cleanup(func() {
		e.end(syscall.SIGTERM)
		_ = os.RemoveAll(dir)
	})
	return e
}

func (e *ownEngine) start() {
	e.t.Helper()
	file := func(name string) string { return filepath.Join(e.dir, name) }
	e.command = exec.Command("dockerd", "-H", os.Getenv("DOCKER_HOST"), "--data-root", file("data"), "--exec-root", file("exec"),
		"--pidfile", file("pid"), "--bridge", ownBridge, "--iptables=false")
	e.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(file("log"))
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	e.command.Stdout, e.command.Stderr = log, log
	if err := e.command.Start(); err != nil {
		e.t.Fatal(err)
	}
	api, err := client.NewClientWithOpts(client.FromEnv)
	if err != nil {
		e.t.Fatal(err)
	}
	defer api.Close()
	for deadline := time.Now().Add(30 * time.Second); ; <-time.After(50 * time.Millisecond) {
		if _, err = api.Ping(context.Background()); err == nil {
			return
		}
		if time.Now().After(deadline) {
			content, _ := os.ReadFile(file("log"))
			e.t.Fatalf("dockerd does not answer: %v\n%s", err, content)
		}
	}
}

func (e *ownEngine) end(signal syscall.Signal) {
	_ = e.command.Process.Signal(signal)
	_ = e.command.Wait()
}

func TestSurvivesTheEnginesRestart(t *testing.T) {
	for name, signal := range map[string]syscall.Signal{"stopped": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			engine := newOwnEngine(t)
			if err := importTestImage(); err != nil {
				t.Fatal(err)
			}
			r := newRig(t)
			instance, starting := r.instance("v1"), r.instance("w", func(i *protocol.Instance) {
				i.Env["MODE"], i.Port, i.Process, i.Health.Settle = "worker", 0, "worker", 4*time.Second
			})
			r.deploy(instance)
			generation := r.Assign([]protocol.Instance{instance, starting}, r.route(instance))
			r.Wait("the worker runs", func(o protocol.Observed) bool {
				return o.Generation == generation && slices.ContainsFunc(o.Instances, func(s protocol.InstanceStatus) bool {
					return strings.Contains(s.Reason, "has not been up")
				})
			})
			engine.end(signal)
			r.Wait("trouble is told", func(o protocol.Observed) bool { return strings.Contains(o.Trouble, "engine") })
			engine.start()
			began := time.Now()
			r.Wait("no trouble", func(o protocol.Observed) bool { return !strings.Contains(o.Trouble, "engine") })
			r.serves("/", "v1")
			t.Logf("serving %s after the engine is back", time.Since(began).Round(time.Millisecond))
			r.State(starting.ID, protocol.StateHealthy)
			r.Wait("all is well", func(o protocol.Observed) bool {
				return len(o.Instances) == 2 && o.Instances[0].Reason+o.Instances[1].Reason == ""
			})
			r.serves("/", "v1")
		})
	}
}
