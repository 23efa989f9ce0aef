package models

import "time"

// Setting is one of the operator's decisions that can change while Sky runs.
// Value is JSON.
type Setting struct {
	Key       string `gorm:"primaryKey"`
	Value     string
	UpdatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Setting) TableName() string { return "paas_settings" }

// IdempotencyKey remembers the answer to a request, so that its repetition does
// nothing again. Status is 0 while the first is at work.
type IdempotencyKey struct {
	ID          ID `gorm:"primaryKey"`
	UserID      ID
	Key         string
	RequestHash []byte
	Status      int
	ContentType string
	Answer      []byte // sealed: it may hold a fresh token
	ExpiresAt   time.Time
	CreatedAt   time.Time
}

// TableName implements gorm's Tabler.
func (IdempotencyKey) TableName() string { return "paas_idempotency_keys" }

// Database is a managed database server.
type Database struct {
	ID             ID `gorm:"primaryKey"`
	OrganisationID ID
	Name           string
	Engine         string
	Version        string
	PlanID         *ID
	NodeID         *ID
	State          string
	Credentials    []byte // sealed
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// TableName implements gorm's Tabler.
func (Database) TableName() string { return "paas_databases" }

// AppDatabase links a Database to an App, whose variables then begin with
// Prefix.
type AppDatabase struct {
	ID         ID `gorm:"primaryKey"`
	AppID      ID
	DatabaseID ID
	Prefix     string
	CreatedAt  time.Time
}

// TableName implements gorm's Tabler.
func (AppDatabase) TableName() string { return "paas_app_databases" }
