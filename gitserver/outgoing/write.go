package outgoing

import (
	"bufio"
	"context"
	"crypto/sha1"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/gitserver/packfile"
)

// Write sends the objects as one pack. It never sends a delta without its base,
// which comes first. Memory is that of the list and of one object; ctx ends it
// early.
func Write(ctx context.Context, w io.Writer, db *objectdb.DB, ids []object.ID, ofsDelta bool) error {
	digest := sha1.New()
	p := &packWriter{db: db, out: bufio.NewWriterSize(io.MultiWriter(w, digest), 64<<10), digest: digest, ofsDelta: ofsDelta}
	p.plan(ids)
	if err := p.bytes(packfile.AppendPackHeader(nil, uint32(len(ids)))); err != nil {
		return err
	}
	for i := range p.items {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.item(&p.items[i], i < p.packed); err != nil {
			return fmt.Errorf("send object %s: %w", p.items[i].id, err)
		}
	}
	if err := p.out.Flush(); err != nil {
		return err
	}
	_, err := w.Write(digest.Sum(nil))
	return err
}

type packWriter struct {
	db       *objectdb.DB
	out      *bufio.Writer
	digest   hash.Hash
	deflater *zlib.Writer
	items    []item
	packed   int // items that lie in packs; they come first
	written  int64
	ofsDelta bool
}

// item is one object to send.
type item struct {
	id    object.ID
	place objectdb.Place
	at    int64 // where it begins in the pack that is sent; 0 until then
	depth int   // of deltas below it, once it is sent
}

// maxDepth bounds the chains that deltas from several packs may add up to.
const maxDepth = 4_000

// plan puts the objects in the order of the store's packs, in which bases come
// before most of their deltas, and reads are sequential.
func (p *packWriter) plan(ids []object.ID) {
	var loose []item
	for _, id := range ids {
		if place, ok := p.db.Locate(id); ok {
			p.items = append(p.items, item{id: id, place: place})
		} else {
			loose = append(loose, item{id: id})
		}
	}
	slices.SortFunc(p.items, func(a, b item) int { return a.place.Compare(b.place) })
	p.packed = len(p.items)
	p.items = append(p.items, loose...)
}

// sent returns the item at a place, if it is sent at all.
func (p *packWriter) sent(place objectdb.Place) *item {
	i, ok := slices.BinarySearchFunc(p.items[:p.packed], place, func(i item, place objectdb.Place) int { return i.place.Compare(place) })
	if !ok {
		return nil
	}
	return &p.items[i]
}

func (p *packWriter) item(i *item, packed bool) error {
	i.at = p.written
	if !packed {
		return p.deflate(i.id)
	}
	stored, err := p.db.Stored(i.place)
	if err != nil {
		return err
	}
	if stored.Kind.Whole() {
		return p.copy(packfile.AppendHeader(nil, stored.Kind, stored.Size), stored)
	}
	base := p.base(stored)
	if base == nil {
		return p.deflate(i.id)
	}
	i.depth = base.depth + 1
	if p.ofsDelta {
		return p.copy(packfile.AppendOfsHeader(nil, stored.Size, i.at-base.at), stored)
	}
	return p.copy(append(packfile.AppendHeader(nil, object.RefDelta, stored.Size), base.id[:]...), stored)
}

// base returns the item that a delta can build on: its base, if that was sent
// before, from whichever pack, so that no two deltas build on each other.
func (p *packWriter) base(stored objectdb.Stored) *item {
	base := p.sent(stored.Base)
	if base == nil {
		base = p.copyOf(stored.Base)
	}
	if base == nil || base.at == 0 || base.depth >= maxDepth {
		return nil
	}
	return base
}

// copyOf returns the item that is sent for the object at a place, of which
// another pack has a copy too.
func (p *packWriter) copyOf(at objectdb.Place) *item {
	id, ok := p.db.IDAt(at)
	if !ok {
		return nil
	}
	place, ok := p.db.Locate(id)
	if !ok {
		return nil
	}
	return p.sent(place)
}

func (p *packWriter) copy(header []byte, stored objectdb.Stored) error {
	if err := p.bytes(header); err != nil {
		return err
	}
	n, err := io.Copy(p.out, stored.Deflated)
	p.written += n
	return err
}

func (p *packWriter) bytes(data []byte) error {
	n, err := p.out.Write(data)
	p.written += int64(n)
	return err
}

// deflate sends an object anew.
func (p *packWriter) deflate(id object.ID) error {
	kind, data, err := p.db.Read(id)
	if err != nil {
		return err
	}
	if err := p.bytes(packfile.AppendHeader(nil, kind, int64(len(data)))); err != nil {
		return err
	}
	count := &countWriter{w: p.out}
	if p.deflater == nil {
		p.deflater = zlib.NewWriter(count)
	} else {
		p.deflater.Reset(count)
	}
	if _, err := p.deflater.Write(data); err != nil {
		return err
	}
	err = p.deflater.Close()
	p.written += count.n
	return err
}

type countWriter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *countWriter) Write(data []byte) (int, error) {
	n, err := c.w.Write(data)
	c.n += int64(n)
	return n, err
}
