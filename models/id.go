package models

import "github.com/google/uuid"

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
