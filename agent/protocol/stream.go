package protocol

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// MaxFrame bounds one frame, in bytes, in both directions.
const MaxFrame = 16 << 20

// ErrFrameTooLong says that a frame exceeds MaxFrame. The reader cannot go on.
var ErrFrameTooLong = errors.New("frame too long")

// Stream is one sequence of frames in each direction. A frame is its length
// in four bytes, most significant first, and so many bytes of JSON.
type Stream struct {
	link   *Link
	conn   net.Conn
	reader *bufio.Reader
	write  sync.Mutex

	abort   sync.Once
	aborted chan struct{}
}

func newStream(link *Link, conn net.Conn) *Stream {
	return &Stream{link: link, conn: conn, reader: bufio.NewReaderSize(conn, 2048), aborted: make(chan struct{})}
}

// WriteFrame sends one value as a frame. It blocks while the other end does
// not read, for WriteTimeout at most; then it ends the whole Link.
func (s *Stream) WriteFrame(value any) error {
	frame, err := encodeFrame(value)
	if err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.link.patience)); err != nil {
		return fmt.Errorf("set write deadline: %w", err)
	}
	if _, err := s.conn.Write(frame); err != nil {
		return fmt.Errorf("write frame: %w", s.broken(err))
	}
	return nil
}

// broken ends the Link after a write that failed, unless it is only this
// stream that the other end closed.
func (s *Stream) broken(err error) error {
	if errors.Is(err, yamux.ErrStreamClosed) || errors.Is(err, yamux.ErrConnectionReset) {
		return err
	}
	return errors.Join(ErrLinkClosed, err, s.link.Close())
}

// ReadFrame blocks until the next frame and decodes it into target. It
// returns io.EOF itself when the other end closed the stream between frames.
func (s *Stream) ReadFrame(target any) error {
	payload, err := readFrame(s.reader)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("read frame: %w", err)
	}
	if err := json.Unmarshal(payload, target); err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	return nil
}

// SetReadDeadline makes ReadFrame fail at a time; the zero time lifts it.
func (s *Stream) SetReadDeadline(deadline time.Time) error {
	return s.conn.SetReadDeadline(deadline)
}

// Close says that this end writes no more. Frames that the other end still
// sends can be read until it closes too.
func (s *Stream) Close() error { return s.conn.Close() }

func encodeFrame(value any) ([]byte, error) {
	payload, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode frame: %w", err)
	}
	if len(payload) > MaxFrame {
		return nil, fmt.Errorf("%w: %d bytes", ErrFrameTooLong, len(payload))
	}
	frame := make([]byte, 4, 4+len(payload))
	binary.BigEndian.PutUint32(frame, uint32(len(payload)))
	return append(frame, payload...), nil
}

// readFrame grows its buffer with what arrives, so that a length that lies
// costs its sender the bytes.
func readFrame(reader io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(reader, head[:]); err != nil {
		return nil, err
	}
	size := int64(binary.BigEndian.Uint32(head[:]))
	if size > MaxFrame {
		return nil, fmt.Errorf("%w: %d bytes", ErrFrameTooLong, size)
	}
	var payload bytes.Buffer
	if _, err := io.CopyN(&payload, reader, size); err != nil {
		return nil, errors.Join(io.ErrUnexpectedEOF, fmt.Errorf("frame of %d bytes ended after %d", size, payload.Len()))
	}
	return payload.Bytes(), nil
}
