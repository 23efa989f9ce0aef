package packfile

import (
	"slices"
	"sort"

	"github.com/skypanel/sky/gitserver/object"
)

// none stands for no entry where an index is expected.
const none = int32(-1)

// entry is one object of the pack: 56 bytes, because there may be a million.
type entry struct {
	offset int64  // where its header begins
	size   uint32 // inflated size of what is stored: an object or a delta
	crc    uint32
	kept   int32       // position in the arena, or 0
	base   int32       // the entry that an OfsDelta builds on
	child  int32       // the first OfsDelta on this entry
	next   int32       // the next OfsDelta on the same base
	header uint8       // bytes of the header
	disk   object.Kind // as stored
	kind   object.Kind // as resolved; 0 until then
	id     object.ID
}

const tableChunk = 4096

// table holds the entries in the order of the pack. It grows with what really
// arrives, never moves an entry, and so lets workers fill in names meanwhile.
type table struct {
	chunks [][]entry
	length int
}

func (t *table) at(i int32) *entry { return &t.chunks[i/tableChunk][i%tableChunk] }

func (t *table) add(e entry) int32 {
	if t.length%tableChunk == 0 {
		t.chunks = append(t.chunks, make([]entry, tableChunk))
	}
	i := int32(t.length)
	t.length++
	*t.at(i) = e
	return i
}

// starting returns the entry whose header begins at offset.
func (t *table) starting(offset int64) (int32, bool) {
	i := sort.Search(t.length, func(i int) bool { return t.at(int32(i)).offset >= offset })
	if i == t.length || t.at(int32(i)).offset != offset {
		return none, false
	}
	return int32(i), true
}

// end returns the offset at which entry i ends, in a pack whose entries end at
// last.
func (t *table) end(i int32, last int64) int64 {
	if int(i)+1 < t.length {
		return t.at(i + 1).offset
	}
	return last
}

// adopt turns base references into child lists, in the order of the pack.
func (t *table) adopt() {
	for i := int32(t.length) - 1; i >= 0; i-- {
		e := t.at(i)
		if e.base != none {
			base := t.at(e.base)
			e.next, base.child = base.child, i
		}
	}
}

// sorted returns the entries by name.
func (t *table) sorted() (names, error) {
	order := make([]int32, t.length)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return t.at(a).id.Compare(t.at(b).id) })
	for i := 1; i < len(order); i++ {
		if t.at(order[i-1]).id == t.at(order[i]).id {
			return names{}, corrupt("object %s occurs twice", t.at(order[i]).id)
		}
	}
	return names{table: t, order: order}, nil
}

// names finds entries by name.
type names struct {
	table *table
	order []int32
}

func (n names) find(id object.ID) (*entry, bool) {
	at, ok := slices.BinarySearchFunc(n.order, id, func(i int32, id object.ID) int {
		return n.table.at(i).id.Compare(id)
	})
	if !ok {
		return nil, false
	}
	return n.table.at(n.order[at]), true
}
