package packfile

import (
	"errors"
	"fmt"

	"github.com/skypanel/sky/gitserver/object"
)

// Limits bounds what one pack may cost. A zero field means its default.
type Limits struct {
	Bytes       int64  // on the wire; default 2 GiB
	Objects     uint32 // entries; default 1,000,000
	ObjectBytes int64  // one object, inflated; default 256 MiB
	// Inflated objects together may take FreeBytes + Amplify × the pack's
	// bytes. Honest repositories need 12 to 28 times. Defaults 2 GiB and 100.
	FreeBytes int64
	Amplify   int64
	Depth     int   // of a delta chain; default 4,095, as git
	LiveBytes int64 // delta bases in memory at once; default 256 MiB
	// DeltaBytes is how much of the small deltas stays in memory between the
	// stages, to save inflating them twice. Default 32 MiB.
	DeltaBytes int64
	Workers    int // goroutines; default GOMAXPROCS
}

// WithDefaults returns l with every zero field but Workers set.
func (l Limits) WithDefaults() Limits {
	setDefault(&l.Bytes, 2<<30)
	setDefault(&l.Objects, 1_000_000)
	setDefault(&l.ObjectBytes, 256<<20)
	setDefault(&l.FreeBytes, 2<<30)
	setDefault(&l.Amplify, 100)
	setDefault(&l.Depth, 4_095)
	setDefault(&l.LiveBytes, 256<<20)
	setDefault(&l.DeltaBytes, 32<<20)
	return l
}

func setDefault[N int | int64 | uint32](field *N, value N) {
	if *field == 0 {
		*field = value
	}
}

// ErrCorrupt is in the chain of every error about bytes that are no pack.
var ErrCorrupt = errors.New("corrupt pack")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// LimitError says which limit a pack exceeds.
type LimitError struct{ What string }

// Error implements error.
func (e *LimitError) Error() string { return "limit exceeded: " + e.What }

func limitf(format string, args ...any) error { return &LimitError{fmt.Sprintf(format, args...)} }

// ObjectError says what is wrong with one object, in the words of git fsck.
type ObjectError struct {
	ID      object.ID
	Problem string
}

// Error implements error.
func (e *ObjectError) Error() string { return fmt.Sprintf("object %s: %s", e.ID, e.Problem) }

// MissingError names an object that the pack refers to and nobody has.
type MissingError struct{ ID object.ID }

// Error implements error.
func (e *MissingError) Error() string { return "missing object " + e.ID.String() }
