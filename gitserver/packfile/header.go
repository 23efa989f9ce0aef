package packfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/skypanel/sky/gitserver/object"
)

const (
	packHeaderSize = 12
	trailerSize    = object.Size
)

// Header begins an entry of a pack.
type Header struct {
	Kind object.Kind
	Size int64 // of the inflated content: an object or a delta
	Back int64 // OfsDelta: how far before the entry its base begins
	Base object.ID
	Len  int // bytes of the header itself
}

// ReadHeader reads an entry's header and not a byte more.
func ReadHeader(r io.ByteReader) (Header, error) {
	h := Header{}
	c, err := h.next(r)
	if err != nil {
		return h, err
	}
	h.Kind = object.Kind(c >> 4 & 7)
	size := uint64(c & 15)
	for shift := uint(4); c&0x80 != 0; shift += 7 {
		if shift > 57 {
			return h, corrupt("object size overflow")
		}
		if c, err = h.next(r); err != nil {
			return h, err
		}
		size |= uint64(c&0x7f) << shift
	}
	if size > math.MaxInt64 {
		return h, corrupt("object size overflow")
	}
	h.Size = int64(size)
	return h, h.readBase(r)
}

func (h *Header) readBase(r io.ByteReader) (err error) {
	switch h.Kind {
	case object.OfsDelta:
		return h.readBack(r)
	case object.RefDelta:
		for i := range h.Base {
			if h.Base[i], err = h.next(r); err != nil {
				return err
			}
		}
		return nil
	default:
		if !h.Kind.Whole() {
			return corrupt("bad object type %d", h.Kind)
		}
		return nil
	}
}

func (h *Header) readBack(r io.ByteReader) error {
	for more := false; ; more = true {
		c, err := h.next(r)
		if err != nil {
			return err
		}
		if more {
			h.Back++
		}
		if h.Back > 1<<55 {
			return corrupt("delta offset overflow")
		}
		h.Back = h.Back<<7 | int64(c&0x7f)
		if c&0x80 == 0 {
			return nil
		}
	}
}

func (h *Header) next(r io.ByteReader) (byte, error) {
	c, err := r.ReadByte()
	if err != nil {
		return 0, streamError("entry header", err)
	}
	h.Len++
	return c, nil
}

// AppendHeader appends the header of an entry that is no OfsDelta.
func AppendHeader(dst []byte, kind object.Kind, size int64) []byte {
	c := byte(kind)<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		dst = append(dst, c|0x80)
		c = byte(size & 0x7f)
	}
	return append(dst, c)
}

// AppendOfsHeader appends the header of a delta whose base begins back bytes
// earlier in the same pack.
func AppendOfsHeader(dst []byte, size, back int64) []byte {
	dst = AppendHeader(dst, object.OfsDelta, size)
	var digits [10]byte
	at := len(digits) - 1
	digits[at] = byte(back & 0x7f)
	for back >>= 7; back > 0; back >>= 7 {
		back--
		at--
		digits[at] = byte(back&0x7f) | 0x80
	}
	return append(dst, digits[at:]...)
}

// AppendPackHeader appends the 12 bytes that begin a pack.
func AppendPackHeader(dst []byte, objects uint32) []byte {
	dst = append(dst, "PACK\x00\x00\x00\x02"...)
	return binary.BigEndian.AppendUint32(dst, objects)
}

func parsePackHeader(header []byte) (objects uint32, err error) {
	version := binary.BigEndian.Uint32(header[4:])
	if string(header[:4]) != "PACK" || version != 2 && version != 3 {
		return 0, corrupt("bad signature or version")
	}
	return binary.BigEndian.Uint32(header[8:]), nil
}

// streamError keeps what the stream's owner may want to see (a limit, a
// cancelled context) and calls everything else corruption.
func streamError(where string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("unexpected end in %s", where)
	}
	return fmt.Errorf("read %s: %w", where, err)
}
