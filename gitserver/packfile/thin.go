package packfile

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"

	"github.com/skypanel/sky/gitserver/object"
)

// complete resolves the deltas whose bases are in the store, appends those
// bases, so that the pack stands alone, and returns its new checksum.
func (in *intake) complete() (object.ID, error) {
	if _, err := in.file.Seek(in.end, io.SeekStart); err != nil {
		return object.Zero, fmt.Errorf("seek pack: %w", err)
	}
	w := newWalker(in)
	for _, base := range in.missingBases() {
		if err := in.completeFrom(w, base); err != nil {
			return object.Zero, err
		}
	}
	if in.unresolved() {
		return object.Zero, corrupt("deltas without a base")
	}
	return in.rewriteTrailer()
}

// missingBases are the bases that no object of the pack turned out to be, in
// the order of their names, so that the same push makes the same pack.
func (in *intake) missingBases() []object.ID {
	var bases []object.ID
	for base, deltas := range in.waiting {
		if in.entries.at(deltas[0]).kind == 0 {
			bases = append(bases, base)
		}
	}
	slices.SortFunc(bases, object.ID.Compare)
	return bases
}

func (in *intake) completeFrom(w *walker, base object.ID) error {
	if err := in.err(); err != nil {
		return err
	}
	deltas := in.waiting[base]
	if in.entries.at(deltas[0]).kind != 0 {
		return nil // resolved meanwhile: the base was itself a delta
	}
	kind, data, err := in.Store.Read(base)
	if err != nil {
		return nil // another base may bring it
	}
	if int64(len(data)) > in.limits.ObjectBytes {
		return limitf("a delta base of %d bytes, %d are allowed", len(data), in.limits.ObjectBytes)
	}
	if err := in.appendBase(base, kind, data); err != nil {
		return fmt.Errorf("append delta base: %w", err)
	}
	return w.walk(kind, frame{data: data, child: none, refs: deltas})
}

func (in *intake) appendBase(id object.ID, kind object.Kind, data []byte) error {
	raw := AppendHeader(nil, kind, int64(len(data)))
	e := entry{offset: in.end, size: uint32(len(data)), header: uint8(len(raw)), disk: kind, kind: kind, id: id, base: none, child: none, next: none}
	packed := bytes.NewBuffer(raw)
	deflater, err := zlib.NewWriterLevel(packed, zlib.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := deflater.Write(data); err != nil {
		return err
	}
	if err := deflater.Close(); err != nil {
		return err
	}
	n, err := in.file.Write(packed.Bytes())
	in.end += int64(n)
	in.entries.add(e)
	in.resolved.Add(1)
	return err
}

func (in *intake) rewriteTrailer() (sum object.ID, err error) {
	var count [4]byte
	binary.BigEndian.PutUint32(count[:], uint32(in.entries.length))
	if _, err := in.file.WriteAt(count[:], 8); err != nil {
		return sum, fmt.Errorf("write object count: %w", err)
	}
	digest := sha1.New()
	if _, err := io.Copy(digest, io.NewSectionReader(in.file, 0, in.end)); err != nil {
		return sum, fmt.Errorf("checksum pack: %w", err)
	}
	digest.Sum(sum[:0])
	if _, err := in.file.WriteAt(sum[:], in.end); err != nil {
		return sum, fmt.Errorf("write checksum: %w", err)
	}
	if err := in.file.Truncate(in.end + trailerSize); err != nil {
		return sum, fmt.Errorf("cut pack: %w", err)
	}
	return sum, nil
}
