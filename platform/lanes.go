package platform

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/skypanel/sky/models"
)

// work is one thing to do to an App. It may be waited for by any number of
// callers, and is not bound to any of them.
type work struct {
	// build is set for a push: only pushes supersede one another.
	build *models.ID
	run   func(ctx context.Context) error

	cancel context.CancelCauseFunc
	ctx    context.Context
	done   chan struct{}
	err    error // valid once done is closed
}

// errSuperseded ends a push that waited when a newer one came.
var errSuperseded = errors.New("superseded by a newer push")

// errCancelled ends work that somebody cancelled.
var errCancelled = errors.New("cancelled")

// lanes runs one work at a time for each App, in the order in which they came;
// among the pushes that wait, only the newest is kept.
type lanes struct {
	ctx   context.Context
	mu    sync.Mutex
	byApp map[models.ID]*lane
	group sync.WaitGroup
}

type lane struct {
	running *work
	waiting []*work
}

func newLanes(ctx context.Context) *lanes {
	return &lanes{ctx: ctx, byApp: map[models.ID]*lane{}}
}

// enter puts work behind what the App's lane has, and returns what it displaced.
func (l *lanes) enter(app models.ID, w *work) (displaced []*work, busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w.done = make(chan struct{})
	w.ctx, w.cancel = context.WithCancelCause(l.ctx)
	at := l.byApp[app]
	if at == nil {
		at = &lane{}
		l.byApp[app] = at
	}
	if w.build != nil {
		at.waiting = slices.DeleteFunc(at.waiting, func(other *work) bool {
			if other.build != nil {
				displaced = append(displaced, other)
				return true
			}
			return false
		})
	}
	at.waiting = append(at.waiting, w)
	busy = at.running != nil
	l.next(app, at)
	for _, other := range displaced {
		l.finish(other, errSuperseded)
	}
	return displaced, busy
}

// next begins the lane's first waiting work, if none runs. The lock is held.
func (l *lanes) next(app models.ID, at *lane) {
	if at.running != nil {
		return
	}
	if len(at.waiting) == 0 {
		delete(l.byApp, app)
		return
	}
	w := at.waiting[0]
	at.waiting = at.waiting[1:]
	at.running = w
	l.group.Go(func() {
		err := w.run(w.ctx) // cancelled or not: it has its own end to record
		l.mu.Lock()
		defer l.mu.Unlock()
		l.finish(w, err)
		at.running = nil
		l.next(app, at)
	})
}

func (l *lanes) finish(w *work, err error) {
	w.err = err
	w.cancel(nil)
	close(w.done)
}

// find returns the work of a Build that waits or runs, or nil.
func (l *lanes) find(app models.ID, match func(build models.ID) bool) *work {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.byApp[app]
	if at == nil {
		return nil
	}
	for _, w := range append([]*work{at.running}, at.waiting...) {
		if w != nil && w.build != nil && match(*w.build) {
			return w
		}
	}
	return nil
}

// drop takes work that waits out of the App's lane and ends it with cause. It
// returns false when the work runs already, or has ended.
func (l *lanes) drop(app models.ID, w *work, cause error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.byApp[app]
	if at == nil {
		return false
	}
	place := slices.Index(at.waiting, w)
	if place < 0 {
		return false
	}
	at.waiting = slices.Delete(at.waiting, place, place+1)
	l.finish(w, cause)
	return true
}

// do runs fn in the App's lane and waits for it. When ctx ends first, fn goes
// on by itself.
func (l *lanes) do(ctx context.Context, app models.ID, fn func(ctx context.Context) error) error {
	w := &work{run: fn}
	l.enter(app, w)
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beside runs fn by itself, outside of every App's lane. It is to be called from
// work that runs.
func (l *lanes) beside(fn func(ctx context.Context)) { l.group.Go(func() { fn(l.ctx) }) }

// wait blocks until no work runs.
func (l *lanes) wait() { l.group.Wait() }
