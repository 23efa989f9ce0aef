package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"
	"github.com/google/uuid"

	"github.com/skypanel/sky/agent/protocol"
)

// The conformance suite: what an engine promises, whichever it is. TestOnSwarm runs it,
// and the tests of the agent, once more.

// bench is an engine by itself, without an agent.
type bench struct {
	*rig
	engine engine
}

func newBench(t *testing.T) *bench {
	t.Helper()
	needDocker(t)
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{rig: &rig{t: t, node: "test-" + uuid.NewString(), appID: uuid.NewString(), api: api}}
	b.engine = b.rig.engine()
	t.Cleanup(b.close)
	b.do(b.engine.Check(t.Context()))
	return b
}

// close removes all, and requires that the engine has no trace.
func (b *bench) close() {
	ctx := context.Background()
	apps, err := b.engine.Apps(ctx)
	b.do(err)
	for _, app := range apps {
		listed, err := b.engine.List(ctx, app)
		b.do(err)
		for _, c := range listed {
			b.do(b.engine.Stop(ctx, c.ID))
			b.do(b.engine.Remove(ctx, c.ID))
		}
		b.do(b.engine.RemoveNetwork(ctx, app))
	}
	if left := b.traces(); left != "" {
		b.t.Errorf("left behind: %s", left)
		b.sweep()
	}
	b.do(errors.Join(closeEngine(b.engine), b.api.Close()))
}

func (b *bench) do(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Error(err)
	}
}

// create makes an Instance's container; start starts one too.
func (b *bench) create(instance protocol.Instance) container {
	b.t.Helper()
	id, err := b.engine.Create(b.t.Context(), instance)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.look(id)
}

func (b *bench) start(instance protocol.Instance) container {
	b.t.Helper()
	c := b.create(instance)
	if err := b.engine.Start(b.t.Context(), c.ID); err != nil {
		b.t.Fatal(err)
	}
	return b.look(c.ID)
}

func (b *bench) look(id string) container {
	b.t.Helper()
	c, err := b.engine.Inspect(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

// until looks again and again.
func (b *bench) until(id, what string, holds func(container) bool) container {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	var c container
	err := until(ctx, func() (bool, error) {
		var err error
		c, err = b.engine.Inspect(ctx, id)
		return err == nil && holds(c), err
	})
	if err != nil {
		b.t.Fatalf("until %s: %v; last %+v", what, err, c)
	}
	return c
}

func is(state runState) func(container) bool {
	return func(c container) bool { return c.State == state }
}

// log reads all that a container wrote so far.
func (b *bench) log(id string, query logQuery) string {
	b.t.Helper()
	var lines []string
	b.do(b.engine.Log(b.t.Context(), id, query, func(line protocol.LogLine) error {
		lines = append(lines, line.Text)
		return nil
	}))
	return strings.Join(lines, "\n")
}

func TestEngineLeadsAnInstanceThroughItsLife(t *testing.T) {
	b := newBench(t)
	instance := b.instance("v1")
	c := b.create(instance)
	image, err := b.api.ImageInspect(t.Context(), testImage)
	b.do(err)
	if c.State != runCreated || c.Instance != instance.ID || c.AppID != b.appID || c.App != "shop" || c.Process != "web" || c.Ordinal != 1 ||
		c.Port != 3000 || c.ImageID != image.ID || c.Promoted || c.Address != "" || c.Memory != 64<<20 {
		t.Errorf("created %+v", c)
	}
	if again, err := b.engine.Create(t.Context(), instance); err != nil || again != c.ID {
		t.Errorf("created again as %s, %v; want %s", again, err, c.ID)
	}
	b.do(b.engine.Start(t.Context(), c.ID))
	running := b.look(c.ID)
	if running.State != runRunning || running.Address == "" || running.PID == 0 || running.StartedAt.IsZero() {
		t.Errorf("started %+v", running)
	}
	b.do(b.engine.Start(t.Context(), c.ID))
	b.do(b.engine.Promote(t.Context(), c.ID))
	listed, err := b.engine.List(t.Context(), b.appID)
	if err != nil || len(listed) != 1 {
		t.Fatalf("listed %v, %v", listed, err)
	}
	if !listed[0].Promoted || listed[0].PID != running.PID || !listed[0].StartedAt.Equal(running.StartedAt) {
		t.Errorf("promoted %+v, was %+v", listed[0], running)
	}
	if used, err := b.engine.Usage(t.Context(), c.ID); err != nil || used.Memory <= 0 {
		t.Errorf("used %+v, %v", used, err)
	}
	b.do(b.engine.Stop(t.Context(), c.ID))
	if stopped := b.look(c.ID); stopped.State != runExited || stopped.Promoted || stopped.Address != "" {
		t.Errorf("stopped %+v", stopped)
	}
	b.do(b.engine.Stop(t.Context(), c.ID))
	if text := b.log(c.ID, logQuery{}); !strings.Contains(text, "testapp v1") || !strings.Contains(text, "bye") {
		t.Errorf("the log of one that was stopped: %q", text)
	}
	b.isGone(c.ID)
}

// isGone removes a container, and its App's network.
func (b *bench) isGone(id string) {
	b.t.Helper()
	ctx := b.t.Context()
	for range 2 {
		b.do(b.engine.Remove(ctx, id))
		b.do(b.engine.Stop(ctx, id))
		b.do(b.engine.RemoveNetwork(ctx, b.appID))
	}
	if _, err := b.engine.Inspect(ctx, id); !errors.Is(err, errGone) {
		b.t.Errorf("inspect of what was removed: %v", err)
	}
	if err := b.engine.Start(ctx, id); !errors.Is(err, errGone) {
		b.t.Errorf("start of what was removed: %v", err)
	}
	if apps, err := b.engine.Apps(ctx); err != nil || len(apps) > 0 {
		b.t.Errorf("apps %v, %v", apps, err)
	}
}

func TestEngineLeavesAFailureBeforeTheMarkAsItIs(t *testing.T) {
	b := newBench(t)
	c := b.start(b.instance("x", mode("once"), func(i *protocol.Instance) { i.Env["CODE"] = "3" }))
	failed := b.until(c.ID, "it exited", is(runExited))
	b.revived(c.ID)
	if again := b.look(c.ID); failed.ExitCode != 3 || again.State != runExited || again.ExitCode != 3 || again.Promoted {
		t.Errorf("failed as %+v, and is now %+v", failed, again)
	}
	if text := b.log(c.ID, logQuery{Tail: 1}); text != "migrated" {
		t.Errorf("tail %q", text)
	}
}

func TestEngineRestartsAfterTheMark(t *testing.T) {
	b := newBench(t)
	c := b.start(b.instance("v1"))
	b.do(b.engine.Promote(t.Context(), c.ID))
	for restarts := 1; restarts <= 3; restarts++ {
		before := b.look(c.ID)
		b.do(syscall.Kill(before.PID, syscall.SIGKILL))
		after := b.until(c.ID, "it runs again", func(c container) bool { return c.State == runRunning && c.PID != before.PID })
		if after.ID != c.ID || !after.Promoted || !after.StartedAt.After(before.StartedAt) || after.Restarts != restarts || after.Address == "" {
			t.Errorf("after %d deaths %+v", restarts, after)
		}
	}
	b.until(c.ID, "all four lives are in the log", func(container) bool {
		return strings.Count(b.log(c.ID, logQuery{}), "testapp v1") == 4
	})
}

func TestEngineKillsWhatDoesNotStop(t *testing.T) {
	b := newBench(t)
	c := b.start(b.instance("x", func(i *protocol.Instance) { i.Command, i.StopGrace = []string{"/testapp", "deaf"}, time.Second }))
	b.do(b.engine.Promote(t.Context(), c.ID))
	b.do(b.engine.Stop(t.Context(), c.ID))
	if stopped := b.look(c.ID); stopped.State != runExited || stopped.ExitCode != 137 {
		t.Errorf("%+v", stopped)
	}
}

// TestEngineStartsAnewWhatWasStopped: as after an engine's restart, which ends all.
func TestEngineStartsAnewWhatWasStopped(t *testing.T) {
	b := newBench(t)
	c := b.start(b.instance("v1"))
	b.do(b.engine.Stop(t.Context(), c.ID))
	b.do(b.engine.Start(t.Context(), c.ID))
	if again := b.look(c.ID); again.State != runRunning || again.Promoted || again.Address == "" {
		t.Errorf("%+v", again)
	}
	if text := b.log(c.ID, logQuery{}); strings.Count(text, "testapp v1") != 2 {
		t.Errorf("the log of two lives: %q", text)
	}
}

func TestEngineRunsOnceWhatRunsOnce(t *testing.T) {
	b := newBench(t)
	c := b.start(b.instance("m", mode("once"), func(i *protocol.Instance) { i.Once, i.Port, i.Env["CODE"] = true, 0, "4" }))
	if ended := b.until(c.ID, "it ended", is(runExited)); ended.ExitCode != 4 || ended.Restarts != 0 {
		t.Errorf("%+v", ended)
	}
	if text := b.log(c.ID, logQuery{}); strings.Count(text, "migrated") != 1 {
		t.Errorf("log %q", text)
	}
}

func TestEngineKnowsItsNodesOnly(t *testing.T) {
	b := newBench(t)
	b.start(b.instance("v1"))
	other, err := newEngine(Config{NodeID: "test-" + uuid.NewString(), Runtime: testRuntime()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { b.do(closeEngine(other)) }()
	if apps, err := other.Apps(t.Context()); err != nil || len(apps) > 0 {
		t.Errorf("apps %v, %v", apps, err)
	}
	if listed, err := other.List(t.Context(), b.appID); err != nil || len(listed) > 0 {
		t.Errorf("listed %v, %v", listed, err)
	}
}

func TestEngineSaysWhatIsMissing(t *testing.T) {
	b := newBench(t)
	gone := b.instance("x", func(i *protocol.Instance) { i.Image = "sha256:" + strings.Repeat("0", 64) })
	if err := b.engine.Pull(t.Context(), gone); !errors.Is(err, errNoImage) {
		t.Errorf("pull: %v", err)
	}
	if _, err := b.engine.Create(t.Context(), gone); !errors.Is(err, errGone) {
		t.Errorf("create: %v", err)
	}
}

func TestEngineTellsWhatHappens(t *testing.T) {
	b := newBench(t)
	ctx, stop := context.WithCancel(t.Context())
	ready, events, ended := make(chan struct{}), make(chan event, 64), make(chan error, 1)
	go func() { ended <- b.engine.Watch(ctx, func() { close(ready) }, func(e event) { events <- e }) }()
	<-ready
	instance := b.instance("x", mode("exit"))
	b.start(instance)
	for _, kind := range []eventKind{eventStarted, eventDied} {
		e := <-events
		if e.Kind != kind || e.Instance != instance.ID || e.AppID != b.appID || kind == eventDied && e.ExitCode != 3 {
			t.Errorf("%+v, want a %s", e, kind)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("watch ended with %v", err)
	}
}

// TestEngineIsolates looks at what the kernel does to the process, and at what the
// engine was told.
func TestEngineIsolates(t *testing.T) {
	b := newBench(t)
	tricky := "'; id; $(id) `id`\nnewline"
	instance := b.instance("v1", func(i *protocol.Instance) { i.Env["TRICKY"], i.Env["PORT"] = tricky, "1" })
	c := b.start(instance)
	of := func(name string) string {
		text, err := os.ReadFile(procFile(c.PID, name))
		b.do(err)
		return string(text)
	}
	for name, want := range map[string][]string{
		"status":  {`CapEff:\s0{16}`, `CapPrm:\s0{16}`, `CapBnd:\s0{16}`, `NoNewPrivs:\s1`, `Seccomp:\s2`, `Uid:\s10001\s10001`, `Gid:\s10001\s10001`},
		"net/dev": {`(?s)^([^:]+\s(lo|eth0):[^:]+){2}$`},
		"limits":  {`Max open files +4096 +8192`},
		"mounts":  {`(?m)^\S+ / \S+ ro,`, `(?m)^tmpfs /tmp tmpfs rw,nosuid,nodev,noexec,relatime,size=65536k(,|$| )`},
		"environ": {
			"TRICKY=" + regexp.QuoteMeta(tricky) + "\x00", "PORT=3000\x00", "SKY_APP=shop\x00", "SKY_RELEASE=1\x00", "SKY_PROCESS=web\x00",
		},
	} {
		text := of(name)
		for _, pattern := range want {
			if !regexp.MustCompile(pattern).MatchString(text) {
				t.Errorf("%s lacks %q:\n%s", name, pattern, text)
			}
		}
	}
	answer := b.inspect(instance.ID)
	host := answer.HostConfig
	if host.Privileged || host.PidsLimit == nil || *host.PidsLimit != 256 || host.Memory != 64<<20 || host.MemorySwap != 64<<20 ||
		host.NanoCPUs != 1e9 || !host.IpcMode.IsPrivate() || host.Init == nil || !*host.Init || len(host.Binds) > 0 ||
		host.LogConfig.Type != "json-file" || host.LogConfig.Config["max-size"] != "10m" || host.LogConfig.Config["max-file"] != "3" {
		t.Errorf("host config %+v", host)
	}
	if want := fmt.Sprintf("/sky-shop-v1-web-1-%s", instance.ID[len(instance.ID)-6:]); !strings.HasPrefix(answer.Name, want) {
		t.Errorf("name %s, want %s", answer.Name, want)
	}
	if grace := b.grace(answer); grace != 2*time.Second {
		t.Errorf("killed %s after SIGTERM", grace)
	}
	b.behindOurBridge(answer)
}

// TestEngineGivesRootWhatImagesNeed: with leave to be root, five capabilities and a root
// file system to write to, and no way to more.
func TestEngineGivesRootWhatImagesNeed(t *testing.T) {
	b := newBench(t)
	c := b.start(b.instance("v1", func(i *protocol.Instance) { i.RootUser, i.WritableRoot = true, true }))
	for name, pattern := range map[string]string{"status": `(?s)Uid:\s0\s.*CapEff:\s0{14}cb\nCapBnd:\s0{14}cb\n.*NoNewPrivs:\s1`, "mounts": `(?m)^\S+ / \S+ rw,`} {
		text, err := os.ReadFile(procFile(c.PID, name))
		b.do(err)
		if !regexp.MustCompile(pattern).Match(text) {
			t.Errorf("%s lacks %q:\n%s", name, pattern, text)
		}
	}
}

// behindOurBridge requires that the container's only way out is the bridge by whose
// name the firewall knows it.
func (b *bench) behindOurBridge(answer containertypes.InspectResponse) {
	b.t.Helper()
	bridge, err := net.InterfaceByName((&docker{node: b.node}).bridgeName(b.appID))
	if err != nil {
		b.t.Fatal(err)
	}
	addresses, err := bridge.Addrs()
	b.do(err)
	for name, endpoint := range answer.NetworkSettings.Networks {
		gateway := fmt.Sprintf("%s/%d", endpoint.Gateway, endpoint.IPPrefixLen)
		if !strings.HasPrefix(bridge.Name, bridgePrefix) || !slices.ContainsFunc(addresses, func(a net.Addr) bool { return a.String() == gateway }) {
			b.t.Errorf("%s leads through %s, and not %s with %v", name, gateway, bridge.Name, addresses)
		}
	}
}
