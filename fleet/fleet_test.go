package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a Fleet behind a real server, with callbacks that remember.
type world struct {
	t *testing.T
	*Fleet
	web *httptest.Server

	mu          sync.Mutex
	changed     chan struct{}
	assignments map[models.ID]protocol.Assignment
	failing     bool
	calls       []string
	lines       map[string][]protocol.LogLine
	stall       map[models.ID]chan struct{} // Observed blocks while it is open
	computed    int
}

func newWorld(t *testing.T, offlineAfter time.Duration) *world {
	t.Helper()
	w := &world{
		t: t, changed: make(chan struct{}), assignments: map[models.ID]protocol.Assignment{},
		lines: map[string][]protocol.LogLine{}, stall: map[models.ID]chan struct{}{},
	}
	w.Fleet = New(t.Context(), Config{Authenticate: nodeOf, Assignments: w, Logs: w, Nodes: nodes{w}, OfflineAfter: offlineAfter})
	w.web = httptest.NewServer(w.Handler())
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		w.web.Close()
	})
	return w
}

func nodeOf(r *http.Request) (models.ID, error) { return models.ParseID(r.Header.Get("Node")) }

func (w *world) note(format string, args ...any) {
	w.change(func() { w.calls = append(w.calls, fmt.Sprintf(format, args...)) })
}

func (w *world) change(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
	close(w.changed)
	w.changed = make(chan struct{})
}

// until waits for a condition over what the callbacks remember.
func (w *world) until(what string, condition func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
	defer cancel()
	for {
		w.mu.Lock()
		holds, changed := condition(), w.changed
		w.mu.Unlock()
		if holds {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			w.t.Fatalf("waited in vain until %s; calls %v", what, w.calls)
		}
	}
}

func (w *world) called(call string) func() bool {
	return func() bool { return slices.Contains(w.calls, call) }
}

func (w *world) Assignment(_ context.Context, node models.ID) (protocol.Assignment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.computed++
	close(w.changed)
	w.changed = make(chan struct{})
	if w.failing {
		w.failing = false
		return protocol.Assignment{}, errors.New("the database is away")
	}
	return w.assignments[node], nil
}

func (w *world) LastLine(_ context.Context, header protocol.StreamHeader) (time.Time, error) {
	instance := header.Instance
	w.mu.Lock()
	defer w.mu.Unlock()
	if lines := w.lines[instance]; len(lines) > 0 {
		return lines[len(lines)-1].Time, nil
	}
	return time.Time{}, nil
}

func (w *world) Append(_ context.Context, header protocol.StreamHeader, line protocol.LogLine) error {
	w.change(func() { w.lines[header.Instance] = append(w.lines[header.Instance], line) })
	return nil
}

type nodes struct{ *world }

func (n nodes) Online(_ context.Context, node models.ID, hello protocol.Hello) {
	n.note("online %s", hello.Hostname)
}
func (n nodes) Heartbeat(_ context.Context, node models.ID, beat protocol.Heartbeat) {
	n.note("beat %d", beat.Containers)
}
func (n nodes) Offline(_ context.Context, node models.ID) { n.note("offline %s", node) }
func (n nodes) Observed(ctx context.Context, node models.ID, observed protocol.Observed) {
	n.mu.Lock()
	stall := n.stall[node]
	n.mu.Unlock()
	if stall != nil {
		select {
		case <-stall:
		case <-ctx.Done():
		}
	}
	n.note("observed %d", observed.Generation)
}

// assign sets what a node is to run.
func (w *world) assign(node models.ID, generation uint64) {
	w.change(func() { w.assignments[node] = protocol.Assignment{Generation: generation} })
	w.Refresh(node)
}

// dial links as an agent of the node.
func (w *world) dial(node models.ID, hostname string) *protocol.Link {
	w.t.Helper()
	link, err := protocol.Dial(w.t.Context(), w.web.Client(), w.web.URL+protocol.LinkPath, http.Header{"Node": {node.String()}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = link.Close() })
	w.send(link, protocol.Message{Hello: &protocol.Hello{Version: protocol.Version, Hostname: hostname}})
	if welcome := w.receive(link); welcome.Welcome == nil || welcome.Welcome.Refused != "" {
		w.t.Fatalf("welcome %+v", welcome)
	}
	return link
}

func (w *world) send(link *protocol.Link, message protocol.Message) {
	w.t.Helper()
	if err := link.Send(message); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) receive(link *protocol.Link) protocol.Message {
	w.t.Helper()
	message, err := link.Receive()
	if err != nil {
		w.t.Fatal(err)
	}
	return message
}

// generation receives Assignments until one has a generation.
func (w *world) generation(link *protocol.Link, want uint64) {
	w.t.Helper()
	for {
		message := w.receive(link)
		if message.Assignment != nil && message.Assignment.Generation == want {
			return
		}
		if message.Assignment != nil && message.Assignment.Generation > want {
			w.t.Fatalf("generation %d came instead of %d", message.Assignment.Generation, want)
		}
	}
}

func observing(generation uint64, statuses ...protocol.InstanceStatus) protocol.Message {
	return protocol.Message{Observed: &protocol.Observed{Generation: generation, Instances: statuses}}
}

func TestAgentGetsTheNewestAssignment(t *testing.T) {
	w := newWorld(t, 0)
	node := models.NewID()
	w.assign(node, 1) // not linked yet
	link := w.dial(node, "n1")
	w.generation(link, 1)
	for generation := uint64(2); generation <= 50; generation++ {
		w.assign(node, generation)
	}
	w.generation(link, 50)
	w.until("online", w.called("online n1"))
}

func TestAssignmentIsAskedAgainAfterAFailure(t *testing.T) {
	w := newWorld(t, 0)
	node := models.NewID()
	w.change(func() { w.failing = true })
	w.assign(node, 1)
	w.generation(w.dial(node, "n1"), 1)
}

// TestAnAssignmentTooLongForAFrameKeepsTheLink: one app must not cut off the
// node of all.
func TestAnAssignmentTooLongForAFrameKeepsTheLink(t *testing.T) {
	w := newWorld(t, 0)
	node := models.NewID()
	link := w.dial(node, "n1")
	w.assign(node, 1)
	w.generation(link, 1)
	long := protocol.Instance{ID: "a", Command: []string{strings.Repeat("x", protocol.MaxFrame)}}
	var before int
	w.change(func() {
		before = w.computed
		w.assignments[node] = protocol.Assignment{Generation: 2, Instances: []protocol.Instance{long}}
	})
	w.Refresh(node)
	w.until("the long one was computed", func() bool { return w.computed > before })
	w.assign(node, 3)
	w.generation(link, 3)
}

func TestWaitSeesEachChange(t *testing.T) {
	w := newWorld(t, 0)
	node, app, instance := models.NewID(), models.NewID(), models.NewID()
	link := w.dial(node, "n1")
	waited := make(chan error, 1)
	go func() {
		waited <- w.Wait(t.Context(), func(v View) (bool, error) {
			status, found := v.Instance(instance)
			return found && status.State == protocol.StateHealthy && v.Generation(node) == 3 && v.Online(node), nil
		})
	}()
	for generation, state := range []string{protocol.StatePulling, protocol.StateStarting, protocol.StateHealthy, protocol.StateHealthy} {
		w.send(link, observing(uint64(generation), protocol.InstanceStatus{ID: instance.String(), AppID: app.String(), State: state}))
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if got := w.Instances(app); len(got) != 1 || got[0].State != protocol.StateHealthy {
		t.Errorf("instances %+v", got)
	}
	if linked, states := w.Census(); linked != 1 || states[protocol.StateHealthy] != 1 || len(states) != 1 {
		t.Errorf("%d agents, instances %v", linked, states)
	}
	if got := w.Instances(models.NewID()); len(got) != 0 {
		t.Errorf("another app has %+v", got)
	}
	w.until("observed", w.called("observed 3"))
}

func TestWaitEnds(t *testing.T) {
	w := newWorld(t, 0)
	never := func(View) (bool, error) { return false, nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Wait(ctx, never); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	sick := errors.New("sick")
	if err := w.Wait(t.Context(), func(View) (bool, error) { return false, sick }); !errors.Is(err, sick) {
		t.Errorf("condition failed: %v", err)
	}
	closed := make(chan error, 1)
	go func() { closed <- w.Wait(t.Context(), never) }()
	_ = w.Close()
	if err := <-closed; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
