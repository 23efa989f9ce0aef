package agent

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/google/uuid"

	"github.com/skypanel/sky/agent/protocol"
)

func (r *rig) inspect(instance string) containertypes.InspectResponse {
	r.t.Helper()
	for _, c := range r.containers() {
		if c.Labels[labelInstance] == instance {
			answer, err := r.api.ContainerInspect(context.Background(), c.ID)
			if err != nil {
				r.t.Fatal(err)
			}
			return answer
		}
	}
	r.t.Fatalf("no container of %s", instance)
	return containertypes.InspectResponse{}
}

func TestContainersReachNothingOfOurs(t *testing.T) {
	r := newRig(t)
	if err := newFirewall().Ensure(); err != nil {
		t.Skip(err)
	}
	open := r.instance("open")
	other := r.instance("other", func(i *protocol.Instance) { i.AppID, i.App = uuid.NewString(), "other" })
	r.Assign([]protocol.Instance{open, other}, r.route(open))
	r.State(open.ID, protocol.StateHealthy)
	r.State(other.ID, protocol.StateHealthy)
	var gateway, neighbour string
	for _, endpoint := range r.inspect(open.ID).NetworkSettings.Networks {
		gateway = endpoint.Gateway
	}
	for _, endpoint := range r.inspect(other.ID).NetworkSettings.Networks {
		neighbour = endpoint.IPAddress
	}
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, target := range []string{"http://169.254.169.254/", "http://" + gateway + ":" + port, "http://" + neighbour + ":3000"} {
		if _, answer, err := r.get("/fetch?url=" + url.QueryEscape(target)); err != nil || !strings.Contains(answer, "refused") {
			t.Errorf("%s: %q, %v", target, answer, err)
		}
	}
	if testRuntime() == RuntimeSwarm { // which gives names to networks that span nodes only
		return
	}
	if _, answer, _ := r.get("/fetch?url=" + url.QueryEscape("http://web:3000/")); answer != "reached" {
		t.Errorf("its own app's network: %q", answer)
	}
}

func TestCrashIsRestartedAndACrashLoopGivenUp(t *testing.T) {
	r := newRig(t)
	instance := r.instance("v1")
	r.deploy(instance)
	for range crashLimit {
		before := r.State(instance.ID, protocol.StateHealthy).Restarts
		r.crash()
		r.Wait("it has restarted", func(o protocol.Observed) bool {
			return len(o.Instances) == 1 && o.Instances[0].Restarts > before && o.Instances[0].Reason == "" && o.Instances[0].State == protocol.StateHealthy
		})
		r.serves("/", "v1")
	}
	r.crash()
	status := r.State(instance.ID, protocol.StateFailed)
	if want := "crashed 4 times within 5 minutes; it last exited with code 1"; status.Reason != want {
		t.Errorf("reason %q, want %q", status.Reason, want)
	}
	if len(status.Tail) == 0 || !strings.Contains(strings.Join(status.Tail, "\n"), "testapp v1") {
		t.Errorf("tail %q", status.Tail)
	}
}

// crash has the App end itself. It is no GET: that would be tried again.
func (r *rig) crash() {
	r.t.Helper()
	if status, _, err := r.do(http.MethodPost, "/crash"); err != nil || status != http.StatusBadGateway {
		r.t.Errorf("crash answered %d, %v", status, err)
	}
}

func TestWorkerIsHealthyOnceItHasSettled(t *testing.T) {
	r := newRig(t)
	worker := r.instance("w", mode("worker"), func(i *protocol.Instance) { i.Port, i.Process = 0, "worker" })
	began := time.Now()
	r.Assign([]protocol.Instance{worker})
	status := r.State(worker.ID, protocol.StateHealthy)
	loads := newUsage(t.TempDir()).Loads(t.Context(), r.agent.engine, []protocol.InstanceStatus{status})
	if len(loads) != 1 || loads[0].Instance != worker.ID || loads[0].MemoryBytes <= 0 {
		t.Errorf("loads %+v", loads)
	}
	if took := time.Since(began); took < worker.Health.Settle {
		t.Errorf("healthy after %s, before it had settled", took)
	}
}

// TestRunsOnce: a process that runs once ends well or not, its whole log is kept
// before that is told, and an agent that begins anew does not run it again.
func TestRunsOnce(t *testing.T) {
	r := newRig(t)
	once := func(code string) protocol.Instance {
		return r.instance("m", mode("once"), func(i *protocol.Instance) {
			i.Once, i.Port, i.Process, i.Env["CODE"] = true, 0, "release", code
		})
	}
	for code, want := range map[string]string{"0": protocol.StateStopped, "3": protocol.StateFailed} {
		instance := once(code)
		r.Assign([]protocol.Instance{instance})
		status := r.State(instance.ID, want)
		if status.ExitCode == nil || strconv.Itoa(*status.ExitCode) != code {
			t.Errorf("exit code %v, want %s", status.ExitCode, code)
		}
		if lines := r.Lines(instance.ID); len(lines) != 2 || lines[1].Text != "migrated" {
			t.Errorf("its log was not kept when its end was told: %v", lines)
		}
		r.stop()
		r.start()
		r.State(instance.ID, want)
		r.leaves(0)
		if lines := r.Lines(instance.ID); len(lines) != 2 {
			t.Errorf("it ran again: %v", lines)
		}
		r.Gone(instance.ID, r.Assign(nil))
	}
}

func TestDrainLimitIsReportedAsCut(t *testing.T) {
	r := newRig(t)
	old, fresh := r.instance("v1", func(i *protocol.Instance) { i.DrainLimit = 300 * time.Millisecond }), r.instance("v2")
	r.deploy(old)
	answered := make(chan string, 1)
	go func() {
		status, _, err := r.get("/slow")
		answered <- fmt.Sprint(status, err)
	}()
	for r.agent.Requests()[r.appID].Active == 0 {
		<-time.After(time.Millisecond)
	}
	r.Assign([]protocol.Instance{old, fresh}, r.route(old))
	r.State(fresh.ID, protocol.StateHealthy)
	r.Assign([]protocol.Instance{fresh}, r.route(fresh))
	if status := r.State(old.ID, protocol.StateStopped); status.Cut != 1 {
		t.Errorf("cut %d, want 1", status.Cut)
	}
	if got := <-answered; got != "503<nil>" && got != "503 <nil>" {
		t.Errorf("the request was answered %s", got)
	}
	r.serves("/", "v2")
}

func TestServesWithoutControlPlaneAfterItsOwnRestart(t *testing.T) {
	r := newRig(t)
	instance := r.instance("v1")
	r.deploy(instance)
	before := r.inspect(instance.ID).State.StartedAt
	r.Refuse(true)
	r.serves("/", "v1")
	r.stop()
	r.start()
	began := time.Now()
	r.serves("/", "v1") // held until the route is rebuilt
	t.Logf("serving again %s after start, without control plane", time.Since(began).Round(time.Millisecond))
	if after := r.inspect(instance.ID).State.StartedAt; after != before {
		t.Error("the container was restarted")
	}
	r.Refuse(false)
	r.State(instance.ID, protocol.StateHealthy)
}

func TestOlderAssignmentsAreIgnored(t *testing.T) {
	r := newRig(t)
	instance := r.instance("v1")
	r.deploy(instance)
	stale := protocol.Assignment{Generation: 0}
	if err := r.agent.accept(stale); err != nil {
		t.Fatal(err)
	}
	r.serves("/", "v1")
	if got := r.agent.generation(); got != 1 {
		t.Errorf("generation %d", got)
	}
}

func TestStrayContainersAreRemovedOnlyWithAnAssignment(t *testing.T) {
	r := newRig(t)
	instance := r.instance("stray")
	runtime := r.engine()
	defer func() { _ = closeEngine(runtime) }()
	id, err := runtime.Create(t.Context(), instance)
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.Start(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.agent.resync(t.Context())
	if len(r.containers()) != 1 {
		t.Fatal("a container was removed although no assignment is known")
	}
	r.Gone(instance.ID, r.Assign(nil))
}

func TestRemovedByHandComesBack(t *testing.T) {
	r := newRig(t)
	instance := r.instance("v1")
	r.deploy(instance)
	first := r.inspect(instance.ID).ID
	if err := r.api.ContainerRemove(t.Context(), first, containertypes.RemoveOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	r.Wait("another container is healthy", func(o protocol.Observed) bool {
		return len(o.Instances) == 1 && o.Instances[0].Container != first && o.Instances[0].Container != "" && o.Instances[0].Reason == ""
	})
	r.serves("/", "v1")
}

func TestRestartByHandIsRoutedAgain(t *testing.T) {
	r := newRig(t)
	instance := r.instance("v1")
	r.deploy(instance)
	before := r.inspect(instance.ID)
	if err := r.api.ContainerRestart(t.Context(), before.ID, containertypes.StopOptions{}); err != nil {
		t.Fatal(err)
	}
	r.serves("/", "v1") // held meanwhile
	if after := r.inspect(instance.ID); after.State.StartedAt == before.State.StartedAt {
		t.Error("it was not started again")
	}
}
