package packfile

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/zlib"
)

// Inflater reads zlib streams whose inflated size is known. It is reused,
// because a zlib reader costs 40 kB to make; one goroutine at a time.
type Inflater struct {
	reader  io.ReadCloser
	scratch []byte
}

// Reset begins the stream that r brings. When r is an io.ByteReader, nothing
// beyond the stream's end is read from it.
func (z *Inflater) Reset(r io.Reader) error {
	var err error
	if z.reader == nil {
		z.reader, err = zlib.NewReader(r)
	} else {
		err = z.reader.(zlib.Resetter).Reset(r, nil)
	}
	return inflateError(err)
}

// Fill inflates the whole stream, which must hold len(buf) bytes exactly.
func (z *Inflater) Fill(buf []byte) error {
	if _, err := io.ReadFull(z.reader, buf); err != nil {
		return inflateError(err)
	}
	var one [1]byte
	if n, err := z.reader.Read(one[:]); n != 0 || err != io.EOF {
		return corrupt("object is longer than announced")
	}
	return nil
}

// Head inflates the beginning of the stream, as much as buf holds.
func (z *Inflater) Head(buf []byte) (int, error) {
	n, err := io.ReadFull(z.reader, buf)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, nil
	}
	return n, inflateError(err)
}

// CopyTo inflates the whole stream, which must hold size bytes exactly, to w.
func (z *Inflater) CopyTo(w io.Writer, size int64) error {
	if z.scratch == nil {
		z.scratch = make([]byte, 32<<10)
	}
	var total int64
	for {
		n, err := z.reader.Read(z.scratch)
		if total += int64(n); total > size {
			return corrupt("object is longer than announced")
		}
		if _, writeErr := w.Write(z.scratch[:n]); writeErr != nil {
			return writeErr
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return inflateError(err)
		}
	}
	if total != size {
		return corrupt("object is shorter than announced")
	}
	return nil
}

func inflateError(err error) error {
	if err == nil {
		return nil
	}
	for _, damage := range []error{io.EOF, io.ErrUnexpectedEOF, zlib.ErrChecksum, zlib.ErrDictionary, zlib.ErrHeader} {
		if errors.Is(err, damage) {
			return corrupt("inflate: %v", err)
		}
	}
	var limit *LimitError
	if errors.As(err, &limit) {
		return limit
	}
	return errors.Join(corrupt("inflate"), err)
}

// Loose inflates a loose object: "kind SP size NUL content".
func (z *Inflater) Loose() (header string, content []byte, err error) {
	all, err := io.ReadAll(z.reader)
	if err != nil {
		return "", nil, inflateError(err)
	}
	word, content, ok := bytes.Cut(all, []byte{0})
	if !ok {
		return "", nil, corrupt("loose object without a header")
	}
	return string(word), content, nil
}
