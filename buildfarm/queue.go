package buildfarm

import (
	"context"
	"hash/fnv"
	"io"
	"slices"
	"sync"

	"github.com/skypanel/sky/models"
)

// queue gives builds turns on machines that run a bounded number at once. Among the
// Organisations that have builds waiting, turns go round: one that pushes a hundred
// times keeps nobody else waiting for more than one of its builds.
type queue struct {
	mu       sync.Mutex
	machines []*machine
	// perOrganisation bounds how many builds of one Organisation run at once; 0 does
	// not.
	perOrganisation int
	running         map[models.ID]int
	waiting         map[models.ID][]*turn
	order           []models.ID // of those that wait, whose turn is next first
}

// machine builds, up to so many Apps at once.
type machine struct {
	builder

	id     models.ID
	name   string // empty is the control plane's own
	places int
	builds []models.ID // the Apps that it builds now
}

// turn is a build that waits.
type turn struct {
	app, organisation models.ID
	came              chan *machine
}

func newQueue(perOrganisation int) *queue {
	return &queue{perOrganisation: perOrganisation, running: map[models.ID]int{}, waiting: map[models.ID][]*turn{}}
}

// join lets a machine build.
func (q *queue) join(m *machine) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !slices.Contains(q.machines, m) {
		q.machines = append(q.machines, m)
	}
	q.next()
}

// part gives a machine no more builds.
func (q *queue) part(m *machine) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.machines = slices.DeleteFunc(q.machines, func(other *machine) bool { return other == m })
}

// builds reports whether the machine of this id builds the App now.
func (q *queue) builds(id, app models.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.machines, func(m *machine) bool { return m.id == id && slices.Contains(m.builds, app) })
}

// enter blocks until it is the build's turn, or ctx ends. One that comes again goes
// before others of its Organisation. When it has to wait, wait is called first, with
// how many builds are before it at most, or with 0 when there is no machine. The
// turn lasts until leave is called.
func (q *queue) enter(ctx context.Context, app, organisation models.ID, again bool, wait func(before int)) (on *machine, leave func(), err error) {
	t := &turn{app: app, organisation: organisation, came: make(chan *machine, 1)}
	before := q.line(t, again)
	leave = func() { q.leave(t, on) }
	select {
	case on = <-t.came:
		return on, leave, nil
	default:
		wait(before)
	}
	select {
	case on = <-t.came:
		return on, leave, nil
	case <-ctx.Done():
		if !q.giveUp(t) {
			on = <-t.came
			leave()
		}
		return nil, nil, context.Cause(ctx)
	}
}

// line has a build wait, and returns how many are before it, and itself.
func (q *queue) line(t *turn, again bool) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting[t.organisation]) == 0 {
		q.order = append(q.order, t.organisation)
	}
	at := len(q.waiting[t.organisation])
	if again {
		at = 0
	}
	q.waiting[t.organisation] = slices.Insert(q.waiting[t.organisation], at, t)
	before := 0
	for _, turns := range q.waiting {
		before += len(turns)
	}
	if len(q.machines) == 0 {
		before = 0
	}
	q.next()
	return before
}

// next gives free places away. The lock is held.
func (q *queue) next() {
	for {
		free := slices.DeleteFunc(slices.Clone(q.machines), func(m *machine) bool { return len(m.builds) >= m.places })
		at := slices.IndexFunc(q.order, func(id models.ID) bool {
			return q.perOrganisation <= 0 || q.running[id] < q.perOrganisation
		})
		if len(free) == 0 || at < 0 {
			return
		}
		id := q.order[at]
		q.order = slices.Delete(q.order, at, at+1)
		first := q.waiting[id][0]
		q.waiting[id] = q.waiting[id][1:]
		if len(q.waiting[id]) > 0 {
			q.order = append(q.order, id)
		} else {
			delete(q.waiting, id)
		}
		q.running[id]++
		on := slices.MaxFunc(free, func(a, b *machine) int { return compareLiking(first.app, a.id, b.id) })
		on.builds = append(on.builds, first.app)
		first.came <- on
	}
}

// compareLiking orders machines by how much an App likes to be built on each: it
// comes back to the one that has its caches as long as that has a place, and other
// Apps like others. The method is rendezvous hashing (Thaler and Ravishankar, 1998).
func compareLiking(app, a, b models.ID) int {
	liking := func(machine models.ID) string {
		hash := fnv.New128a()
		_, _ = io.WriteString(hash, app.String()+"/"+machine.String())
		return string(hash.Sum(nil))
	}
	if liking(a) < liking(b) {
		return -1
	}
	return 1
}

func (q *queue) leave(t *turn, on *machine) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(on.builds, t.app)
	on.builds = slices.Delete(on.builds, at, at+1)
	if q.running[t.organisation]--; q.running[t.organisation] == 0 {
		delete(q.running, t.organisation)
	}
	q.next()
}

// giveUp takes a turn that has not come out of the queue. It returns false when
// it has come meanwhile.
func (q *queue) giveUp(t *turn) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting[t.organisation], t)
	if at < 0 {
		return false
	}
	q.waiting[t.organisation] = slices.Delete(q.waiting[t.organisation], at, at+1)
	if len(q.waiting[t.organisation]) == 0 {
		delete(q.waiting, t.organisation)
		q.order = slices.DeleteFunc(q.order, func(id models.ID) bool { return id == t.organisation })
	}
	return true
}
