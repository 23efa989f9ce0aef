package v1

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Organisation owns apps and pays for them.
type Organisation struct {
	ID              string    `json:"id" doc:"Its id, which never changes"`
	Name            string    `json:"name" example:"acme"`
	Title           string    `json:"title" example:"Acme Ltd"`
	Role            string    `json:"role,omitempty" enum:"owner,admin,developer,viewer,billing" doc:"Your own"`
	Suspended       bool      `json:"suspended" doc:"Whether its apps are kept from running"`
	SuspendedReason string    `json:"suspended_reason,omitempty" doc:"Why"`
	CreatedAt       time.Time `json:"created_at" doc:"When it was made"`
}

// NewOrganisation is an organisation to create.
type NewOrganisation struct {
	Name  string `json:"name" maxLength:"40" doc:"1 to 40 lower-case letters, digits and dashes, beginning with a letter" example:"acme"`
	Title string `json:"title,omitempty" maxLength:"100" example:"Acme Ltd"`
}

// OrganisationChange holds the settings to change; what is left out stays.
type OrganisationChange struct {
	Name  *string `json:"name,omitempty" maxLength:"40" doc:"1 to 40 lower-case letters, digits and dashes, beginning with a letter"`
	Title *string `json:"title,omitempty" maxLength:"100" doc:"What people call it"`
}

// Suspension stops, or allows again, what an organisation runs.
type Suspension struct {
	Suspended bool   `json:"suspended" doc:"Whether its apps are kept from running"`
	Reason    string `json:"reason,omitempty" maxLength:"100" doc:"What its members are told"`
}

// Member is somebody in an organisation.
type Member struct {
	User      string    `json:"user" example:"ann"`
	Email     string    `json:"email,omitempty" example:"ann@example.com"`
	Role      string    `json:"role" enum:"owner,admin,developer,viewer,billing" doc:"What they may do"`
	CreatedAt time.Time `json:"created_at" doc:"When they joined"`
}

// MemberChange gives a member another role.
type MemberChange struct {
	Role string `json:"role" enum:"owner,admin,developer,viewer,billing" doc:"What they may do from now on"`
}

// Invitation asks somebody to join.
type Invitation struct {
	ID        string    `json:"id" doc:"Its id, which never changes"`
	Email     string    `json:"email" example:"ben@example.com"`
	Role      string    `json:"role" enum:"owner,admin,developer,viewer,billing" doc:"What they may do"`
	Token     string    `json:"token,omitempty" doc:"Shown once, when it is made: give it to whom it is for"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it is no longer good"`
}

// NewInvitation is an invitation to make.
type NewInvitation struct {
	Email string `json:"email" maxLength:"254" example:"ben@example.com"`
	Role  string `json:"role" enum:"owner,admin,developer,viewer,billing" example:"developer"`
}

// InvitationToken accepts an invitation.
type InvitationToken struct {
	Token string `json:"token" maxLength:"100" doc:"What the invitation's maker was shown"`
}

// SignUp makes an account by an invitation.
type SignUp struct {
	Token    string `json:"token" maxLength:"100" doc:"What the invitation's maker was shown"`
	Name     string `json:"name" maxLength:"40" example:"ben"`
	Password string `json:"password" maxLength:"200" doc:"12 to 200 characters"`
}

// Event is an audit fact.
type Event struct {
	ID        string    `json:"id" doc:"Its id, which never changes"`
	Kind      string    `json:"kind" example:"app.create"`
	Actor     string    `json:"actor" example:"ann"`
	Via       string    `json:"via,omitempty" doc:"What proved who it was" example:"token laptop"`
	Address   string    `json:"address,omitempty" doc:"Where the request came from"`
	AppID     string    `json:"app_id,omitempty" doc:"The app that it is about"`
	Detail    string    `json:"detail,omitempty" doc:"What was done"`
	CreatedAt time.Time `json:"created_at" doc:"When it happened"`
}

// Notification tells an organisation what it should know.
type Notification struct {
	ID        string     `json:"id" doc:"Its id, which never changes"`
	Kind      string     `json:"kind" example:"billing.low"`
	Text      string     `json:"text" doc:"For a person to read"`
	ReadAt    *time.Time `json:"read_at,omitempty" doc:"When somebody read it"`
	CreatedAt time.Time  `json:"created_at" doc:"When it was told"`
}

// NotificationsRead marks notifications as read.
type NotificationsRead struct {
	UpTo string `json:"up_to" maxLength:"36" doc:"The newest that was read"`
}

func orgPath(name string) string { return customer + "/organisations/" + url.PathEscape(name) }

// Organisations lists yours.
func (c *Client) Organisations(ctx context.Context) ([]Organisation, error) {
	return list[Organisation](ctx, c, customer+"/organisations?")
}

// Organisation returns one of yours.
func (c *Client) Organisation(ctx context.Context, name string) (Organisation, error) {
	return call[Organisation](ctx, c, http.MethodGet, orgPath(name), nil)
}

// CreateOrganisation makes an organisation that you own.
func (c *Client) CreateOrganisation(ctx context.Context, wanted NewOrganisation) (Organisation, error) {
	return call[Organisation](ctx, c, http.MethodPost, customer+"/organisations", wanted)
}

// ChangeOrganisation renames an organisation.
func (c *Client) ChangeOrganisation(ctx context.Context, name string, change OrganisationChange) (Organisation, error) {
	return call[Organisation](ctx, c, http.MethodPatch, orgPath(name), change)
}

// DestroyOrganisation removes an organisation without apps; confirm repeats its
// name.
func (c *Client) DestroyOrganisation(ctx context.Context, name, confirm string) error {
	return c.do(ctx, http.MethodDelete, orgPath(name)+"?confirm="+url.QueryEscape(confirm), nil)
}

// Members lists an organisation's members.
func (c *Client) Members(ctx context.Context, organisation string) ([]Member, error) {
	return list[Member](ctx, c, orgPath(organisation)+"/members?")
}

// ChangeMember gives a member another role.
func (c *Client) ChangeMember(ctx context.Context, organisation, user, role string) (Member, error) {
	return call[Member](ctx, c, http.MethodPatch, orgPath(organisation)+"/members/"+url.PathEscape(user), MemberChange{role})
}

// RemoveMember takes a member out of an organisation.
func (c *Client) RemoveMember(ctx context.Context, organisation, user string) error {
	return c.do(ctx, http.MethodDelete, orgPath(organisation)+"/members/"+url.PathEscape(user), nil)
}

// Invitations lists open invitations.
func (c *Client) Invitations(ctx context.Context, organisation string) ([]Invitation, error) {
	return list[Invitation](ctx, c, orgPath(organisation)+"/invitations?")
}

// Invite asks somebody to join; the answer has the token to give them.
func (c *Client) Invite(ctx context.Context, organisation string, wanted NewInvitation) (Invitation, error) {
	return call[Invitation](ctx, c, http.MethodPost, orgPath(organisation)+"/invitations", wanted)
}

// Uninvite makes an invitation void.
func (c *Client) Uninvite(ctx context.Context, organisation, id string) error {
	return c.do(ctx, http.MethodDelete, orgPath(organisation)+"/invitations/"+url.PathEscape(id), nil)
}

// AcceptInvitation joins the organisation that a token is for.
func (c *Client) AcceptInvitation(ctx context.Context, token string) (Organisation, error) {
	return call[Organisation](ctx, c, http.MethodPost, customer+"/invitations/accept", InvitationToken{token})
}

// SignUp makes an account by an invitation. It needs no token of its own.
func (c *Client) SignUp(ctx context.Context, wanted SignUp) (Account, error) {
	return call[Account](ctx, c, http.MethodPost, customer+"/invitations/sign-up", wanted)
}

// Activity lists an organisation's newest audit events.
func (c *Client) Activity(ctx context.Context, organisation string, limit int) ([]Event, error) {
	page, err := call[Page[Event]](ctx, c, http.MethodGet, orgPath(organisation)+"/activity?limit="+strconv.Itoa(limit), nil)
	return page.Items, err
}

// FollowActivity calls yield for each audit event that comes, until ctx ends.
func (c *Client) FollowActivity(ctx context.Context, organisation string, yield func(Event) error) error {
	return stream(ctx, c, orgPath(organisation)+"/activity/stream", yield)
}

// Notifications lists what an organisation was told.
func (c *Client) Notifications(ctx context.Context, organisation string, unread bool) ([]Notification, error) {
	return list[Notification](ctx, c, orgPath(organisation)+"/notifications?unread="+strconv.FormatBool(unread))
}

// ReadNotifications marks those up to this one as read.
func (c *Client) ReadNotifications(ctx context.Context, organisation, upTo string) error {
	return c.do(ctx, http.MethodPost, orgPath(organisation)+"/notifications/read", NotificationsRead{upTo})
}
