package agent

import (
	"sync"

	"github.com/skypanel/sky/agent/protocol"
)

// desired is what an Assignment says about one App.
type desired struct {
	known      bool // an Assignment is known; without one nothing is unwanted
	generation uint64
	wanted     map[string]protocol.Instance
	route      *protocol.Route
}

// empty says that the App has no business here.
func (d desired) empty() bool { return len(d.wanted) == 0 && d.route == nil }

// mailbox is what reaches an App's goroutine. Newer wishes replace older ones;
// news pile up; all of it is one wake.
type mailbox struct {
	wake chan struct{}

	mu   sync.Mutex
	wish *desired
	news []func()
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// Want replaces the App's wish.
func (m *mailbox) Want(wish desired) {
	m.mu.Lock()
	m.wish = &wish
	m.mu.Unlock()
	m.Poke()
}

// Tell has the App's goroutine run news before it plans again.
func (m *mailbox) Tell(news func()) {
	m.mu.Lock()
	m.news = append(m.news, news)
	m.mu.Unlock()
	m.Poke()
}

// Poke has the App's goroutine look again.
func (m *mailbox) Poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Take empties the mailbox. The wish is nil when it has not changed.
func (m *mailbox) Take() (*desired, []func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wish, news := m.wish, m.news
	m.wish, m.news = nil, nil
	return wish, news
}

// Empty says that nothing waits.
func (m *mailbox) Empty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wish == nil && len(m.news) == 0
}
