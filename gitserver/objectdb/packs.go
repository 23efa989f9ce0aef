package objectdb

import (
	"iter"
	"time"

	"github.com/skypanel/sky/gitserver/object"
)

// Pack is one pack of a DB, for those who tend the files themselves.
type Pack struct {
	Path     string // of the .pack file; the index lies beside it, as .idx
	Modified time.Time
	pack     *pack
}

// Packs returns the packs in the order of Place.Pack.
func (db *DB) Packs() []Pack {
	packs := make([]Pack, len(db.packs))
	for i, p := range db.packs {
		packs[i] = Pack{p.path, p.modified, p}
	}
	return packs
}

// Objects yields the names of all objects in the pack, in order. The DB must
// stay open meanwhile.
func (p Pack) Objects() iter.Seq[object.ID] {
	return func(yield func(object.ID) bool) {
		for i := range p.pack.count {
			if !yield(object.ID(p.pack.name(i))) {
				return
			}
		}
	}
}
