package objectdb

import (
	"cmp"
	"fmt"
	"io"
	"slices"

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

// IDAt returns the name of the object whose entry begins at a place, such as
// Stored.Base.
func (db *DB) IDAt(at Place) (object.ID, bool) {
	p := db.packs[at.Pack]
	i, ok := slices.BinarySearchFunc(p.places(), at.Offset, place.compare)
	if !ok {
		return object.Zero, false
	}
	return object.ID(p.name(int(p.sorted[i].i))), true
}

// next returns where the entry after the one at offset begins.
func (p *pack) next(offset int64) int64 {
	places := p.places()
	i, found := slices.BinarySearchFunc(places, offset, place.compare)
	if found {
		i++
	}
	if i == len(places) {
		return p.end
	}
	return places[i].offset
}

// places returns all entries as they lie in the pack.
func (p *pack) places() []place {
	p.sorting.Do(func() {
		p.sorted = make([]place, p.count)
		for i := range p.sorted {
			p.sorted[i] = place{p.offset(i), int32(i)}
		}
		slices.SortFunc(p.sorted, func(a, b place) int { return a.compare(b.offset) })
	})
	return p.sorted
}

func (p place) compare(offset int64) int { return cmp.Compare(p.offset, offset) }
