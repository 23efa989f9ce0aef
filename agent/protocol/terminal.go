package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/skypanel/sky/internal/terminal"
)

// TerminalVersion is the protocol version from which on an agent takes streams of
// the kinds StreamExec and StreamAttach.
const TerminalVersion = 2

// ReaderPatience is how long the reader of a terminal may take nothing. It is a
// person's: output that scrolls by may be paused.
const ReaderPatience = 10 * time.Minute

const (
	// StreamExec is the kind of a stream on which the control plane has a Command
	// run in an Instance. Pieces of package terminal follow the header, both ways.
	// When either end closes the stream, the command ends.
	StreamExec = "exec"
	// StreamAttach is the kind of a stream that starts an Instance which waits for
	// its terminal. It goes on as StreamExec does.
	StreamAttach = "attach"
)

// Command is what a terminal runs. With TTY it has a terminal's device, of the
// window's Size, and else its three streams.
type Command struct {
	Arguments []string      `json:"arguments,omitempty"` // of StreamExec
	TTY       bool          `json:"tty,omitempty"`
	Size      terminal.Size `json:"size"`
}

// WritePiece sends a Piece. It blocks while the other end does not read, for
// ReaderPatience at most; then it ends this Stream, and nothing else of the Link.
func (s *Stream) WritePiece(piece terminal.Piece) error {
	carried, err := terminal.Encode(piece)
	if err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	select {
	case <-s.aborted:
		return errAborted
	default:
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.link.readerPatience)); err != nil {
		return fmt.Errorf("set write deadline: %w", err)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(carried)), uint32(len(carried)))
	if _, err := s.conn.Write(append(frame, carried...)); err != nil {
		s.Abort()
		return fmt.Errorf("write piece: %w", err)
	}
	return nil
}

// ReadPiece blocks until the next Piece. It returns io.EOF itself when the other
// end closed the stream between Pieces.
func (s *Stream) ReadPiece() (terminal.Piece, error) {
	var head [4]byte
	if _, err := io.ReadFull(s.reader, head[:]); errors.Is(err, io.EOF) {
		return terminal.Piece{}, io.EOF
	} else if err != nil {
		return terminal.Piece{}, fmt.Errorf("read piece: %w", err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > terminal.MaxPiece {
		return terminal.Piece{}, fmt.Errorf("read piece: %w: %d bytes", ErrFrameTooLong, size)
	}
	carried := make([]byte, size)
	if _, err := io.ReadFull(s.reader, carried); err != nil {
		return terminal.Piece{}, fmt.Errorf("read piece: %w", errors.Join(io.ErrUnexpectedEOF, err))
	}
	return terminal.Decode(carried)
}

var errAborted = errors.New("the stream was given up")

// Abort ends the Stream at once: whoever reads or writes it here fails. What was
// sent before still arrives.
func (s *Stream) Abort() {
	s.abort.Do(func() {
		close(s.aborted)
		_ = s.conn.SetDeadline(time.Unix(1, 0)) // what follows tells the other end
		_ = s.conn.Close()
	})
}
