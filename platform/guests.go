package platform

import (
	"context"
	"sync"

	"github.com/skypanel/sky/models"
)

const (
	// maxTerminals is how many terminals somebody may have open.
	maxTerminals = 10
	// maxOneOffs is how many one-offs an App may have.
	maxOneOffs = 5
)

// guests are the terminals that are open and the one-offs that are waited for.
// Stop ends them and waits. The zero value is ready.
type guests struct {
	mu       sync.Mutex
	closed   bool
	work     sync.WaitGroup
	sitting  map[models.ID]int                     // terminals by User
	awaiting map[models.ID]context.CancelCauseFunc // by one-off
}

// sit lets a User open one terminal more; leave closes it.
func (g *guests) sit(user models.ID) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, errStopping
	}
	if g.sitting[user] >= maxTerminals {
		return nil, models.Errorf(models.TooMany, "you have %d terminals open, which is the most", maxTerminals).
			WithRemedy("close one and try again")
	}
	if g.sitting == nil {
		g.sitting = map[models.ID]int{}
	}
	g.sitting[user]++
	g.work.Add(1)
	return func() {
		defer g.work.Done()
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.sitting[user]--; g.sitting[user] == 0 {
			delete(g.sitting, user)
		}
	}, nil
}

// errLetGo ends the wait for a one-off that somebody let go of.
var errLetGo = models.Errorf(models.Cancelled, "was stopped")

// await runs wait for a one-off, in the background, until it returns or the one-off
// is dismissed: that is the cause of its context then.
func (g *guests) await(ctx context.Context, oneOff models.ID, wait func(ctx context.Context)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return // the next Start waits for it
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if g.awaiting == nil {
		g.awaiting = map[models.ID]context.CancelCauseFunc{}
	}
	g.awaiting[oneOff] = cancel
	g.work.Go(func() {
		defer g.dismiss([]models.ID{oneOff})
		wait(ctx)
	})
}

// dismiss tells who waits for one-offs that these are let go of.
func (g *guests) dismiss(oneOffs []models.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range oneOffs {
		if cancel := g.awaiting[id]; cancel != nil {
			cancel(errLetGo)
			delete(g.awaiting, id)
		}
	}
}

// close lets nobody in any more, and waits until all have left.
func (g *guests) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.work.Wait()
}
