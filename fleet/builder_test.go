package fleet

import (
	"context"
	"net"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// attached is a builder that a Fleet told of.
type attached struct {
	node   models.ID
	places int
	dial   func(context.Context) (net.Conn, error)
}

// workshop notes who builds.
type workshop struct {
	came chan attached
	gone chan models.ID
}

// Attach implements Builders.
func (w workshop) Attach(_ context.Context, node models.ID, places int, dial func(context.Context) (net.Conn, error)) func() {
	w.came <- attached{node, places, dial}
	return func() { w.gone <- node }
}

func TestBuildersComeAndGoWithTheirLinks(t *testing.T) {
	w := newWorld(t, 0)
	shop := workshop{make(chan attached, 1), make(chan models.ID, 1)}
	w.config.Builders = shop
	node := models.NewID()
	link := w.dialHello(node, protocol.Hello{Version: protocol.Version, Builds: 3})
	builder := <-shop.came
	if builder.node != node || builder.places != 3 {
		t.Errorf("attached %+v", builder)
	}
	conn, err := builder.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	stream, err := link.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	var header protocol.StreamHeader
	if err := stream.ReadFrame(&header); err != nil || header.Kind != protocol.StreamBuild {
		t.Errorf("%+v, %v", header, err)
	}
	one := make([]byte, 1)
	if _, err := stream.Conn().Read(one); err != nil || one[0] != 'x' {
		t.Errorf("%q, %v", one, err)
	}
	_ = link.Close()
	if gone := <-shop.gone; gone != node {
		t.Errorf("%s went", gone)
	}
	if _, err := builder.dial(t.Context()); err == nil {
		t.Error("a builder without a link is reached")
	}
}

func TestAnAgentOfTheVersionBeforeDoesNotBuild(t *testing.T) {
	w := newWorld(t, 0)
	shop := workshop{make(chan attached, 1), make(chan models.ID, 1)}
	w.config.Builders = shop
	link := w.dialHello(models.NewID(), protocol.Hello{Version: protocol.BuilderVersion - 1, Builds: 3})
	w.send(link, observing(1))
	w.until("observed", w.called("observed 1"))
	if len(shop.came) != 0 {
		t.Error("it was attached")
	}
}
