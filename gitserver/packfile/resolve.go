package packfile

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/skypanel/sky/gitserver/object"
)

// resolve is stage 2: it walks the delta trees of all whole objects, several at
// once.
func (in *intake) resolve() error {
	in.entries.adopt()
	roots := in.roots()
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(in.limits.Workers, len(roots)) {
		group.Go(func() {
			w := newWalker(in)
			for in.err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(roots)) {
					return
				}
				if err := w.walkFrom(roots[i]); err != nil {
					in.fail(err)
				}
			}
		})
	}
	group.Wait()
	return in.err()
}

func (in *intake) roots() []int32 {
	var roots []int32
	for i := range int32(in.entries.length) {
		e := in.entries.at(i)
		if e.kind == 0 {
			continue
		}
		if e.child != none || len(in.waiting) > 0 && len(in.waiting[e.id]) > 0 {
			roots = append(roots, i)
		}
	}
	return roots
}

// walker resolves one delta tree at a time, depth first, so that no more than
// one base per level is in memory.
type walker struct {
	in        *intake
	inspector *inspector
	inflater  Inflater
	pool      bufferPool
	packed    []byte
	reader    bytes.Reader
	stack     []frame
}

// frame is an object whose deltas are being resolved.
type frame struct {
	data  []byte
	child int32   // the next OfsDelta on it
	refs  []int32 // the RefDeltas on it that remain
	depth int     // deltas between it and a whole object
}

func (f *frame) exhausted() bool { return f.child == none && len(f.refs) == 0 }

func newWalker(in *intake) *walker { return &walker{in: in, inspector: newInspector(in)} }

func (w *walker) walkFrom(root int32) error {
	e := w.in.entries.at(root)
	data, err := w.inflate(root)
	if err != nil {
		return err
	}
	return w.walk(e.kind, frame{data: data, child: e.child, refs: w.in.waiting[e.id]})
}

// walk resolves everything that builds on root, whose kind it all shares.
func (w *walker) walk(kind object.Kind, root frame) error {
	w.stack = w.stack[:0]
	if err := w.push(root); err != nil {
		return err
	}
	for len(w.stack) > 0 {
		if err := w.in.err(); err != nil {
			return err
		}
		child, base, depth := w.take()
		data, err := w.patch(child, base)
		if err != nil {
			return err
		}
		if w.stack[len(w.stack)-1].exhausted() {
			w.pop()
		}
		e := w.in.entries.at(child)
		if e.id, err = w.inspector.inspect(kind, data); err != nil {
			return err
		}
		e.kind = kind
		w.in.progress(w.in.resolved.Add(1))
		if err := w.push(frame{data: data, child: e.child, refs: w.in.waiting[e.id], depth: depth + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) push(f frame) error {
	if f.exhausted() {
		w.pool.put(f.data)
		return nil
	}
	if f.depth >= w.in.limits.Depth {
		return limitf("a delta chain of more than %d", w.in.limits.Depth)
	}
	if w.in.live.Add(int64(len(f.data))) > w.in.limits.LiveBytes {
		return limitf("deltas that need more than %d bytes of memory", w.in.limits.LiveBytes)
	}
	w.stack = append(w.stack, f)
	return nil
}

func (w *walker) pop() {
	last := len(w.stack) - 1
	w.in.live.Add(-int64(len(w.stack[last].data)))
	w.pool.put(w.stack[last].data)
	w.stack = w.stack[:last]
}

// take removes one delta from the top frame.
func (w *walker) take() (child int32, base []byte, depth int) {
	top := &w.stack[len(w.stack)-1]
	if top.child != none {
		child = top.child
		top.child = w.in.entries.at(child).next
	} else {
		child, top.refs = top.refs[0], top.refs[1:]
	}
	return child, top.data, top.depth
}

func (w *walker) patch(child int32, base []byte) ([]byte, error) {
	e := w.in.entries.at(child)
	if e.kind != 0 {
		return nil, corrupt("delta with two bases")
	}
	delta, kept, err := w.delta(child)
	if err != nil {
		return nil, err
	}
	baseSize, size, instructions, err := DeltaSizes(delta)
	if err != nil {
		return nil, err
	}
	if baseSize != int64(len(base)) {
		return nil, corrupt("delta is for a base of another size")
	}
	if err := w.in.grow(size, w.in.end); err != nil {
		return nil, err
	}
	out := w.pool.get(int(size))
	if err := Patch(out, base, instructions); err != nil {
		return nil, err
	}
	if !kept {
		w.pool.put(delta)
	}
	return out, nil
}

// delta returns the inflated delta, and whether the arena owns it.
func (w *walker) delta(i int32) (data []byte, kept bool, err error) {
	if e := w.in.entries.at(i); e.kept != 0 {
		return w.in.arena.at(e.kept, int(e.size)), true, nil
	}
	data, err = w.inflate(i)
	return data, false, err
}

// inflate reads an entry again, from the file.
func (w *walker) inflate(i int32) ([]byte, error) {
	e := w.in.entries.at(i)
	start := e.offset + int64(e.header)
	size := int(w.in.entries.end(i, w.in.end) - start)
	if cap(w.packed) < size {
		w.packed = make([]byte, size+size/4)
	}
	packed := w.packed[:size]
	if _, err := w.in.file.ReadAt(packed, start); err != nil {
		return nil, fmt.Errorf("read pack back: %w", err)
	}
	w.reader.Reset(packed)
	if err := w.inflater.Reset(&w.reader); err != nil {
		return nil, err
	}
	buf := w.pool.get(int(e.size))
	return buf, w.inflater.Fill(buf)
}
