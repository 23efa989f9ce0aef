package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// ErrAgentTooOld says that a Node's agent does not know what is asked of it.
var ErrAgentTooOld = errors.New("the agent of the node is too old for terminals")

// Open opens a stream of a terminal to a Node's agent. It is models.Unavailable
// when the Node has no link, and when its agent has no terminals yet.
func (f *Fleet) Open(_ context.Context, id models.ID, header protocol.StreamHeader) (*protocol.Stream, error) {
	f.mu.Lock()
	var at *agent
	if node := f.nodes[id]; node != nil {
		at = node.agent
	}
	f.mu.Unlock()
	switch {
	case at == nil:
		return nil, models.Errorf(models.Unavailable, "the node is offline").WithRemedy("try again; `sky ps` shows what runs elsewhere")
	case !at.hasTerminals():
		return nil, models.Errorf(models.Unavailable, "%w", ErrAgentTooOld).
			WithRemedy("an admin upgrades it: install the control plane's version of sky on the node and restart its agent")
	}
	stream, err := at.link.OpenStream(header)
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	return stream, nil
}

func (a *agent) hasTerminals() bool { return a.version >= protocol.TerminalVersion }

// understood leaves out what an agent of an older version would do wrongly: an
// Instance that waits for a terminal would run without one.
func (a *agent) understood(assignment protocol.Assignment) protocol.Assignment {
	if !a.hasTerminals() {
		assignment.Instances = slices.DeleteFunc(slices.Clone(assignment.Instances), func(instance protocol.Instance) bool {
			return instance.Attended
		})
	}
	return assignment
}
