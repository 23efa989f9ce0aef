package fleet

import (
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// TestWhatIsWaitedForGoesFirst has every turn taken by nodes whose assignments cannot be
// computed, and another node ask.
func TestWhatIsWaitedForGoesFirst(t *testing.T) {
	w := newWorld(t, 0)
	for range cap(w.turns) {
		w.turns <- struct{}{}
	}
	node := models.NewID()
	w.change(func() { w.assignments[node] = protocol.Assignment{Generation: 1} })
	link := w.dial(node, "waits")
	w.until("online", w.called("online waits"))
	w.RefreshLater(node)
	w.Refresh(node)
	if got := w.receive(link); got.Assignment == nil || got.Assignment.Generation != 1 {
		t.Fatalf("got %+v", got)
	}
	w.change(func() { w.assignments[node] = protocol.Assignment{Generation: 2} })
	w.RefreshLater(node)
	received := make(chan protocol.Message, 1)
	go func() {
		message, _ := link.Receive()
		received <- message
	}()
	select {
	case got := <-received:
		t.Fatalf("it had a turn: %+v", got)
	default:
	}
	<-w.turns
	if got := <-received; got.Assignment == nil || got.Assignment.Generation != 2 {
		t.Fatalf("got %+v", got)
	}
	if len(w.turns) > cap(w.turns)-1 {
		t.Error("a turn was not given back")
	}
}
