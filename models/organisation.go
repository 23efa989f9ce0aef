package models

import (
	"net/mail"
	"regexp"
	"strings"
	"time"
)

// Organisation owns Apps, pays for them, and has members.
type Organisation struct {
	ID    ID     `gorm:"primaryKey"`
	Name  string // as it is in addresses
	Title string // as people write it
	// Suspended Organisations keep all they have, and run nothing.
	Suspended       bool
	SuspendedReason string
	CreatedAt       time.Time
	UpdatedAt       time.Time
	// DeletedAt is set once it is gone: its ledger stays.
	DeletedAt *time.Time
}

// TableName implements gorm's Tabler.
func (Organisation) TableName() string { return "paas_organisations" }

// Membership is a User's Role in an Organisation.
type Membership struct {
	ID             ID `gorm:"primaryKey"`
	OrganisationID ID
	UserID         ID
	Role           Role
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// TableName implements gorm's Tabler.
func (Membership) TableName() string { return "paas_memberships" }

// Invitation asks whoever reads an e-mail address to become a member. Only the
// SHA-256 of its token is kept.
type Invitation struct {
	ID             ID `gorm:"primaryKey"`
	OrganisationID ID
	Email          string
	Role           Role
	Hash           []byte
	InviterID      ID
	ExpiresAt      time.Time
	CreatedAt      time.Time
}

// TableName implements gorm's Tabler.
func (Invitation) TableName() string { return "paas_invitations" }

// Domain is a hostname that leads to an App. Only a verified one has a Route;
// several Apps may have claimed the same host before that.
type Domain struct {
	ID    ID `gorm:"primaryKey"`
	AppID ID
	Host  string
	State DomainState
	// Challenge is the text that a TXT record at _sky.HOST proves ownership with.
	Challenge  string
	Error      string // why the last check failed
	CheckedAt  *time.Time
	VerifiedAt *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// TableName implements gorm's Tabler.
func (Domain) TableName() string { return "paas_domains" }

// DomainState is whether a Domain's ownership was proved.
type DomainState string

// The states of a Domain.
const (
	DomainPending  DomainState = "pending"
	DomainVerified DomainState = "verified"
)

// Notification tells an Organisation what it should know. Kind and Ref together
// are unique, so that nothing is told twice.
type Notification struct {
	ID             ID `gorm:"primaryKey"`
	OrganisationID ID
	AppID          *ID
	Kind           string
	Ref            string
	Text           string
	ReadAt         *time.Time
	CreatedAt      time.Time
}

// TableName implements gorm's Tabler.
func (Notification) TableName() string { return "paas_notifications" }

var (
	userNamePattern  = regexp.MustCompile(`^[a-z]([a-z0-9._-]{0,38}[a-z0-9])?$`)
	hostLabelPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

// CheckOrganisationName says why name cannot be an Organisation's name, or
// returns nil.
func CheckOrganisationName(name string) error {
	if CheckAppName(name) == nil {
		return nil
	}
	return Errorf(Invalid, "organisation name %q is not allowed", name).WithField("name").
		WithRemedy("use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter")
}

// CheckUserName says why name cannot be a User's name, or returns nil.
func CheckUserName(name string) error {
	if userNamePattern.MatchString(name) {
		return nil
	}
	return Errorf(Invalid, "user name %q is not allowed", name).WithField("name").
		WithRemedy("use 1 to 40 lower-case letters, digits, dots, dashes and underscores, beginning with a letter")
}

// CleanEmail returns the one form in which an e-mail address is kept, or says
// why it is none.
func CleanEmail(text string) (string, error) {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text || len(text) > 254 || !strings.Contains(address.Address, ".") {
		return "", Errorf(Invalid, "that is not an e-mail address").WithField("email").
			WithRemedy("pass one address, such as ann@example.com")
	}
	return strings.ToLower(address.Address), nil
}

// CleanHost returns the one form in which a hostname is kept, or says why it
// cannot be a Domain: an address, a wildcard, a name without a dot or with
// anything that DNS does not have.
func CleanHost(text string) (string, error) {
	host := strings.ToLower(strings.TrimSuffix(text, "."))
	wrong := Errorf(Invalid, "%q is not a domain", text).WithField("host").
		WithRemedy("pass a hostname such as shop.example.com; write international names in their xn-- form")
	labels := strings.Split(host, ".")
	if len(host) > 253 || len(labels) < 2 {
		return "", wrong
	}
	for _, label := range labels {
		if !hostLabelPattern.MatchString(label) {
			return "", wrong
		}
	}
	if top := labels[len(labels)-1]; strings.Trim(top, "0123456789") == "" || top == "localhost" {
		return "", wrong
	}
	return host, nil
}
