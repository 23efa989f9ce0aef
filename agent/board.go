package agent

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/skypanel/sky/agent/protocol"
)

// board collects what all Apps' goroutines see into one Observed.
type board struct {
	changed chan struct{} // holds one token when there is something to send

	mu       sync.Mutex
	apps     map[string]boardEntry
	departed map[string]protocol.InstanceStatus // stopped, and not said yet
	trouble  map[string]string                  // by its source
	wanted   uint64                             // generation of the newest Assignment
	waiting  map[string]bool                    // Apps that have not applied it
	inForce  uint64
}

type boardEntry struct {
	generation uint64
	statuses   []protocol.InstanceStatus
}

func newBoard() *board {
	return &board{
		changed: make(chan struct{}, 1), apps: map[string]boardEntry{}, waiting: map[string]bool{},
		departed: map[string]protocol.InstanceStatus{}, trouble: map[string]string{},
	}
}

// Expect says that these Apps are to apply a generation. It is in force when
// each of them has reported it.
func (b *board) Expect(generation uint64, apps []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted = generation
	b.waiting = map[string]bool{}
	for _, app := range apps {
		if b.apps[app].generation < generation {
			b.waiting[app] = true
		}
	}
	b.settle()
	b.poke()
}

// Report replaces what is seen of one App, at the generation whose route it
// has in force.
func (b *board) Report(app string, generation uint64, statuses []protocol.InstanceStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before, inForce := b.apps[app], b.inForce
	b.apps[app] = boardEntry{generation, statuses}
	if generation >= b.wanted {
		delete(b.waiting, app)
	}
	b.settle()
	if b.inForce != inForce || !reflect.DeepEqual(before.statuses, statuses) {
		b.poke()
	}
}

// Depart says once more of an Instance that is gone that it has stopped.
func (b *board) Depart(status protocol.InstanceStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.departed[status.ID] = status
	b.poke()
}

// Retire forgets an App.
func (b *board) Retire(app string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.apps, app)
	delete(b.waiting, app)
	b.settle()
	b.poke()
}

// Trouble says what one part of the agent suffers from, nil when nothing, and
// whether that is news.
func (b *board) Trouble(source string, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := ""
	if err != nil {
		text = source + ": " + strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	if b.trouble[source] == text {
		return false
	}
	b.trouble[source] = text
	b.poke()
	return true
}

// Snapshot is the present view, whole.
func (b *board) Snapshot() protocol.Observed {
	b.mu.Lock()
	defer b.mu.Unlock()
	observed := protocol.Observed{Generation: b.inForce, Instances: slices.Collect(maps.Values(b.departed))}
	for _, entry := range b.apps {
		observed.Instances = append(observed.Instances, entry.statuses...)
	}
	slices.SortFunc(observed.Instances, func(x, y protocol.InstanceStatus) int { return strings.Compare(x.ID, y.ID) })
	troubles := slices.DeleteFunc(slices.Sorted(maps.Values(b.trouble)), func(text string) bool { return text == "" })
	observed.Trouble = strings.Join(troubles, "; ")
	return observed
}

// Said drops the Instances that stopped, once a snapshot that lists them was
// sent.
func (b *board) Said(observed protocol.Observed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.departed)
	for _, status := range observed.Instances {
		if status.State == protocol.StateStopped {
			delete(b.departed, status.ID)
		}
	}
	if len(b.departed) < before {
		b.poke()
	}
}

// Running counts Instances that have a container.
func (b *board) Running() int {
	running := 0
	for _, status := range b.Snapshot().Instances {
		if status.Container != "" && status.State != protocol.StateFailed && status.State != protocol.StateStopped {
			running++
		}
	}
	return running
}

func (b *board) settle() {
	if len(b.waiting) == 0 {
		b.inForce = b.wanted
	}
}

func (b *board) poke() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}
