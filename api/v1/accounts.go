package v1

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// Login begins a session and returns a client that has it. The code may be empty
// until the server asks for it with a *Problem of the field "code".
func (c *Client) Login(ctx context.Context, login Login) (*Client, error) {
	text, err := json.Marshal(login)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	answer, err := c.Raw(ctx, http.MethodPost, customer+"/sessions", text, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	for _, cookie := range answer.Cookies() {
		return &Client{URL: c.URL, HTTP: c.HTTP, Session: cookie.Name + "=" + cookie.Value}, nil
	}
	return nil, fmt.Errorf("the server at %s began no session", c.URL)
}

// Sessions lists your sessions.
func (c *Client) Sessions(ctx context.Context) ([]Session, error) {
	return list[Session](ctx, c, customer+"/sessions?")
}

// EndSession ends a session; "current" is the client's own.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, customer+"/sessions/"+url.PathEscape(id), nil)
}

// Tokens lists your API tokens.
func (c *Client) Tokens(ctx context.Context) ([]Token, error) {
	return list[Token](ctx, c, customer+"/tokens?")
}

// CreateToken makes an API token; its text is in this answer only.
func (c *Client) CreateToken(ctx context.Context, token NewToken) (CreatedToken, error) {
	return call[CreatedToken](ctx, c, http.MethodPost, customer+"/tokens", token)
}

// RevokeToken ends an API token; "current" is the client's own.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, customer+"/tokens/"+url.PathEscape(id), nil)
}

// Account returns your account.
func (c *Client) Account(ctx context.Context) (Account, error) {
	return call[Account](ctx, c, http.MethodGet, customer+"/account", nil)
}

// ChangeAccount changes your account.
func (c *Client) ChangeAccount(ctx context.Context, change AccountChange) (Account, error) {
	return call[Account](ctx, c, http.MethodPatch, customer+"/account", change)
}

// ChangePassword sets a new password; your other sessions end.
func (c *Client) ChangePassword(ctx context.Context, change PasswordChange) error {
	return c.do(ctx, http.MethodPut, customer+"/account/password", change)
}

// BeginTOTP makes a second factor that ConfirmTOTP turns on.
func (c *Client) BeginTOTP(ctx context.Context) (PendingTOTP, error) {
	return call[PendingTOTP](ctx, c, http.MethodPost, customer+"/account/totp", nil)
}

// ConfirmTOTP turns two factors on; the recovery codes are in this answer only.
func (c *Client) ConfirmTOTP(ctx context.Context, code string) (RecoveryCodes, error) {
	return call[RecoveryCodes](ctx, c, http.MethodPost, customer+"/account/totp/confirm", TOTPCode{code})
}

// EndTOTP turns two factors off.
func (c *Client) EndTOTP(ctx context.Context, end TOTPEnd) error {
	return c.do(ctx, http.MethodDelete, customer+"/account/totp", end)
}

// Setup sets the first admin up, by the one-time link.
func (c *Client) Setup(ctx context.Context, setup Setup) (Account, error) {
	return call[Account](ctx, c, http.MethodPost, customer+"/setup", setup)
}

// UsePasswordLink sets a password, by a one-time link.
func (c *Client) UsePasswordLink(ctx context.Context, password PasswordByLink) (Account, error) {
	return call[Account](ctx, c, http.MethodPost, customer+"/password", password)
}

// UserFilter narrows a list of users; nil takes all.
type UserFilter struct {
	Search          string
	Admin, Disabled *bool
}

// Users lists users, for an admin.
func (c *Client) Users(ctx context.Context, filter UserFilter) ([]User, error) {
	query := url.Values{}
	if filter.Search != "" {
		query.Set("search", filter.Search)
	}
	for name, value := range map[string]*bool{"admin": filter.Admin, "disabled": filter.Disabled} {
		if value != nil {
			query.Set(name, strconv.FormatBool(*value))
		}
	}
	return list[User](ctx, c, admin+"/users?"+query.Encode())
}

// User returns a user, for an admin.
func (c *Client) User(ctx context.Context, name string) (User, error) {
	return call[User](ctx, c, http.MethodGet, userPath(name), nil)
}

// CreateUser lets somebody in, for an admin.
func (c *Client) CreateUser(ctx context.Context, user NewUser) (CreatedUser, error) {
	return call[CreatedUser](ctx, c, http.MethodPost, admin+"/users", user)
}

// ChangeUser changes a user, for an admin.
func (c *Client) ChangeUser(ctx context.Context, name string, change UserChange) (User, error) {
	return call[User](ctx, c, http.MethodPatch, userPath(name), change)
}

// DeleteUser removes a user, for an admin.
func (c *Client) DeleteUser(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodDelete, userPath(name), nil)
}

// MakePasswordLink makes a one-time link for a user, for an admin.
func (c *Client) MakePasswordLink(ctx context.Context, name string) (Link, error) {
	return call[Link](ctx, c, http.MethodPost, userPath(name)+"/password-link", nil)
}

func userPath(name string) string { return admin + "/users/" + url.PathEscape(name) }
