// Package terminal is what a person's end of a command and the command say to one
// another, whatever carries it: a WebSocket from the person to the control plane, a
// stream of an agent's link from there.
//
// They exchange Pieces: a byte that says what it is, and at most MaxData bytes. The
// person's end sends Stdin, StdinEnd, Resize and Signal, the other Started, Taken,
// Stdout, Stderr and, at last, Exit. Keep means nothing, and keeps a connection.
//
// Of Stdin at most Window Pieces may be on the way: the command's end answers each
// with Taken once the command read it. So whoever carries them never waits for a
// command that does not read, and sees the other's end at once.
package terminal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind is what a Piece is.
type Kind byte

// The kinds of Pieces. Their numbers are part of the protocol.
const (
	Keep     Kind = 0
	Stdin    Kind = 1
	StdinEnd Kind = 2
	Taken    Kind = 3 // one Stdin
	Resize   Kind = 4 // a Size in JSON
	Signal   Kind = 5 // its name, as Signals has it
	Stdout   Kind = 6 // of a tty, all output
	Stderr   Kind = 7
	Started  Kind = 8 // the command runs
	Exit     Kind = 9 // an Outcome in JSON, the last
	// Problem says in place of Exit, to a person, why it is not known how the command
	// ended: the API's problem document.
	Problem Kind = 10
)

const (
	// MaxData bounds a Piece's data.
	MaxData = 32 << 10
	// MaxPiece bounds a Piece as it is carried.
	MaxPiece = MaxData + 1
	// Window is how many Stdin may be on the way.
	Window = 8
	// KeepEvery is how often both ends of a connection say Keep.
	KeepEvery = 25 * time.Second
	// Quiet is how long an end may say nothing until it is taken for lost.
	Quiet = 90 * time.Second
)

var (
	errEmpty = errors.New("a piece of a terminal has no kind")
	// ErrTooLong says that a Piece has more than MaxData bytes.
	ErrTooLong = errors.New("a piece of a terminal is too long")
	// ErrFlood says that more than Window Stdin were on the way.
	ErrFlood = errors.New("input came faster than the command takes it")
)

// Piece is one thing that an end says.
type Piece struct {
	Kind Kind
	Data []byte
}

// Size is that of a terminal's window, in characters.
type Size struct {
	Rows    uint `json:"rows"`
	Columns uint `json:"cols"`
}

// Outcome is how a command ended. Reason says why one did not begin that cannot be
// run, as a shell would. Failed says why it is not known how it ended; Code is of no
// meaning then.
type Outcome struct {
	Code   int    `json:"code"`
	Reason string `json:"reason,omitempty"`
	Failed string `json:"failed,omitempty"`
}

// Signals lists the signals that a person may send.
func Signals() []string { return []string{"INT", "TERM", "HUP", "QUIT", "USR1", "USR2"} }

// Encode returns a Piece as it is carried.
func Encode(piece Piece) ([]byte, error) {
	if len(piece.Data) > MaxData {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLong, len(piece.Data))
	}
	return append([]byte{byte(piece.Kind)}, piece.Data...), nil
}

// Decode reads a Piece that was carried.
func Decode(carried []byte) (Piece, error) {
	switch {
	case len(carried) == 0:
		return Piece{}, errEmpty
	case len(carried) > MaxPiece:
		return Piece{}, fmt.Errorf("%w: %d bytes", ErrTooLong, len(carried)-1)
	}
	return Piece{Kind(carried[0]), carried[1:]}, nil
}

// FromPerson reports whether a person's end may send such Pieces.
func (k Kind) FromPerson() bool {
	return slices.Contains([]Kind{Stdin, StdinEnd, Resize, Signal}, k)
}

// Telling returns a Piece with a value in JSON.
func Telling(kind Kind, value any) (Piece, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return Piece{}, fmt.Errorf("encode a piece of a terminal: %w", err)
	}
	return Piece{kind, data}, nil
}

// Read decodes what a Piece has in JSON.
func Read[T any](piece Piece) (T, error) {
	var value T
	if err := json.Unmarshal(piece.Data, &value); err != nil {
		return value, fmt.Errorf("decode a piece of a terminal: %w", err)
	}
	return value, nil
}

// Split cuts data into pieces of at most MaxData bytes, and calls yield with each.
func Split(data []byte, yield func([]byte) error) error {
	for chunk := range slices.Chunk(data, MaxData) {
		if err := yield(chunk); err != nil {
			return err
		}
	}
	return nil
}
