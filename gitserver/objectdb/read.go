package objectdb

import (
	"bufio"
	"errors"
	"io"
	"math"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/packfile"
)

const (
	maxChain  = 5_000
	maxWindow = 256 << 10
	maxObject = math.MaxUint32
	maxRatio  = 1032     // deflate makes nothing smaller than this
	maxCopy   = 16 << 20 // bytes that one byte of a delta can bring
)

// errImplausible keeps a flipped bit from asking for more memory than there is.
var errImplausible = errors.New("the pack cannot hold an object of the size it states")

// entry is where a pack keeps an object or a delta.
type entry struct {
	pack   *pack
	offset int64
	packfile.Header
}

// base returns the entry that a delta builds on, in the same pack.
func (e entry) base() (int64, error) {
	if e.Kind == object.OfsDelta {
		return e.offset - e.Back, nil
	}
	offset, ok := e.pack.find(e.Base)
	if !ok {
		return 0, errors.New("delta base is not in its pack")
	}
	return offset, nil
}

// readerAt reads a pack from offset through a window, so that memory follows
// the object and not the pack.
func (p *pack) readerAt(offset int64, window int) *bufio.Reader {
	section := io.NewSectionReader(p.file, offset, p.end-offset)
	return bufio.NewReaderSize(section, min(max(window, 64), maxWindow))
}

func (p *pack) entryAt(offset int64) (entry, error) {
	header, err := packfile.ReadHeader(p.readerAt(offset, 64))
	return entry{pack: p, offset: offset, Header: header}, err
}

// inflate returns an entry's content.
func (db *DB) inflate(e entry) ([]byte, error) {
	inflater := db.inflater()
	defer db.inflaters.Put(inflater)
	if err := inflater.Reset(e.pack.readerAt(e.offset+int64(e.Len), int(e.Size/2)+256)); err != nil {
		return nil, err
	}
	if e.Size > maxObject || e.Size/maxRatio > e.pack.end-e.offset {
		return nil, errImplausible
	}
	data := make([]byte, e.Size)
	return data, inflater.Fill(data)
}

// readPacked follows a delta chain down to a whole object, or one in the cache,
// and applies the deltas on the way back.
func (db *DB) readPacked(p *pack, offset int64) (object.Kind, []byte, error) {
	var deltas []entry
	base := cached{}
	for at := offset; ; {
		if found, ok := db.cache.get(p, at); ok {
			base = found
			break
		}
		e, err := p.entryAt(at)
		if err != nil {
			return 0, nil, err
		}
		if e.Kind.Whole() {
			data, err := db.inflate(e)
			if err != nil {
				return 0, nil, err
			}
			base = cached{e.Kind, data}
			if len(deltas) > 0 {
				db.cache.put(p, at, base)
			}
			break
		}
		if deltas = append(deltas, e); len(deltas) > maxChain {
			return 0, nil, errors.New("delta chain is too long")
		}
		if at, err = e.base(); err != nil {
			return 0, nil, err
		}
	}
	return db.patch(base, deltas)
}

func (db *DB) patch(base cached, deltas []entry) (object.Kind, []byte, error) {
	for i := len(deltas) - 1; i >= 0; i-- {
		delta, err := db.inflate(deltas[i])
		if err != nil {
			return 0, nil, err
		}
		baseSize, size, instructions, err := packfile.DeltaSizes(delta)
		if err != nil {
			return 0, nil, err
		}
		if baseSize != int64(len(base.data)) {
			return 0, nil, errors.New("delta is for another base")
		}
		if size > maxObject || size/maxCopy > int64(len(instructions)) {
			return 0, nil, errImplausible
		}
		out := make([]byte, size)
		if err := packfile.Patch(out, base.data, instructions); err != nil {
			return 0, nil, err
		}
		base.data = out
		if i > 0 {
			db.cache.put(deltas[i].pack, deltas[i].offset, base)
		}
	}
	return base.kind, base.data, nil
}

// statPacked reads headers only: a delta begins with the size of its result.
func (db *DB) statPacked(p *pack, offset int64) (object.Kind, int64, error) {
	e, err := p.entryAt(offset)
	if err != nil {
		return 0, 0, err
	}
	size := e.Size
	if !e.Kind.Whole() {
		if size, err = db.resultSize(e); err != nil {
			return 0, 0, err
		}
	}
	for depth := 0; !e.Kind.Whole(); depth++ {
		at, err := e.base()
		if err != nil {
			return 0, 0, err
		}
		if depth > maxChain {
			return 0, 0, errors.New("delta chain is too long")
		}
		if e, err = p.entryAt(at); err != nil {
			return 0, 0, err
		}
	}
	return e.Kind, size, nil
}

func (db *DB) resultSize(e entry) (int64, error) {
	inflater := db.inflater()
	defer db.inflaters.Put(inflater)
	if err := inflater.Reset(e.pack.readerAt(e.offset+int64(e.Len), 256)); err != nil {
		return 0, err
	}
	var head [20]byte
	n, err := inflater.Head(head[:])
	if err != nil {
		return 0, err
	}
	_, size, _, err := packfile.DeltaSizes(head[:n])
	return size, err
}
