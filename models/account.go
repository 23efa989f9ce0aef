package models

import "time"

// User is a person who may use Sky.
type User struct {
	ID        ID `gorm:"primaryKey"`
	Name      string
	Admin     bool
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (User) TableName() string { return "paas_users" }

// Key is an SSH public key that may push for its User.
type Key struct {
	ID          ID `gorm:"primaryKey"`
	UserID      ID
	Name        string
	Fingerprint string // SHA256:…, as ssh-keygen prints it
	PublicKey   string // one authorized_keys line without options
	CreatedAt   time.Time
}

// TableName implements gorm's Tabler.
func (Key) TableName() string { return "paas_keys" }

// Token is an API token. Only the SHA-256 of its text is kept.
type Token struct {
	ID        ID `gorm:"primaryKey"`
	UserID    ID
	Name      string
	Hash      []byte
	ExpiresAt *time.Time
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Token) TableName() string { return "paas_tokens" }

// EnvVar is one variable of an App's Config. Value is sealed; only package
// platform opens it.
type EnvVar struct {
	ID        ID `gorm:"primaryKey"`
	AppID     ID
	Key       string
	Value     []byte
	UpdatedAt time.Time
}

// TableName implements gorm's Tabler.
func (EnvVar) TableName() string { return "paas_environment_vars" }

// Event is an audit fact: who did what to which App, and when.
type Event struct {
	ID        ID `gorm:"primaryKey"`
	AppID     *ID
	ActorID   *ID
	Actor     string
	Via       string
	Kind      string
	Detail    string
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "paas_events" }
