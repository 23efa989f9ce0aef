package gitserver

import (
	"sync"

	"github.com/skypanel/sky/models"
)

// appState is what the process knows of one App's repository.
type appState struct {
	mu            sync.Mutex // the App's lock; it guards what follows
	pushes        int        // under way
	count         uint64     // of pushes, each when it began and when it ended
	left          int        // packs after the last consolidation
	consolidating sync.Mutex // taken before mu
}

func (r *Repositories) state(app models.ID) *appState {
	value, _ := r.states.LoadOrStore(app, &appState{})
	return value.(*appState)
}

// settled returns how many packs the last consolidation had to leave.
func (s *appState) settled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left
}

// lock takes the App's lock and returns what releases it.
func (r *Repositories) lock(app models.ID) (unlock func()) {
	state := r.state(app)
	state.mu.Lock()
	return state.mu.Unlock
}

// pushing counts a push until done: while there is one, no object goes.
func (r *Repositories) pushing(app models.ID) (done func()) {
	state := r.state(app)
	count := func(n int) {
		state.mu.Lock()
		defer state.mu.Unlock()
		state.pushes += n
		state.count++
	}
	count(1)
	return func() { count(-1) }
}
