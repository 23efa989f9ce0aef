package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

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
	host := r.api.DaemonHost()
	proxy := newEngineProxy(t, host)
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
	t.Setenv("DOCKER_HOST", host)
	r.start()
}

// engineProxy stands between an agent and Docker, and can go away.
type engineProxy struct {
	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	place    string
	engine   string // the engine's socket
}

func newEngineProxy(t *testing.T, host string) *engineProxy {
	p := &engineProxy{place: "127.0.0.1:0", engine: strings.TrimPrefix(host, "unix://")}
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
	engine, err := net.Dial("unix", p.engine)
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
	step := 1
	if testRuntime() == RuntimeSwarm { // which takes its time
		step = 2
	}
	for calls := 1; calls <= 10; calls += step {
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
	runtime := r.engine()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	config := r.config
	config.Listener, config.HTTPClient = nil, &http.Client{Transport: refusing{}}
	mortal := newAgent(config, &mortalEngine{engine: runtime, left: calls, die: cancel})
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

// mortalEngine is one for an agent that dies.
type mortalEngine struct {
	engine
	mu   sync.Mutex
	left int
	die  func()
}

// Close ends the connections.
func (m *mortalEngine) Close() error { return closeEngine(m.engine) }

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
	return m.engine.Create(ctx, instance)
}

func (m *mortalEngine) Start(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.engine.Start(ctx, id)
}

func (m *mortalEngine) Promote(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.engine.Promote(ctx, id)
}

func (m *mortalEngine) Stop(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.engine.Stop(ctx, id)
}

func (m *mortalEngine) Remove(ctx context.Context, id string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.engine.Remove(ctx, id)
}

func (m *mortalEngine) RemoveNetwork(ctx context.Context, appID string) error {
	if err := m.spend(); err != nil {
		return err
	}
	return m.engine.RemoveNetwork(ctx, appID)
}
