package object

import (
	"errors"
	"strconv"

	"github.com/pjbgf/sha1cd"
)

// ErrCollision means that content was built to share its SHA-1 with other
// content (as shattered.io did).
var ErrCollision = errors.New("object is part of a SHA-1 collision attack")

// Hasher names objects. It may be used again and again, by one goroutine at a
// time.
type Hasher struct {
	digest sha1cd.CollisionResistantHash
	header []byte
}

// NewHasher returns a Hasher that detects collision attacks.
func NewHasher() *Hasher {
	return &Hasher{digest: sha1cd.New().(sha1cd.CollisionResistantHash)}
}

// Sum names an object that is in memory, or fails with ErrCollision.
func (h *Hasher) Sum(kind Kind, data []byte) (ID, error) {
	h.Start(kind, int64(len(data)))
	_, _ = h.Write(data)
	return h.Finish()
}

// Start begins an object of size bytes, which Write brings.
func (h *Hasher) Start(kind Kind, size int64) {
	h.header = append(h.header[:0], kind.String()...)
	h.header = append(h.header, ' ')
	h.header = strconv.AppendInt(h.header, size, 10)
	h.header = append(h.header, 0)
	h.digest.Reset()
	_, _ = h.digest.Write(h.header)
}

// Write implements io.Writer; it never fails.
func (h *Hasher) Write(data []byte) (int, error) { return h.digest.Write(data) }

// Finish names the object that Start began, or fails with ErrCollision.
func (h *Hasher) Finish() (ID, error) {
	var id ID
	if _, attack := h.digest.CollisionResistantSum(id[:0]); attack {
		return Zero, ErrCollision
	}
	return id, nil
}
