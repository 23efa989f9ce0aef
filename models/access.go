package models

import (
	"slices"
	"strings"
)

// Role is what a member may do in an Organisation. docs/roles.md lists it.
type Role string

// The roles, the mightiest first.
const (
	RoleOwner     Role = "owner"
	RoleAdmin     Role = "admin"
	RoleDeveloper Role = "developer"
	RoleViewer    Role = "viewer"
	RoleBilling   Role = "billing"
)

// Roles lists all roles, the mightiest first.
func Roles() []Role { return []Role{RoleOwner, RoleAdmin, RoleDeveloper, RoleViewer, RoleBilling} }

// CheckRole says why role is none, or returns nil.
func CheckRole(role Role) error {
	if slices.Contains(Roles(), role) {
		return nil
	}
	return Errorf(Invalid, "there is no role %q", role).WithField("role").
		WithRemedy("use owner, admin, developer, viewer or billing")
}

// Scope limits what an API token may do, whatever its owner may.
type Scope string

// The scopes. Each includes those before it, but for billing, which stands
// beside them and is included in admin only.
const (
	ScopeRead    Scope = "read"
	ScopeDeploy  Scope = "deploy"
	ScopeWrite   Scope = "write"
	ScopeBilling Scope = "billing"
	ScopeAdmin   Scope = "admin"
)

// Scopes are the scopes of one token. Nobody's are empty: they allow nothing.
type Scopes []Scope

// AllScopes is what a session and an SSH key have: the scopes never limit them.
func AllScopes() Scopes { return Scopes{ScopeAdmin} }

// CheckScopes says why a token cannot have scopes, or returns nil.
func CheckScopes(scopes Scopes) error {
	for _, scope := range scopes {
		if !slices.Contains([]Scope{ScopeRead, ScopeDeploy, ScopeWrite, ScopeBilling, ScopeAdmin}, scope) {
			return Errorf(Invalid, "there is no scope %q", scope).WithField("scopes").
				WithRemedy("use read, deploy, write, billing or admin")
		}
	}
	if len(scopes) == 0 {
		return Errorf(Invalid, "a token needs a scope").WithField("scopes").WithRemedy("use read, deploy, write, billing or admin")
	}
	return nil
}

// Allow reports whether the scopes include wanted.
func (s Scopes) Allow(wanted Scope) bool {
	return slices.ContainsFunc(s, func(held Scope) bool { return includes(held, wanted) })
}

// Within reports whether other allows everything that s does.
func (s Scopes) Within(other Scopes) bool {
	return !slices.ContainsFunc(s, func(held Scope) bool { return !other.Allow(held) })
}

func includes(held, wanted Scope) bool {
	ladder := []Scope{ScopeRead, ScopeDeploy, ScopeWrite}
	switch held {
	case wanted, ScopeAdmin:
		return true
	case ScopeBilling:
		return wanted == ScopeRead
	default:
		return slices.Index(ladder, wanted) >= 0 && slices.Index(ladder, wanted) <= slices.Index(ladder, held)
	}
}

// Action is something that a Role allows or does not.
type Action string

// The actions within an Organisation.
const (
	AppRead      Action = "app:read"      // see apps, builds, releases, logs, names of variables
	AppDeploy    Action = "app:deploy"    // push, roll back, scale, start, stop, restart
	AppExec      Action = "app:exec"      // run commands in instances and one-offs
	AppCreate    Action = "app:create"    // make apps
	AppConfigure Action = "app:configure" // settings, variables, domains, plan
	AppReveal    Action = "app:reveal"    // see the values of variables
	AppDestroy   Action = "app:destroy"

	OrgRead       Action = "org:read"    // see the organisation and its activity
	OrgManage     Action = "org:manage"  // rename it
	OrgDestroy    Action = "org:destroy" // remove it
	MemberRead    Action = "member:read"
	MemberManage  Action = "member:manage"
	BillingRead   Action = "billing:read"
	BillingManage Action = "billing:manage"
)

// The actions outside Organisations.
const (
	// AccountRead and AccountManage concern the actor's own account.
	AccountRead   Action = "account:read"
	AccountManage Action = "account:manage"
	// PlatformManage is the admins' of the platform.
	PlatformManage Action = "platform:manage"
)

type grant struct {
	action Action
	scope  Scope
	roles  []Role
}

var (
	everybody   = Roles()
	technicians = []Role{RoleOwner, RoleAdmin, RoleDeveloper, RoleViewer}
	makers      = []Role{RoleOwner, RoleAdmin, RoleDeveloper}
	leaders     = []Role{RoleOwner, RoleAdmin}
	payers      = []Role{RoleOwner, RoleAdmin, RoleBilling}
)

// grants is the whole of who may do what: what is not in it is denied.
var grants = []grant{
	{AppRead, ScopeRead, technicians},
	{AppDeploy, ScopeDeploy, makers},
	{AppExec, ScopeDeploy, makers},
	{AppCreate, ScopeWrite, makers},
	{AppConfigure, ScopeWrite, makers},
	{AppReveal, ScopeWrite, makers},
	{AppDestroy, ScopeWrite, leaders},
	{OrgRead, ScopeRead, everybody},
	{OrgManage, ScopeWrite, leaders},
	{OrgDestroy, ScopeWrite, []Role{RoleOwner}},
	{MemberRead, ScopeRead, everybody},
	{MemberManage, ScopeWrite, leaders},
	{BillingRead, ScopeBilling, payers},
	{BillingManage, ScopeBilling, []Role{RoleOwner, RoleBilling}},
	{AccountRead, ScopeRead, nil},
	{AccountManage, ScopeWrite, nil},
	{PlatformManage, ScopeAdmin, nil},
}

func grantOf(action Action) grant {
	for _, known := range grants {
		if known.action == action {
			return known
		}
	}
	return grant{action: action, scope: ScopeAdmin}
}

// Actions lists every action, in the order of docs/roles.md.
func Actions() []Action {
	actions := make([]Action, 0, len(grants))
	for _, known := range grants {
		actions = append(actions, known.action)
	}
	return actions
}

// Scope returns the scope that a token needs for the action.
func (a Action) Scope() Scope { return grantOf(a).scope }

// May reports whether the role allows the action.
func (r Role) May(action Action) bool { return slices.Contains(grantOf(action).roles, r) }

// Above reports whether r is mightier than other: nobody grants a role above
// their own.
func (r Role) Above(other Role) bool {
	return slices.Index(Roles(), r) < slices.Index(Roles(), other)
}

// Actor is who asks: a user, and the key, token or session that proved it. The
// zero Actor is nobody and may do nothing.
type Actor struct {
	UserID ID
	Name   string
	Admin  bool
	// Via names the proof, for the audit trail: "key SHA256:…" or "token …".
	Via string
	// Scopes limit what the proof is good for.
	Scopes Scopes
	// OrganisationID limits a token to one Organisation.
	OrganisationID *ID
	// TokenID is the API token, if it was one.
	TokenID *ID
	// SessionID is the browser session, if it was one.
	SessionID *ID
	// Address is where the request came from.
	Address string
}

// CheckScope refuses an action that the actor's token is not good for.
func (a Actor) CheckScope(action Action) error {
	if a.Scopes.Allow(action.Scope()) {
		return nil
	}
	return Errorf(Forbidden, "this token lacks the scope %q", action.Scope()).
		WithRemedy("use a token that has it: sky tokens create --scope %s", action.Scope())
}

// Text lists the scopes for people.
func (s Scopes) Text() string {
	words := make([]string, len(s))
	for i, scope := range s {
		words[i] = string(scope)
	}
	return strings.Join(words, " ")
}
