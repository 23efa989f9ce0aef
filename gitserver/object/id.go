// Package object holds what every layer knows of git objects: names, kinds,
// how they are hashed, parsed and checked. The formats are those of git's
// Documentation/gitformat-pack and user manual, "Object storage format".
package object

import (
	"bytes"
	"encoding/hex"
	"fmt"
)

// Size is the length of an ID in bytes. Sky speaks SHA-1: a client with another
// object format is refused before anything is read.
const Size = 20

// HexSize is the length of an ID in its text form.
const HexSize = 2 * Size

// ID names an object by the hash of its content.
type ID [Size]byte

// Zero is the name of no object; the protocol uses it for "absent".
var Zero ID

// ParseID reads an ID from 40 hexadecimal digits.
func ParseID(text string) (ID, error) {
	var id ID
	if len(text) != HexSize {
		return id, fmt.Errorf("object name %.60q has not %d digits", text, HexSize)
	}
	if _, err := hex.Decode(id[:], []byte(text)); err != nil {
		return Zero, fmt.Errorf("object name %q: %w", text, err)
	}
	return id, nil
}

// String returns the ID in lower-case hexadecimal.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether id is the name of no object.
func (id ID) IsZero() bool { return id == Zero }

// Compare orders IDs as an index does.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// Kind is the type of an object or of a pack entry, numbered as packs do.
type Kind uint8

// The kinds. Objects have one of the first four; the deltas occur in packs only.
const (
	Commit   Kind = 1
	Tree     Kind = 2
	Blob     Kind = 3
	Tag      Kind = 4
	OfsDelta Kind = 6
	RefDelta Kind = 7
)

// Whole reports whether k is an object's kind, not a delta.
func (k Kind) Whole() bool { return k >= Commit && k <= Tag }

// String returns the word that git uses in object headers.
func (k Kind) String() string {
	names := [...]string{Commit: "commit", Tree: "tree", Blob: "blob", Tag: "tag", OfsDelta: "ofs-delta", RefDelta: "ref-delta"}
	if int(k) < len(names) && names[k] != "" {
		return names[k]
	}
	return "unknown"
}

// ParseKind reads the word that git uses in object headers.
func ParseKind(word string) (Kind, bool) {
	for k := Commit; k <= Tag; k++ {
		if word == k.String() {
			return k, true
		}
	}
	return 0, false
}
