package buildpipeline

import (
	"context"
	"slices"
	"sync"

	"github.com/skypanel/sky/models"
)

// queue lets a bounded number of builds run at once. Among the Organisations
// that have builds waiting, turns go round: one that pushes a hundred times keeps
// nobody else waiting for more than one of its builds.
type queue struct {
	mu   sync.Mutex
	free int
	// perOrganisation bounds how many builds of one Organisation run at once.
	perOrganisation int
	running         map[models.ID]int
	waiting         map[models.ID][]chan struct{}
	order           []models.ID // of those that wait, whose turn is next first
}

// newQueue lets concurrency builds run, and at most perOrganisation of one
// Organisation; 0 is as many as there are.
func newQueue(concurrency, perOrganisation int) *queue {
	concurrency = max(1, concurrency)
	if perOrganisation <= 0 {
		perOrganisation = concurrency
	}
	return &queue{free: concurrency, perOrganisation: perOrganisation, running: map[models.ID]int{}, waiting: map[models.ID][]chan struct{}{}}
}

// enter blocks until it is the build's turn, or ctx ends. When it has to wait,
// wait is called first, with how many builds are before it at most. The turn
// lasts until leave is called.
func (q *queue) enter(ctx context.Context, organisation models.ID, wait func(before int)) (leave func(), err error) {
	turn := make(chan struct{})
	q.mu.Lock()
	if len(q.waiting[organisation]) == 0 {
		q.order = append(q.order, organisation)
	}
	before := q.waitingBuilds()
	q.waiting[organisation] = append(q.waiting[organisation], turn)
	q.next()
	q.mu.Unlock()
	leave = func() { q.leave(organisation) }
	select {
	case <-turn:
		return leave, nil
	default:
		wait(before + 1)
	}
	select {
	case <-turn:
		return leave, nil
	case <-ctx.Done():
		if !q.giveUp(organisation, turn) {
			leave()
		}
		return nil, context.Cause(ctx)
	}
}

func (q *queue) waitingBuilds() int {
	total := 0
	for _, turns := range q.waiting {
		total += len(turns)
	}
	return total
}

// next gives free places away. The lock is held.
func (q *queue) next() {
	for q.free > 0 {
		at := slices.IndexFunc(q.order, func(id models.ID) bool { return q.running[id] < q.perOrganisation })
		if at < 0 {
			return
		}
		id := q.order[at]
		q.order = slices.Delete(q.order, at, at+1)
		close(q.waiting[id][0])
		q.waiting[id] = q.waiting[id][1:]
		q.running[id]++
		q.free--
		if len(q.waiting[id]) > 0 {
			q.order = append(q.order, id)
		} else {
			delete(q.waiting, id)
		}
	}
}

func (q *queue) leave(organisation models.ID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	if q.running[organisation]--; q.running[organisation] == 0 {
		delete(q.running, organisation)
	}
	q.next()
}

// giveUp takes a turn that has not come out of the queue. It returns false when
// it has come meanwhile.
func (q *queue) giveUp(organisation models.ID, turn chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting[organisation], turn)
	if at < 0 {
		return false
	}
	q.waiting[organisation] = slices.Delete(q.waiting[organisation], at, at+1)
	if len(q.waiting[organisation]) == 0 {
		delete(q.waiting, organisation)
		q.order = slices.DeleteFunc(q.order, func(id models.ID) bool { return id == organisation })
	}
	return true
}
