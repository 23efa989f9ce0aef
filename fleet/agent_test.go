package fleet

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

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

// TestAnAgentsClockIsItsOwn: an hour ahead or behind, it neither takes its Node
// offline nor keeps it online, and what it saw was when it was.
func TestAnAgentsClockIsItsOwn(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		w := newWorld(t, 200*time.Millisecond)
		node, instance := models.NewID(), models.NewID()
		link := w.dial(node, "n1")
		clock := time.Now().Add(skew)
		began := time.Now().Add(-time.Minute)
		w.send(link, protocol.Message{Heartbeat: &protocol.Heartbeat{At: clock}})
		w.send(link, protocol.Message{Observed: &protocol.Observed{
			Generation: 1, At: clock, Instances: []protocol.InstanceStatus{{ID: instance.String(), Since: began.Add(skew)}},
		}})
		err := w.Wait(t.Context(), func(v View) (bool, error) {
			status, known := v.Instance(instance)
			if known && status.Since.Sub(began).Abs() > time.Minute {
				t.Errorf("by a clock that is %s off, it began %s off", skew, status.Since.Sub(began))
			}
			return known, nil
		})
		if err != nil {
			t.Error(err)
		}
		if !w.Online(node) {
			t.Error("offline while it speaks")
		}
		<-link.Done() // silence
		w.until("offline", w.called("offline "+node.String()))
	}
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
	if err := link.Close(); err != nil {
		t.Error(err)
	}
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

func TestAgentsSpeakForTheirOwnInstancesOnly(t *testing.T) {
	w := newWorld(t, 0)
	owner, liar, instance := models.NewID(), models.NewID(), models.NewID()
	w.change(func() {
		w.assignments[owner] = protocol.Assignment{Generation: 1, Instances: []protocol.Instance{{ID: instance.String()}}}
	})
	w.generation(w.dial(owner, "owner"), 1)
	link := w.dial(liar, "liar")
	w.send(link, observing(9, protocol.InstanceStatus{ID: instance.String(), State: protocol.StateHealthy}))
	w.until("observed", w.called("observed 9"))
	_ = w.Wait(t.Context(), func(v View) (bool, error) {
		if _, found := v.Instance(instance); found {
			t.Error("a foreign agent was believed")
		}
		return true, nil
	})
	stream, err := link.OpenStream(protocol.StreamHeader{Kind: protocol.StreamLog, Instance: instance.String()})
	if err != nil {
		t.Fatal(err)
	}
	var resume protocol.LogResume
	if err := stream.ReadFrame(&resume); err == nil {
		t.Error("a foreign agent may write the log")
	}
	_ = stream.Close()
}
