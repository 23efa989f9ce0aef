package models

import (
	"regexp"
	"strings"
	"time"
)

// GitHubHost is the GitHub that the operator connects Sky with: github.com, or a
// GitHub Enterprise server. There is at most one.
type GitHubHost struct {
	ID  ID     `gorm:"primaryKey"`
	URL string // https://github.com, without a slash at its end
	// ClientID and ClientSecret are the OAuth app's, or the GitHub App's own.
	ClientID     string
	ClientSecret []byte // sealed
	// Number is the GitHub App's id; 0 where only an OAuth app is registered.
	// Slug names it in addresses.
	Number int64
	Slug   string
	// PrivateKey is the GitHub App's, and WebhookSecret that of its webhook.
	PrivateKey    []byte // sealed
	WebhookSecret []byte // sealed
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// TableName implements gorm's Tabler.
func (GitHubHost) TableName() string { return "paas_github_hosts" }

// IsApp reports whether a GitHub App is registered, whose installations give
// tokens of their own.
func (h GitHubHost) IsApp() bool { return h.Number != 0 }

// GitHubConnection is a User's account at GitHub, as they let Sky use it.
type GitHubConnection struct {
	ID     ID `gorm:"primaryKey"`
	UserID ID
	// Account is the account's number, and Login the name it has now.
	Account int64
	Login   string
	Scopes  string
	Token   []byte // sealed
	// Refresh renews a Token that ends at ExpiresAt; nil where it never does.
	Refresh   []byte // sealed
	ExpiresAt *time.Time
	// Trouble says why GitHub takes the token no more; empty while it does.
	Trouble   string
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TableName implements gorm's Tabler.
func (GitHubConnection) TableName() string { return "paas_github_connections" }

// GitHubAuthorization is a connection that somebody is making: from the address
// that they were sent to until GitHub has sent them back, or until they have
// typed the code that they got there.
type GitHubAuthorization struct {
	ID     ID `gorm:"primaryKey"`
	UserID ID
	// SessionID is the browser session that it belongs to. Without one it was
	// begun in a terminal, and needs the code.
	SessionID *ID
	StateHash []byte
	Verifier  []byte // sealed; of PKCE (RFC 7636)
	// Granted is what GitHub gave, until the code is typed.
	Granted   []byte // sealed
	CodeHash  []byte
	Attempts  int
	ExpiresAt time.Time
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (GitHubAuthorization) TableName() string { return "paas_github_authorizations" }

// GitHubLink binds an App to a ref of a repository at GitHub: what the ref leads
// to is deployed.
type GitHubLink struct {
	ID    ID `gorm:"primaryKey"`
	AppID ID
	// UserID is who made the link. Deployments are made in their name, and end
	// when they may no longer deploy.
	UserID ID
	// Installation is the GitHub App's installation whose tokens are used; 0 uses
	// the User's connection.
	Installation int64
	// RepositoryID is what GitHub calls it for ever, Repository ("owner/name")
	// what it is called now.
	RepositoryID int64
	Repository   string
	Ref          string
	// Paths are patterns of files: a change that touches none of them is not
	// deployed. Without any, all are.
	Paths      []string `gorm:"serializer:json"`
	AutoDeploy bool
	// HookID is the webhook at GitHub, and Secret what it signs with. Links
	// through a GitHub App have none of their own.
	HookID int64
	Secret []byte // sealed
	// Head is the newest commit of the ref that was decided on.
	Head string
	// Trouble says why the link does not work at present.
	Trouble   string
	CheckedAt *time.Time
	// Previews makes an App for every pull request against the ref, with
	// PreviewPlanID (nil is the App's own), for PreviewHours after the last
	// change, at most PreviewMost at a time, without the variables PreviewHidden.
	Previews      bool
	PreviewPlanID *ID
	PreviewHours  int
	PreviewMost   int
	PreviewHidden []string `gorm:"serializer:json"`
	CreatedAt     time.Time
	UpdatedAt     time.Time
}

// TableName implements gorm's Tabler.
func (GitHubLink) TableName() string { return "paas_github_links" }

// Branch returns the branch that the link follows; empty for a pull request.
func (l GitHubLink) Branch() string {
	branch, found := strings.CutPrefix(l.Ref, "refs/heads/")
	if !found {
		return ""
	}
	return branch
}

// Revision names the row's state, for changes that are made for one.
func (l GitHubLink) Revision() string { return revisionOf(l.UpdatedAt) }

// PreviewState is where a Preview is.
type PreviewState string

// The states of a Preview.
const (
	PreviewWaiting PreviewState = "waiting" // for somebody to approve a fork's commit
	PreviewActive  PreviewState = "active"
	PreviewRefused PreviewState = "refused" // there is no room for it
	PreviewClosed  PreviewState = "closed"
)

// GitHubPreview is an App of its own for one pull request.
type GitHubPreview struct {
	ID     ID  `gorm:"primaryKey"`
	LinkID ID  // of the App that it previews
	AppID  *ID // its own App; nil while there is none
	Number int // of the pull request
	Title  string
	Author string
	// Fork says that the commits come from another repository, whose owner Sky
	// does not know.
	Fork bool
	Head string // the newest commit
	// Approved is the commit of a fork that a member let be built, and WithConfig
	// whether it may read the App's config.
	Approved   string
	ApprovedBy *ID
	WithConfig bool
	CommentID  int64
	State      PreviewState
	Reason     string
	ExpiresAt  *time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// TableName implements gorm's Tabler.
func (GitHubPreview) TableName() string { return "paas_github_previews" }

// GitHubReport is what GitHub was last told of a Build.
type GitHubReport struct {
	BuildID ID `gorm:"primaryKey"`
	// Deployment is GitHub's number for it; 0 before there is one.
	Deployment int64
	State      string
	Error      string // why GitHub could not be told
	UpdatedAt  time.Time
}

// TableName implements gorm's Tabler.
func (GitHubReport) TableName() string { return "paas_github_reports" }

// repositoryPattern takes the underscore of accounts that an enterprise manages,
// and the hyphens of old ones.
var repositoryPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}/[A-Za-z0-9._-]{1,100}$`)

// CheckRepository says why name cannot be a repository at GitHub, or returns nil.
func CheckRepository(name string) error {
	_, repository, _ := strings.Cut(name, "/")
	if repositoryPattern.MatchString(name) && strings.Trim(repository, ".") != "" {
		return nil
	}
	return Errorf(Invalid, "%.150q is not a repository at GitHub", name).WithField("repository").
		WithRemedy("name it as owner/name, such as acme/shop")
}
