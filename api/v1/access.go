package v1

import "time"

// Token is an API token, without its text.
type Token struct {
	ID           string     `json:"id" doc:"Its id, which never changes"`
	Name         string     `json:"name" example:"ci"`
	Scopes       []string   `json:"scopes" enum:"read,deploy,write,billing,admin" doc:"What it may do"`
	Organisation string     `json:"organisation,omitempty" doc:"The one organisation that it is limited to; absent is all of yours"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"Absent: it lives until it is revoked"`
	UsedAt       *time.Time `json:"used_at,omitempty" doc:"To the minute or so"`
	CreatedAt    time.Time  `json:"created_at" doc:"When it was made"`
	Current      bool       `json:"current" doc:"Whether it is the one that asks"`
}

// NewToken is an API token to make.
type NewToken struct {
	Name         string     `json:"name" minLength:"1" maxLength:"100" example:"ci"`
	Scopes       []string   `json:"scopes" minItems:"1" maxItems:"5" enum:"read,deploy,write,billing,admin" doc:"Each includes those before it, but for billing"`
	Organisation string     `json:"organisation,omitempty" maxLength:"40" doc:"Limits it to one organisation"`
	ExpiresAt    *time.Time `json:"expires_at,omitempty" doc:"Absent: it lives until it is revoked"`
}

// CreatedToken is a fresh API token.
type CreatedToken struct {
	Token Token  `json:"token"`
	Text  string `json:"text" doc:"Shown this once"`
}

// Login is what somebody proves themselves with.
type Login struct {
	Login    string `json:"login" minLength:"1" maxLength:"254" doc:"Name or e-mail address" example:"ann"`
	Password string `json:"password" minLength:"1" maxLength:"800" doc:"Theirs"`
	Code     string `json:"code,omitempty" maxLength:"40" doc:"Six digits of your authenticator, or a recovery code, where two factors are on"`
}

// Session is a login.
type Session struct {
	ID        string    `json:"id" doc:"Its id, which never changes"`
	Client    string    `json:"client" doc:"What the browser calls itself"`
	Address   string    `json:"address" doc:"Where it logged in from"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it ends if it is not used"`
	SeenAt    time.Time `json:"seen_at" doc:"To the minute or so"`
	CreatedAt time.Time `json:"created_at" doc:"When it was made"`
	Current   bool      `json:"current" doc:"Whether it is the one that asks"`
}

// Setup is what the first admin decides.
type Setup struct {
	Token    string `json:"token" minLength:"1" maxLength:"100" doc:"The end of the link that Sky printed at its start"`
	Name     string `json:"name,omitempty" maxLength:"40" doc:"Absent: it stays as it is"`
	Email    string `json:"email" minLength:"3" maxLength:"254" doc:"Where to reach you"`
	Password string `json:"password" maxLength:"800" doc:"12 to 200 characters"`
}

// PasswordByLink sets a password by a one-time link.
type PasswordByLink struct {
	Token    string `json:"token" minLength:"1" maxLength:"100" doc:"The end of the link"`
	Password string `json:"password" maxLength:"800" doc:"12 to 200 characters"`
}

// Link is a one-time address for a browser.
type Link struct {
	URL       string    `json:"url" doc:"Shown this once"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it is no longer good"`
}

// Account is who somebody is.
type Account struct {
	ID            string    `json:"id" doc:"Its id, which never changes"`
	Name          string    `json:"name" example:"ann"`
	Email         string    `json:"email,omitempty" doc:"Where to reach them"`
	Admin         bool      `json:"admin" doc:"Whether they manage the platform"`
	HasPassword   bool      `json:"has_password" doc:"Whether they can log in with one"`
	TOTP          bool      `json:"totp" doc:"Whether two factors are on"`
	RecoveryCodes int       `json:"recovery_codes" doc:"How many are left"`
	CreatedAt     time.Time `json:"created_at" doc:"When it was made"`
}

// User is somebody, as an admin of the platform sees them.
type User struct {
	Account
	Disabled bool `json:"disabled" doc:"Whether they are refused"`
}

// NewUser is somebody to let in.
type NewUser struct {
	Name  string `json:"name" minLength:"1" maxLength:"40" example:"bob"`
	Email string `json:"email,omitempty" maxLength:"254" example:"bob@example.com"`
	Admin bool   `json:"admin,omitempty" doc:"Whether they manage the platform"`
}

// CreatedUser is somebody who was let in, and how they get a password.
type CreatedUser struct {
	User         User `json:"user"`
	PasswordLink Link `json:"password_link"`
}

// UserChange is what to change of somebody; what is left out stays.
type UserChange struct {
	Email     *string `json:"email,omitempty" maxLength:"254" doc:"Empty removes it"`
	Admin     *bool   `json:"admin,omitempty" doc:"Whether they manage the platform"`
	Disabled  *bool   `json:"disabled,omitempty" doc:"Logs them out everywhere, and refuses their keys and tokens"`
	ResetTOTP bool    `json:"reset_totp,omitempty" doc:"Turns two factors off, for who lost the second"`
}

// AccountChange is what to change of your account; what is left out stays.
type AccountChange struct {
	Email *string `json:"email,omitempty" maxLength:"254" doc:"Empty removes it"`
}

// PasswordChange sets a new password.
type PasswordChange struct {
	Current string `json:"current" maxLength:"800" doc:"The one that it replaces"`
	New     string `json:"new" maxLength:"800" doc:"12 to 200 characters"`
}

// PendingTOTP is a second factor that was not confirmed yet.
type PendingTOTP struct {
	Secret string `json:"secret" doc:"For an authenticator that cannot scan; shown this once"`
	URL    string `json:"url" doc:"The same as otpauth:// address"`
}

// TOTPCode is what an authenticator shows.
type TOTPCode struct {
	Code string `json:"code" minLength:"6" maxLength:"40" example:"123456"`
}

// RecoveryCodes stand in for the authenticator, each once.
type RecoveryCodes struct {
	Codes []string `json:"codes" doc:"Shown this once"`
}

// TOTPEnd turns two factors off.
type TOTPEnd struct {
	Password string `json:"password" maxLength:"800" doc:"Yours"`
	Code     string `json:"code" maxLength:"40" doc:"Of the authenticator, or a recovery code"`
}
