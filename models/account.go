package models

import "time"

// User is a person who may use Sky.
type User struct {
	ID    ID `gorm:"primaryKey"`
	Name  string
	Email *string // in lower case, unique
	// EmailProven is set when the User showed that they read what is sent there,
	// or an admin of the platform set it. Who only claims an address loses it to
	// somebody who proves it.
	EmailProven bool
	// Admin users manage the platform.
	Admin bool
	// PasswordHash is argon2id's, in its PHC string; empty when there is none.
	PasswordHash string
	// TOTPSecret is sealed. It counts once TOTPEnabled; TOTPStep is the last time
	// step that a code was taken of.
	TOTPSecret  []byte `gorm:"column:totp_secret"`
	TOTPEnabled bool   `gorm:"column:totp_enabled"`
	TOTPStep    int64  `gorm:"column:totp_step"`
	// RecoveryHashes are the SHA-256 of recovery codes that were not used.
	RecoveryHashes [][]byte `gorm:"serializer:json"`
	// Disabled users are nobody: their keys, tokens and sessions are refused.
	Disabled  bool
	CreatedAt time.Time
	UpdatedAt time.Time
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
	ID     ID `gorm:"primaryKey"`
	UserID ID
	Name   string
	Hash   []byte
	Scopes Scopes `gorm:"serializer:json"`
	// OrganisationID limits it to one Organisation; nil is all of its owner's.
	OrganisationID *ID
	ExpiresAt      *time.Time
	UsedAt         *time.Time // to the minute or so
	CreatedAt      time.Time
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

// Session is a browser's login. Only the SHA-256 of its cookie is kept.
type Session struct {
	ID        ID `gorm:"primaryKey"`
	UserID    ID
	Hash      []byte
	Client    string // what the browser calls itself
	Address   string
	ExpiresAt time.Time
	SeenAt    time.Time
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Session) TableName() string { return "paas_sessions" }

// OneTimeToken lets a User set a password once, without knowing the former one.
type OneTimeToken struct {
	ID        ID `gorm:"primaryKey"`
	UserID    ID
	Purpose   OneTimePurpose
	Hash      []byte
	UsedAt    *time.Time
	ExpiresAt time.Time
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (OneTimeToken) TableName() string { return "paas_one_time_tokens" }

// OneTimePurpose is what a OneTimeToken is good for.
type OneTimePurpose string

// The purposes: the very first admin's setup, and anybody's password.
const (
	OneTimeSetup    OneTimePurpose = "setup"
	OneTimePassword OneTimePurpose = "password"
)

// Event is an audit fact: who did what to what, and when. It is written in the
// transaction of the change that it tells of.
type Event struct {
	ID             ID `gorm:"primaryKey"`
	OrganisationID *ID
	AppID          *ID
	ActorID        *ID
	Actor          string
	Via            string
	Address        string
	Kind           string // such as "app.create"
	Detail         string
	CreatedAt      time.Time
}

// TableName implements gorm's Tabler.
func (Event) TableName() string { return "paas_events" }
