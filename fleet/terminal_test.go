package fleet

import (
	"errors"
	"net/http"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// dialAs links an agent that speaks a version of the protocol.
func (w *world) dialAs(node models.ID, version int) *protocol.Link {
	w.t.Helper()
	return w.dialHello(node, protocol.Hello{Version: version, Hostname: "old"})
}

func (w *world) dialHello(node models.ID, hello protocol.Hello) *protocol.Link {
	w.t.Helper()
	link, err := protocol.Dial(w.t.Context(), w.web.Client(), w.web.URL, http.Header{"Node": {node.String()}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = link.Close() })
	w.send(link, protocol.Message{Hello: &hello})
	if answer := w.receive(link); answer.Welcome == nil || answer.Welcome.Refused != "" {
		w.t.Fatalf("an agent of version %d is not welcome: %+v", hello.Version, answer)
	}
	return link
}

func TestAnAgentOfTheVersionBeforeHasAllButTerminals(t *testing.T) {
	w := newWorld(t, 0)
	node, plain, attended := models.NewID(), models.NewID().String(), models.NewID().String()
	w.change(func() {
		w.assignments[node] = protocol.Assignment{Generation: 1, Instances: []protocol.Instance{{ID: plain}, {ID: attended, Attended: true}}}
	})
	link := w.dialAs(node, protocol.TerminalVersion-1)
	got := w.receive(link)
	if got.Assignment == nil || len(got.Assignment.Instances) != 1 || got.Assignment.Instances[0].ID != plain {
		t.Errorf("assigned %+v", got.Assignment)
	}
	w.send(link, observing(1, protocol.InstanceStatus{ID: plain, State: protocol.StateHealthy}))
	w.until("observed", w.called("observed 1"))
	_, err := w.Open(t.Context(), node, protocol.StreamHeader{Kind: protocol.StreamExec})
	if refused := models.AsError(err); !errors.Is(err, ErrAgentTooOld) || refused == nil || refused.Remedy == "" {
		t.Errorf("opened: %v", err)
	}
}

func TestTerminalsReachTheirNode(t *testing.T) {
	w := newWorld(t, 0)
	node := models.NewID()
	if _, err := w.Open(t.Context(), node, protocol.StreamHeader{}); !models.IsCode(err, models.Unavailable) {
		t.Errorf("opened to nobody: %v", err)
	}
	link := w.dialAs(node, protocol.Version)
	stream, err := w.Open(t.Context(), node, protocol.StreamHeader{Kind: protocol.StreamExec, Instance: "i"})
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := link.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	var header protocol.StreamHeader
	if err := accepted.ReadFrame(&header); err != nil || header.Instance != "i" {
		t.Errorf("%+v, %v", header, err)
	}
	_ = link.Close()
	if _, err := stream.ReadPiece(); err == nil {
		t.Error("the terminal went on without its link")
	}
}
