package packfile

import (
	"encoding/binary"
	"sync"

	"github.com/skypanel/sky/gitserver/object"
)

const (
	linkShards = 256
	recentSize = 1 << 13
	firstSlots = 16
	// ambiguous marks an object that is referred to under two kinds.
	ambiguous = object.Kind(0x80)
)

// link is a reference to an object that must have a certain kind; a free slot
// has kind 0.
type link struct {
	id   object.ID
	kind object.Kind
}

// linkSet collects what the pack's objects refer to: open-addressed, in shards
// by the first byte so that workers rarely wait for each other.
type linkSet struct{ shards [linkShards]linkShard }

type linkShard struct {
	mu    sync.Mutex
	slots []link
	used  int
}

func (s *linkSet) add(id *object.ID, kind object.Kind) {
	shard := &s.shards[id[0]]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.used*4 >= len(shard.slots)*3 {
		shard.grow()
	}
	slot := shard.slot(id)
	switch {
	case slot.kind == 0:
		*slot = link{*id, kind}
		shard.used++
	case slot.kind != kind:
		slot.kind = ambiguous
	}
}

func (s *linkShard) slot(id *object.ID) *link {
	mask := uint32(len(s.slots) - 1)
	for i := binary.LittleEndian.Uint32(id[4:]) & mask; ; i = (i + 1) & mask {
		if slot := &s.slots[i]; slot.kind == 0 || slot.id == *id {
			return slot
		}
	}
}

func (s *linkShard) grow() {
	old := s.slots
	s.slots = make([]link, max(firstSlots, 2*len(old)))
	for i := range old {
		if old[i].kind != 0 {
			*s.slot(&old[i].id) = old[i]
		}
	}
}

// linker is one worker's way into the set, an object.Visitor. It remembers what
// it saw lately: successive trees share nearly all their entries.
type linker struct {
	in     *intake
	recent []link
}

func newLinker(in *intake) *linker {
	return &linker{in: in, recent: make([]link, recentSize)}
}

// Modules implements object.Visitor.
func (l *linker) Modules(id *object.ID) {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.in.modules[*id] = true
}

// Link implements object.Visitor.
func (l *linker) Link(id *object.ID, kind object.Kind) {
	recent := &l.recent[binary.LittleEndian.Uint32(id[8:])%recentSize]
	if recent.kind == kind && recent.id == *id {
		return
	}
	*recent = link{*id, kind}
	l.in.links.add(id, kind)
}

// verify proves that every link leads to an object of the right kind in the
// pack, or to some object of the store.
func (s *linkSet) verify(pack names, store Store) error {
	for i := range s.shards {
		for _, l := range s.shards[i].slots {
			if l.kind == 0 {
				continue
			}
			if err := verifyLink(l, pack, store); err != nil {
				return err
			}
		}
	}
	return nil
}

func verifyLink(l link, pack names, store Store) error {
	found, ok := pack.find(l.id)
	switch {
	case l.kind == ambiguous:
		return &ObjectError{l.id, "referred to as two kinds of object"}
	case ok && found.kind != l.kind:
		return &ObjectError{l.id, "referred to as a " + l.kind.String() + " but is a " + found.kind.String()}
	case !ok && !store.Has(l.id):
		return &MissingError{l.id}
	default:
		return nil
	}
}
