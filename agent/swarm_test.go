package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	swarmtypes "github.com/docker/docker/api/types/swarm"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/testenv"
)

// runtimeVariable names the runtime that the tests of this package run on; empty is
// plain Docker.
const runtimeVariable = "SKY_TEST_RUNTIME"

func testRuntime() string { return os.Getenv(runtimeVariable) }

// engine is another one like the agent's.
func (r *rig) engine() engine {
	r.t.Helper()
	made, err := newEngine(Config{NodeID: r.node, Runtime: testRuntime()})
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

// TestOnSwarm runs this package's tests of engines again, on machines of their own: what
// plain Docker does, Swarm does.
func TestOnSwarm(t *testing.T) {
	if testing.Short() || testRuntime() != "" {
		t.Skip("-short, or on Swarm already")
	}
	needDocker(t)
	lab := testenv.NewLab(t)
	t.Cleanup(lab.Remove)
	for name, c := range map[string]struct {
		machine testenv.Hardware
		tests   string
	}{
		"engine":    {testenv.Hardware{Swarm: true}, "^Test(Engine|ContainersReach|LogIs|ExecRuns|AKilled|AnInstance|AOneOff)"},
		"scenarios": {testenv.Hardware{Swarm: true}, "^Test(Release|Failures|Crash|RunsOnce|Stray|Removed|RestartBy|Converges)"},
		"restart":   {testenv.Hardware{}, "^TestSurvivesTheEnginesRestart$"},
	} {
		machine, err := lab.AddOf(name, c.machine)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tests := machine.Command(os.Args[0], "-test.v", "-test.timeout", "9m", "-test.run", c.tests)
			tests.Env = append(tests.Env, runtimeVariable+"="+RuntimeSwarm)
			var said bytes.Buffer
			tests.Stdout, tests.Stderr = io.MultiWriter(t.Output(), &said), t.Output()
			if err := tests.Run(); err != nil || !strings.Contains(said.String(), "--- PASS: ") {
				t.Errorf("on Swarm: %v", err)
			}
		})
	}
}

// TestSwarmNeedsAnEngineThatIsFit asks the machine's own engine, which is in no swarm
// and lets containers gain privileges.
func TestSwarmNeedsAnEngineThatIsFit(t *testing.T) {
	if testRuntime() != "" {
		t.Skip("this engine is fit")
	}
	needDocker(t)
	config := Config{
		NodeID: "n", Runtime: RuntimeSwarm, DataDir: t.TempDir(), ServerURL: "http://127.0.0.1:1",
		Token: func(context.Context) (string, error) { return "", nil },
	}
	agent, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Run(t.Context()); !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "`docker swarm init`") {
		t.Errorf("the agent ended with %v", err)
	}
	unswarmed := agent.engine.(*swarm)
	defer func() { _ = unswarmed.Close() }()
	info, err := unswarmed.client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if confined, err := unswarmed.confined(t.Context(), info, unswarmed.client.ClientVersion()); confined || err != nil {
		t.Errorf("taken for confined: %v, %v", confined, err)
	}
	config.Runtime = "podman"
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "use docker or swarm") {
		t.Errorf("another runtime: %v", err)
	}
}

func TestSwarmSaysWhyAMachineIsUnfit(t *testing.T) {
	one := int64(1)
	forgetting := &swarmtypes.ClusterInfo{}
	forgetting.Spec.Orchestration.TaskHistoryRetentionLimit = &one
	for words, c := range map[string]struct {
		here swarmtypes.Info
		kind error
	}{
		"in no swarm":              {swarmtypes.Info{LocalNodeState: swarmtypes.LocalNodeStateInactive}, errRefused},
		"has not begun yet":        {swarmtypes.Info{LocalNodeState: swarmtypes.LocalNodeStatePending}, errAway},
		"docker swarm unlock":      {swarmtypes.Info{LocalNodeState: swarmtypes.LocalNodeStateLocked}, errRefused},
		"docker node promote abcd": {swarmtypes.Info{LocalNodeState: swarmtypes.LocalNodeStateActive, NodeID: "abcd"}, errRefused},
		"--task-history-limit":     {swarmtypes.Info{LocalNodeState: swarmtypes.LocalNodeStateActive, ControlAvailable: true, Cluster: forgetting}, errRefused},
	} {
		if err := unfit(c.here); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), words) {
			t.Errorf("%+v: %v, want %q", c.here, err, words)
		}
	}
	if err := unfit(swarmtypes.Info{LocalNodeState: swarmtypes.LocalNodeStateActive, ControlAvailable: true}); err != nil {
		t.Errorf("a manager: %v", err)
	}
}

func TestServiceNamesAreSwarms(t *testing.T) {
	valid := regexp.MustCompile(`^[a-zA-Z0-9]([-_]*[a-zA-Z0-9]+)*$`)
	for app, want := range map[string]string{
		"shop":                     "sky-shop-v12-web-3-abc123",
		"a.b--c_d":                 "sky-a-b--c_d-v12-web-3-abc123",
		strings.Repeat("long", 20): "sky-" + strings.Repeat("long", 10) + "lo-v12-web-3-abc123",
		strings.Repeat("ab-", 30):  "sky-" + strings.Repeat("ab-", 13) + "ab-v12-web-3-abc123",
	} {
		name := serviceName(protocol.Instance{ID: "0-abc123", App: app, Release: 12, Process: "web", Ordinal: 3})
		if name != want || len(name) > serviceNameLimit || !valid.MatchString(name) {
			t.Errorf("%s (%d letters), want %s", name, len(name), want)
		}
	}
}

// tasks lists those of a service.
func (r *rig) tasks(service string) []swarmtypes.Task {
	r.t.Helper()
	tasks, err := r.api.TaskList(context.Background(), swarmtypes.TaskListOptions{Filters: filters.NewArgs(filters.Arg("service", service))})
	if err != nil {
		r.t.Fatal(err)
	}
	return tasks
}

// revived waits until the engine would have restarted a container that failed, where
// there is a sign of that.
func (b *bench) revived(id string) {
	b.t.Helper()
	if testRuntime() == RuntimeSwarm {
		b.until(id, "Swarm has begun another task", func(container) bool { return len(b.tasks(id)) > 1 })
	}
}

// grace is how long the engine waits between SIGTERM and SIGKILL.
func (b *bench) grace(c containertypes.InspectResponse) time.Duration {
	b.t.Helper()
	id := c.Config.Labels[labelService]
	if id == "" {
		return time.Duration(*c.Config.StopTimeout) * time.Second
	}
	service, _, err := b.api.ServiceInspectWithRaw(b.t.Context(), id, swarmtypes.ServiceInspectOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return *service.Spec.TaskTemplate.ContainerSpec.StopGracePeriod
}

// swarmTraces are what a node has of Swarm's; its networks have no labels.
func (r *rig) swarmTraces() (found []string) {
	if testRuntime() != RuntimeSwarm {
		return nil
	}
	services, err := r.api.ServiceList(context.Background(), swarmtypes.ServiceListOptions{Filters: r.mine()})
	if err != nil {
		return []string{err.Error()}
	}
	for _, service := range services {
		found = append(found, service.Spec.Name)
	}
	networks, err := r.api.NetworkList(context.Background(), network.ListOptions{Filters: filters.NewArgs(filters.Arg("name", bridgePrefix))})
	if err != nil {
		return []string{err.Error()}
	}
	for _, n := range networks {
		found = append(found, n.Name)
	}
	return found
}
