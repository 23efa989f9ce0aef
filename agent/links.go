package agent

import (
	"context"
	"sync"

	"github.com/skypanel/sky/agent/protocol"
)

// links hands the present link to those that send beside the control stream.
type links struct {
	mu      sync.Mutex
	current *protocol.Link
	changed chan struct{}
}

func newLinks() *links { return &links{changed: make(chan struct{})} }

// Set replaces the link; nil says that there is none.
func (l *links) Set(link *protocol.Link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = link
	close(l.changed)
	l.changed = make(chan struct{})
}

// Current returns the link; nil when there is none.
func (l *links) Current() *protocol.Link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// Wait blocks until there is a link.
func (l *links) Wait(ctx context.Context) (*protocol.Link, error) {
	for {
		l.mu.Lock()
		current, changed := l.current, l.changed
		l.mu.Unlock()
		if current != nil {
			return current, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}
