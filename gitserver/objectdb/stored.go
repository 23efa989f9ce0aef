package objectdb

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/packfile"
)

// Place is where an object lies in the packs.
type Place struct {
	Pack   int
	Offset int64
}

// Compare orders places as they lie on disk.
func (p Place) Compare(other Place) int {
	return cmp.Or(cmp.Compare(p.Pack, other.Pack), cmp.Compare(p.Offset, other.Offset))
}

// Stored is an entry as its pack holds it, still deflated.
type Stored struct {
	packfile.Header
	Base     Place // of a delta; always in the same pack
	Deflated *io.SectionReader
}

// Locate returns the place that Read reads the object from. Loose objects have
// none.
func (db *DB) Locate(id object.ID) (Place, bool) {
	for i, p := range db.packs {
		if offset, ok := p.find(id); ok {
			return Place{i, offset}, true
		}
	}
	return Place{}, false
}

// Stored returns the entry at a place that Locate returned.
func (db *DB) Stored(at Place) (Stored, error) {
	p := db.packs[at.Pack]
	e, err := p.entryAt(at.Offset)
	if err != nil {
		return Stored{}, fmt.Errorf("read pack entry: %w", err)
	}
	s := Stored{Header: e.Header, Base: Place{Pack: at.Pack}}
	if !e.Kind.Whole() {
		if s.Base.Offset, err = e.base(); err != nil {
			return s, fmt.Errorf("find delta base: %w", err)
		}
	}
	start := at.Offset + int64(e.Len)
	s.Deflated = io.NewSectionReader(p.file, start, p.next(at.Offset)-start)
	return s, nil
}

// next returns where the entry after the one at offset begins.
func (p *pack) next(offset int64) int64 {
	p.sorting.Do(func() {
		p.sorted = make([]int64, p.count)
		for i := range p.sorted {
			p.sorted[i] = p.offset(i)
		}
		slices.Sort(p.sorted)
	})
	i := sort.Search(len(p.sorted), func(i int) bool { return p.sorted[i] > offset })
	if i == len(p.sorted) {
		return p.end
	}
	return p.sorted[i]
}
