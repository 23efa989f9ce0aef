package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
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

func TestContainersAreIsolated(t *testing.T) {
	r := newRig(t)
	tricky := "'; id; $(id) `id`\nnewline"
	instance := r.instance("v1", func(i *protocol.Instance) { i.Env["TRICKY"], i.Env["PORT"] = tricky, "1" })
	r.deploy(instance)
	answer := r.inspect(instance.ID)
	host := answer.HostConfig
	if !host.ReadonlyRootfs || host.Privileged || host.PidsLimit == nil || *host.PidsLimit != 256 || host.Memory != 64<<20 || host.MemorySwap != 64<<20 ||
		host.NanoCPUs != 1e9 || strings.Join(host.CapDrop, "") != "ALL" || len(host.CapAdd) > 0 || !host.IpcMode.IsPrivate() ||
		host.Tmpfs["/tmp"] == "" || host.Init == nil || !*host.Init || host.LogConfig.Config["max-size"] != "10m" || len(host.Binds) > 0 {
		t.Errorf("host config %+v", host)
	}
	if answer.Config.User != plainUser {
		t.Errorf("an image without a user runs as %q", answer.Config.User)
	}
	if !host.RestartPolicy.IsUnlessStopped() {
		t.Errorf("restart policy %q of a healthy instance", host.RestartPolicy.Name)
	}
	if answer.Config.StopTimeout == nil || *answer.Config.StopTimeout != 2 {
		t.Errorf("stop timeout %v", answer.Config.StopTimeout)
	}
	if want := fmt.Sprintf("/sky-shop-v1-web-1-%s", instance.ID[len(instance.ID)-6:]); answer.Name != want {
		t.Errorf("name %s, want %s", answer.Name, want)
	}
	_, env, _ := r.get("/env")
	for _, want := range []string{"TRICKY=" + tricky, "PORT=3000", "SKY_APP=shop", "SKY_RELEASE=1", "SKY_PROCESS=web"} {
		if !strings.Contains(env, want) {
			t.Errorf("environment lacks %q: %s", want, env)
		}
	}
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
	r.State(worker.ID, protocol.StateHealthy)
	if took := time.Since(began); took < worker.Health.Settle {
		t.Errorf("healthy after %s, before it had settled", took)
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
	runtime, err := newDocker("", r.node)
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.Close()
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
	if after := r.inspect(instance.ID); after.ID != before.ID || after.State.StartedAt == before.State.StartedAt {
		t.Error("it is not the same container, started again")
	}
}

func TestLogIsKeptWholeOverLostLinks(t *testing.T) {
	r := newRig(t)
	instance := r.instance("v1", mode("chatter"), func(i *protocol.Instance) { i.Port, i.Process = 0, "worker" })
	r.Assign([]protocol.Instance{instance})
	for cut := range 3 {
		want := len(r.Lines(instance.ID)) + 100
		r.Wait("lines arrive", func(protocol.Observed) bool { return r.count(instance.ID) >= want })
		if cut == 1 {
			r.stop()
			r.start()
			continue
		}
		r.Cut()
	}
	want := r.count(instance.ID) + 100
	r.Wait("lines arrive again", func(protocol.Observed) bool { return r.count(instance.ID) >= want })
	logs, err := r.api.ContainerInspect(t.Context(), r.inspect(instance.ID).ID)
	if err != nil {
		t.Fatal(err)
	}
	path := logs.LogPath
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r.Gone(instance.ID, r.Assign(nil))
	written := 0
	for decoder := json.NewDecoder(file); ; written++ {
		var entry struct{ Log string }
		if decoder.Decode(&entry) == io.EOF {
			break
		}
		if written < r.count(instance.ID) && r.Lines(instance.ID)[written].Text != strings.TrimSuffix(entry.Log, "\n") {
			t.Fatalf("line %d is %q, want %q", written, r.Lines(instance.ID)[written].Text, entry.Log)
		}
	}
	if got := r.count(instance.ID); got != written {
		t.Errorf("%d lines kept of %d written", got, written)
	}
	t.Logf("%d lines over 3 lost links, none lost, none doubled", written)
}

// count is Lines' length; Wait's condition may not call Lines with the lock.
func (r *rig) count(instance string) int { return len(r.Lines(instance)) }

func TestEngineAwayKeepsRoutesAndConverges(t *testing.T) {
	r := newRig(t)
	r.stop()
	proxy := newEngineProxy(t)
	t.Setenv("DOCKER_HOST", "tcp://"+proxy.address())
	r.start()
	first, second := r.instance("v1"), r.instance("v2")
	r.deploy(first)
	proxy.Down()
	r.Wait("trouble is told", func(o protocol.Observed) bool { return strings.Contains(o.Trouble, "engine") })
	r.serves("/", "v1")
	r.Assign([]protocol.Instance{first, second}, r.route(first))
	r.serves("/", "v1")
	proxy.Up(t)
	r.State(second.ID, protocol.StateHealthy)
	r.Wait("no trouble", func(o protocol.Observed) bool { return o.Trouble == "" })
	r.Gone(first.ID, r.Assign([]protocol.Instance{second}, r.route(second)))
	r.serves("/", "v2")
	r.stop()
	t.Setenv("DOCKER_HOST", "")
	r.start()
}

// engineProxy stands between an agent and Docker, and can go away.
type engineProxy struct {
	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	place    string
}

func newEngineProxy(t *testing.T) *engineProxy {
	p := &engineProxy{place: "127.0.0.1:0"}
	p.Up(t)
	t.Cleanup(p.Down)
	return p
}

func (p *engineProxy) address() string { return p.place }

func (p *engineProxy) Up(t *testing.T) {
	listener, err := net.Listen("tcp", p.place)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.listener, p.place = listener, listener.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go p.forward(conn)
		}
	}()
}

func (p *engineProxy) forward(conn net.Conn) {
	engine, err := net.Dial("unix", "/var/run/docker.sock")
	if err != nil {
		_ = conn.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, conn, engine)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(engine, conn); _ = engine.(*net.UnixConn).CloseWrite() })
	both.Go(func() { _, _ = io.Copy(conn, engine); _ = conn.Close() })
	both.Wait()
	_ = engine.Close()
}

// Down refuses connections and cuts those that are open.
func (p *engineProxy) Down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

// An agent that dies after any number of calls that change something leaves a
// Node that its successor brings to the same end.
func TestConvergesAfterDeathAtAnyPoint(t *testing.T) {
	for calls := 1; calls <= 10; calls++ {
		t.Run(fmt.Sprintf("after %d calls", calls), func(t *testing.T) {
			r := newRig(t)
			old, fresh, sick := r.instance("v1"), r.instance("v2"), r.instance("x", mode("exit"))
			r.deploy(old)
			r.stop()
			r.dieAfter(calls, protocol.Assignment{
				Generation: 2, Instances: []protocol.Instance{fresh, sick}, Routes: []protocol.Route{r.route(fresh)},
			})
			r.update(func() {
				r.assignment.Generation, r.assignment.Instances, r.assignment.Routes = 2, []protocol.Instance{fresh, sick}, []protocol.Route{r.route(fresh)}
			})
			r.start()
			r.State(fresh.ID, protocol.StateHealthy)
			if status := r.State(sick.ID, protocol.StateFailed); status.Reason != "exited with code 3 before it listened on port 3000" {
				t.Errorf("reason %q", status.Reason)
			}
			r.Gone(old.ID, 2)
			r.serves("/", "v2")
		})
	}
}

// dieAfter runs an agent that is cut off from its engine, in the middle of
// whatever it does, after so many calls that change something.
func (r *rig) dieAfter(calls int, assignment protocol.Assignment) {
	r.t.Helper()
	runtime, err := newDocker("", r.node)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	config := r.config
	config.Listener, config.HTTPClient = nil, &http.Client{Transport: refusing{}}
	mortal := newAgent(config, &mortalEngine{docker: runtime, left: calls, die: cancel})
	mortal.patience = 0
	saved, err := openDisk(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := saved.SaveAssignment(assignment); err != nil {
		r.t.Fatal(err)
	}
	_ = saved.Close()
	time.AfterFunc(3*time.Second, cancel) // fewer calls than that were needed
	if err := mortal.Run(ctx); err != nil {
		r.t.Error(err)
	}
}

type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrClosedPipe }

// mortalEngine is Docker for an agent that dies.
type mortalEngine struct {
	*docker
	mu   sync.Mutex
	left int
	die  func()
}

func (m *mortalEngine) spend() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left--; m.left < 0 {
		m.die()
		return context.Canceled
	}
	return nil
}

func (m *mortalEngine) Create(ctx context.Context, instance protocol.Instance) (string, error) {
	if err := m.spend(); err != nil {
		return "", err
	}
	return m.docker.Create(ctx, instance)
}

func (m *mortalEngine) Start(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.docker.Start(ctx, id)
}

func (m *mortalEngine) Promote(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.docker.Promote(ctx, id)
}

func (m *mortalEngine) Stop(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.docker.Stop(ctx, id)
}

func (m *mortalEngine) Remove(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.docker.Remove(ctx, id)
}

func (m *mortalEngine) RemoveNetwork(ctx context.Context, appID string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.docker.RemoveNetwork(ctx, appID)
}
