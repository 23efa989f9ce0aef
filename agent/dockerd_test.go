package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/testenv"
)

func TestSurvivesTheEnginesRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	engine := ownEngine(t)
	t.Cleanup(engine.Remove)
	t.Setenv("DOCKER_HOST", engine.Host)
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
	engine.Stop()
	r.Wait("trouble is told", func(o protocol.Observed) bool { return strings.Contains(o.Trouble, "engine") })
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	r.Wait("no trouble", func(o protocol.Observed) bool { return !strings.Contains(o.Trouble, "engine") })
	r.serves("/", "v1")
	t.Logf("serving %s after the engine is back", time.Since(began).Round(time.Millisecond))
	r.State(starting.ID, protocol.StateHealthy)
	r.Wait("all is well", func(o protocol.Observed) bool {
		return len(o.Instances) == 2 && o.Instances[0].Reason+o.Instances[1].Reason == ""
	})
	r.serves("/", "v1")
}

// ownEngine is one that may be stopped.
func ownEngine(t *testing.T) *testenv.Engine {
	if testRuntime() == RuntimeSwarm {
		return testenv.NewSwarmEngine(t)
	}
	return testenv.NewEngine(t)
}
