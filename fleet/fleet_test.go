package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
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
	if w.failing {
		w.failing = false
		return protocol.Assignment{}, errors.New("the database is away")
	}
	return w.assignments[node], nil
}

func (w *world) LastLine(_ context.Context, instance string) (time.Time, error) {
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

func TestSecondLinkReplacesTheFirst(t *testing.T) {
	w := newWorld(t, 0)
	node := models.NewID()
	first := w.dial(node, "n1")
	w.send(first, observing(5))
	w.until("observed", w.called("observed 5"))
	second := w.dial(node, "n1 again")
	<-first.Done()
	w.send(second, observing(6))
	w.until("observed again", w.called("observed 6"))
	w.assign(node, 7)
	w.generation(second, 7)
	if !w.Online(node) {
		t.Error("the node is not online")
	}
}

func TestSilentNodeGoesOfflineAndComesBack(t *testing.T) {
	w := newWorld(t, 200*time.Millisecond)
	node := models.NewID()
	link := w.dial(node, "n1")
	w.send(link, observing(1))
	<-link.Done() // silence
	w.until("offline", w.called("offline "+node.String()))
	if w.Online(node) {
		t.Error("still online")
	}
	err := w.Wait(t.Context(), func(v View) (bool, error) { return !v.Online(node) && v.Generation(node) == 1, nil })
	if err != nil {
		t.Error(err)
	}
	w.dial(node, "back")
	w.until("online", w.called("online back"))
}

func TestShortAbsenceIsNoOffline(t *testing.T) {
	w := newWorld(t, 300*time.Millisecond)
	node := models.NewID()
	_ = w.dial(node, "n1").Close()
	link := w.dial(node, "n2")
	deadline := time.Now().Add(500 * time.Millisecond)
	for i := 0; time.Now().Before(deadline); i++ {
		w.send(link, protocol.Message{Heartbeat: &protocol.Heartbeat{Containers: i}})
		w.until("beat", w.called(fmt.Sprintf("beat %d", i)))
	}
	if slices.ContainsFunc(w.calls, func(call string) bool { return call == "offline "+node.String() }) {
		t.Error("offline was called")
	}
}

func TestSlowSinkDelaysOnlyItsAgent(t *testing.T) {
	w := newWorld(t, 0)
	slow, quick := models.NewID(), models.NewID()
	release := make(chan struct{})
	w.change(func() { w.stall[slow] = release })
	w.send(w.dial(slow, "slow"), observing(1))
	link := w.dial(quick, "quick")
	for generation := uint64(2); generation < 20; generation++ {
		w.send(link, observing(generation))
		w.until("observed", w.called(fmt.Sprintf("observed %d", generation)))
		w.assign(quick, generation)
		w.generation(link, generation)
	}
	close(release)
	w.until("the slow one too", w.called("observed 1"))
}

func TestStrangersAndNewerAgentsAreRefused(t *testing.T) {
	w := newWorld(t, 0)
	if _, err := protocol.Dial(t.Context(), w.web.Client(), w.web.URL, nil); err == nil {
		t.Error("a stranger was let in")
	}
	link, err := protocol.Dial(t.Context(), w.web.Client(), w.web.URL, http.Header{"Node": {models.NewID().String()}})
	if err != nil {
		t.Fatal(err)
	}
	w.send(link, protocol.Message{Hello: &protocol.Hello{Version: protocol.Version + 1}})
	if answer := w.receive(link); answer.Welcome == nil || answer.Welcome.Refused == "" {
		t.Errorf("answer %+v", answer)
	}
	<-link.Done()
}

func TestLogGoesOnWhereItWasKept(t *testing.T) {
	w := newWorld(t, 0)
	node, start := models.NewID(), time.Now().UTC()
	line := func(i int) protocol.LogLine {
		return protocol.LogLine{Time: start.Add(time.Duration(i)), Text: fmt.Sprint(i)}
	}
	sent := 0
	for range 3 {
		link := w.dial(node, "n1")
		stream, err := link.OpenStream(protocol.StreamHeader{Kind: protocol.StreamLog, Instance: "i"})
		if err != nil {
			t.Fatal(err)
		}
		var resume protocol.LogResume
		if err := stream.ReadFrame(&resume); err != nil {
			t.Fatal(err)
		}
		if sent > 0 && !resume.After.Equal(line(sent-1).Time) {
			t.Errorf("resume after %s, want line %d", resume.After, sent-1)
		}
		for i := max(0, sent-5); i < sent+10; i++ { // some are sent again
			if err := stream.WriteFrame(line(i)); err != nil {
				t.Fatal(err)
			}
		}
		sent += 10
		_ = stream.Close()
		if err := stream.ReadFrame(&resume); err != nil || !resume.After.Equal(line(sent-1).Time) {
			t.Errorf("confirmed %s, %v", resume.After, err)
		}
		_ = link.Close()
	}
	if got := w.lines["i"]; len(got) != 30 {
		t.Errorf("%d lines kept, want 30", len(got))
	}
}

func TestCloseEndsEverything(t *testing.T) {
	w := newWorld(t, 0)
	var links []*protocol.Link
	for i := range 10 {
		links = append(links, w.dial(models.NewID(), fmt.Sprint(i)))
	}
	_ = w.Close()
	_ = w.Close()
	for _, link := range links {
		<-link.Done()
	}
	if _, err := protocol.Dial(t.Context(), w.web.Client(), w.web.URL, http.Header{"Node": {models.NewID().String()}}); err == nil {
		t.Error("a closed fleet took an agent")
	}
}

func TestManyAgentsAtOnce(t *testing.T) {
	w := newWorld(t, 0)
	var work sync.WaitGroup
	for range 50 {
		work.Go(func() {
			node := models.NewID()
			w.assign(node, 1)
			link := w.dial(node, "n")
			w.generation(link, 1)
			w.send(link, observing(1))
			if err := w.Wait(t.Context(), func(v View) (bool, error) { return v.Generation(node) == 1, nil }); err != nil {
				t.Error(err)
			}
			w.assign(node, 2)
			w.generation(link, 2)
		})
	}
	work.Wait()
}
