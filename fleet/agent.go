package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// retryAssignment is the pause after an Assignment could not be computed.
const retryAssignment = time.Second

// agent is one link of one Node, from Hello to its end.
type agent struct {
	fleet   *Fleet
	node    models.ID
	link    *protocol.Link
	remote  string        // where the link comes from
	version int           // of the protocol that the agent speaks
	refresh chan struct{} // holds one token: the slot in which the newest wins
	later   chan struct{} // the same, for what is not urgent
	hasTurn bool          // sendAssignments' own
	done    chan struct{} // closed when serve has returned
	streams sync.WaitGroup
}

// poke asks for the Assignment to be sent; many pokes are one.
func poke(slot chan struct{}) {
	select {
	case slot <- struct{}{}:
	default:
	}
}

func (f *Fleet) serveLink(w http.ResponseWriter, r *http.Request) {
	done, err := f.start()
	if err != nil {
		http.Error(w, "the control plane is shutting down", http.StatusServiceUnavailable)
		return
	}
	defer done()
	id, err := f.config.Authenticate(r)
	if err != nil {
		http.Error(w, "these credentials belong to no node", http.StatusUnauthorized)
		return
	}
	link, err := protocol.Accept(w, r)
	if err != nil {
		f.config.Logger.Warn("agent link not accepted", "node", id, "error", err)
		return
	}
	a := &agent{fleet: f, node: id, link: link, remote: r.RemoteAddr, refresh: make(chan struct{}, 1), later: make(chan struct{}, 1), done: make(chan struct{})}
	if err := a.serve(); err != nil {
		f.config.Logger.Info("agent link ended", "node", id, "error", err)
	}
}

// serve runs one link until it ends. Everything that it started has returned
// when it does, but for the watch that calls a silent Node offline.
func (a *agent) serve() error {
	defer close(a.done)
	ctx, cancel := context.WithCancel(a.fleet.ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = a.link.Close() })
	defer stop()
	hello, err := a.greet()
	if err != nil {
		return errors.Join(err, a.link.Close())
	}
	a.version = hello.Version
	if replaced := a.fleet.attach(a); replaced != nil {
		_ = replaced.link.Close()
		<-replaced.done
	}
	hello.Peer, hello.Ingress = reachable(hello.Peer, a.remote), reachable(hello.Ingress, a.remote)
	a.fleet.config.Nodes.Online(ctx, a.node, hello)
	poke(a.later) // many come at once when a control plane starts
	defer a.offerBuilds(ctx, hello.Builds)()
	a.streams.Go(func() { a.sendAssignments(ctx) })
	a.streams.Go(func() { a.acceptStreams(ctx) })
	err = a.receive(ctx)
	cancel()
	_ = a.link.Close()
	a.streams.Wait()
	a.watchSilence()
	return err
}

// offerBuilds has an agent build that can, until the function that it returns is
// called.
func (a *agent) offerBuilds(ctx context.Context, places int) (end func()) {
	if a.fleet.config.Builders == nil || places <= 0 || a.version < protocol.BuilderVersion {
		return func() {}
	}
	return a.fleet.config.Builders.Attach(ctx, a.node, places, func(context.Context) (net.Conn, error) {
		stream, err := a.link.OpenStream(protocol.StreamHeader{Kind: protocol.StreamBuild})
		if err != nil {
			return nil, fmt.Errorf("reach the builder: %w", err)
		}
		return stream.Conn(), nil
	})
}

// reachable completes the address that an agent says it is reached at, with the
// host that its link comes from.
func reachable(said, remote string) string {
	host, port, err := net.SplitHostPort(said)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return said
	}
	from, _, err := net.SplitHostPort(remote)
	if err != nil {
		return ""
	}
	return net.JoinHostPort(from, port)
}

// greet reads the agent's Hello and answers it. An agent that it refuses has
// WriteTimeout to read why.
func (a *agent) greet() (protocol.Hello, error) {
	late := time.AfterFunc(protocol.WriteTimeout, func() { _ = a.link.Close() })
	defer late.Stop()
	message, err := a.link.Receive()
	if err != nil {
		return protocol.Hello{}, fmt.Errorf("receive hello: %w", err)
	}
	if message.Hello == nil {
		return protocol.Hello{}, errors.New("receive hello: the agent began with another message")
	}
	welcome := protocol.Welcome{Version: protocol.Version}
	if message.Hello.Version > protocol.Version {
		welcome.Refused = fmt.Sprintf("the agent speaks protocol version %d, this control plane %d: upgrade the control plane first", message.Hello.Version, protocol.Version)
	}
	if err := a.link.Send(protocol.Message{Welcome: &welcome}); err != nil {
		return protocol.Hello{}, fmt.Errorf("send welcome: %w", err)
	}
	if welcome.Refused != "" {
		// The agent hangs up: closing first could overtake the reason.
		_, _ = a.link.Receive()
		return protocol.Hello{}, errors.New(welcome.Refused)
	}
	return *message.Hello, nil
}

// receive handles messages until the link ends or is silent for too long.
func (a *agent) receive(ctx context.Context) error {
	quiet := time.AfterFunc(a.fleet.config.OfflineAfter, func() { _ = a.link.Close() })
	defer quiet.Stop()
	for {
		message, err := a.link.Receive()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		quiet.Reset(a.fleet.config.OfflineAfter)
		a.fleet.hear(a)
		switch {
		case message.Observed != nil:
			observed := message.Observed.ByClock(time.Now())
			if a.fleet.observe(a, observed) {
				a.fleet.config.Nodes.Observed(ctx, a.node, observed)
			}
		case message.Heartbeat != nil:
			a.fleet.config.Nodes.Heartbeat(ctx, a.node, *message.Heartbeat)
		}
	}
}

// sendAssignments sends the newest Assignment after every poke.
func (a *agent) sendAssignments(ctx context.Context) {
	var sent uint64
	for a.awaitPoke(ctx) {
		assignment, err := a.fleet.config.Assignments.Assignment(ctx, a.node)
		a.endTurn()
		if err != nil {
			a.fleet.config.Logger.Warn("assignment not computed", "node", a.node, "error", err)
			time.AfterFunc(retryAssignment, func() { poke(a.later) })
			continue
		}
		if sent != 0 && assignment.Generation <= sent {
			continue
		}
		a.fleet.own(a.node, assignment)
		assignment = a.understood(assignment)
		err = a.link.Send(protocol.Message{Assignment: &assignment})
		if errors.Is(err, protocol.ErrFrameTooLong) { // nothing was sent; the node goes on with what it has
			a.fleet.config.Logger.Error("assignment not sent: the node has more to do than one message holds", "node", a.node, "error", err)
			continue
		}
		if err != nil {
			_ = a.link.Close()
			return
		}
		sent = assignment.Generation
	}
}

// awaitPoke blocks until the Assignment is to be computed, and returns false when ctx
// ends before. What is not urgent waits for a turn, unless it becomes urgent meanwhile.
func (a *agent) awaitPoke(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-a.refresh:
		return true
	case <-a.later:
	}
	select {
	case <-ctx.Done():
		return false
	case <-a.refresh:
		return true
	case a.fleet.turns <- struct{}{}:
		a.hasTurn = true
		return true
	}
}

// endTurn leaves the turn to others, where the Assignment had one.
func (a *agent) endTurn() {
	if a.hasTurn {
		a.hasTurn = false
		<-a.fleet.turns
	}
}

// watchSilence calls the Node offline once nothing was heard for long enough,
// unless it comes back before.
func (a *agent) watchSilence() {
	if !a.fleet.detach(a) {
		return
	}
	done, err := a.fleet.start()
	if err != nil {
		return
	}
	go func() {
		defer done()
		a.waitSilence()
	}()
}

func (a *agent) waitSilence() {
	heard := a.fleet.lastHeard(a.node)
	timer := time.NewTimer(time.Until(heard.Add(a.fleet.config.OfflineAfter)))
	defer timer.Stop()
	select {
	case <-a.fleet.ctx.Done():
	case <-timer.C:
		if !a.fleet.linked(a.node) && a.fleet.silent(a.node, heard) {
			a.fleet.config.Nodes.Offline(a.fleet.ctx, a.node)
		}
	}
}
