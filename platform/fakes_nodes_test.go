package platform

import (
	"context"
	"net"
	"sync"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
)

// nodes is a fleet whose nodes do at once what they are assigned, unless they are
// away.
type nodes struct {
	platform *Platform
	mu       sync.Mutex
	changed  chan struct{}
	observed map[models.ID]protocol.InstanceStatus
	on       map[models.ID]models.ID // by Instance, the node that observes it
	away     map[models.ID]bool
	inForce  map[models.ID]uint64 // generations, by node
	// become decides what an Instance turns into; nil lets it be healthy.
	become func(protocol.Instance) protocol.InstanceStatus
	// serve is at the agents' end of terminals.
	serve func(protocol.StreamHeader, *protocol.Stream)
}

func newNodes() *nodes {
	return &nodes{
		changed: make(chan struct{}), observed: map[models.ID]protocol.InstanceStatus{},
		on: map[models.ID]models.ID{}, away: map[models.ID]bool{}, inForce: map[models.ID]uint64{},
	}
}

// leave takes nodes offline, or brings them back.
func (n *nodes) leave(away bool, ids ...models.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range ids {
		n.away[id] = away
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *nodes) RefreshLater(node models.ID) { n.Refresh(node) }

func (n *nodes) Refresh(node models.ID) {
	assignment, err := n.platform.Assignment(context.Background(), node)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil || n.away[node] {
		return
	}
	for id, at := range n.on {
		if at == node {
			delete(n.observed, id)
			delete(n.on, id)
		}
	}
	n.inForce[node] = max(n.inForce[node], assignment.Generation)
	for _, instance := range assignment.Instances {
		status := protocol.InstanceStatus{State: string(models.InstanceHealthy)}
		if n.become != nil {
			status = n.become(instance)
		}
		status.ID, status.AppID = instance.ID, instance.AppID
		id, _ := models.ParseID(instance.ID)
		n.observed[id], n.on[id] = status, node
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *nodes) Wait(ctx context.Context, condition func(rollout.View) (bool, error)) error {
	for {
		n.mu.Lock()
		done, err := condition(view{n})
		changed := n.changed
		n.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Open links to an agent of its own for each terminal, which serve speaks for.
func (n *nodes) Open(ctx context.Context, _ models.ID, header protocol.StreamHeader) (*protocol.Stream, error) {
	near, far := net.Pipe()
	accepted := make(chan *protocol.Link, 1)
	go func() {
		link, err := protocol.NewAgentLink(far)
		if err == nil {
			accepted <- link
		}
	}()
	link, err := protocol.NewServerLink(near)
	if err != nil {
		return nil, err
	}
	agent := <-accepted
	go func() {
		defer agent.Close()
		defer link.Close()
		var read protocol.StreamHeader
		if stream, err := agent.AcceptStream(); err == nil && stream.ReadFrame(&read) == nil {
			n.serve(read, stream)
		}
	}()
	return link.OpenStream(header)
}

func (n *nodes) Instances(app models.ID) []protocol.InstanceStatus {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []protocol.InstanceStatus
	for _, status := range n.observed {
		if status.AppID == app.String() {
			found = append(found, status)
		}
	}
	return found
}

type view struct{ *nodes }

func (v view) Instance(id models.ID) (protocol.InstanceStatus, bool) {
	status, known := v.observed[id]
	return status, known
}
func (v view) Generation(node models.ID) uint64 { return v.inForce[node] }
func (v view) Online(node models.ID) bool       { return !v.away[node] }
func (v view) Trouble(models.ID) string         { return "" }
