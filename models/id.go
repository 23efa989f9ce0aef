package models

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// ID identifies a row. IDs are version 7 UUIDs, so that they sort by the time
// they were made.
type ID = uuid.UUID

// NewID returns a fresh ID.
func NewID() ID { return uuid.Must(uuid.NewV7()) }

// ParseID reads an ID in its canonical text form.
func ParseID(text string) (ID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return ID{}, Errorf(Invalid, "%q is not an id", text)
	}
	return id, nil
}

// TimeOf returns when an ID was made, to the millisecond.
func TimeOf(id ID) time.Time {
	seconds, nanos := id.Time().UnixTime()
	return time.Unix(seconds, nanos).UTC().Truncate(time.Millisecond)
}

// FirstID returns the ID that sorts before all that are made from then on (RFC
// 9562, section 5.7).
func FirstID(then time.Time) ID {
	id := ID{6: 0x70, 8: 0x80}
	binary.BigEndian.PutUint64(id[:8], uint64(then.UnixMilli())<<16|0x7000)
	return id
}
