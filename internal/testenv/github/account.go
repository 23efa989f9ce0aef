package github

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// account is a user or an organization.
type account struct {
	ID           int64
	Login        string
	organization bool
	owners       []string // of an organization
	created      time.Time
}

// AddUser makes a user. The first one sits before the browser; see Browse.
func (h *Host) AddUser(login string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	user := h.addAccount(login)
	if h.browser == nil {
		h.browser = user
	}
}

// AddOrganization makes an organization whose owners administer all it has.
func (h *Host) AddOrganization(login string, owners ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	made := h.addAccount(login)
	made.organization, made.owners = true, owners
}

// addAccount returns the account of that name, made if need be. mu is held.
func (h *Host) addAccount(login string) *account {
	if known := h.account(login); known != nil {
		return known
	}
	made := &account{ID: h.id(), Login: login, created: h.now()}
	h.accounts = append(h.accounts, made)
	return made
}

// account finds by name, whatever its case. mu is held.
func (h *Host) account(login string) *account {
	for _, a := range h.accounts {
		if strings.EqualFold(a.Login, login) {
			return a
		}
	}
	return nil
}

func (a *account) kind() string {
	switch {
	case a.organization:
		return "Organization"
	case strings.HasSuffix(a.Login, "[bot]"):
		return "Bot"
	}
	return "User"
}

func (a *account) email() string { return fmt.Sprintf("%d+%s@users.noreply.github.com", a.ID, a.Login) }

// owns reports whether login administers everything of the account.
func (a *account) owns(login string) bool {
	return strings.EqualFold(a.Login, login) || slices.ContainsFunc(a.owners, func(o string) bool { return strings.EqualFold(o, login) })
}

// nodeID is the opaque form of an id.
func nodeID(kind string, id int64) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%03d:%s%d", len(kind), kind, id))
}

// userShape is an account where it is part of something else.
func (h *Host) userShape(a *account) object {
	if a == nil {
		return nil
	}
	url := h.api() + "/users/" + a.Login
	return object{
		"login": a.Login, "id": a.ID, "node_id": nodeID(a.kind(), a.ID), "type": a.kind(), "site_admin": false,
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d", h.URL, a.ID), "gravatar_id": "", "url": url, "html_url": h.URL + "/" + a.Login,
		"followers_url": url + "/followers", "following_url": url + "/following{/other_user}",
		"gists_url": url + "/gists{/gist_id}", "starred_url": url + "/starred{/owner}{/repo}",
		"subscriptions_url": url + "/subscriptions", "organizations_url": url + "/orgs", "repos_url": url + "/repos",
		"events_url": url + "/events{/privacy}", "received_events_url": url + "/received_events",
	}
}

// organizationShape is an organization as payloads show it.
func (h *Host) organizationShape(a *account) object {
	url := h.api() + "/orgs/" + a.Login
	return object{
		"login": a.Login, "id": a.ID, "node_id": nodeID("Organization", a.ID), "url": url, "repos_url": url + "/repos",
		"events_url": url + "/events", "hooks_url": url + "/hooks", "issues_url": url + "/issues",
		"members_url": url + "/members{/member}", "public_members_url": url + "/public_members{/member}",
		"avatar_url": fmt.Sprintf("%s/avatars/u/%d", h.URL, a.ID), "description": nil,
	}
}

// getUser answers GET /user.
func (h *Host) getUser(c *call) answer {
	if c.token.user == nil {
		return fail(403, "Resource not accessible by integration")
	}
	a := c.token.user
	public, private := 0, 0
	for _, r := range h.repos {
		switch {
		case r.owner != a:
		case r.private:
			private++
		default:
			public++
		}
	}
	shape := h.userShape(a)
	shape.add(object{
		"name": a.Login, "company": nil, "blog": "", "location": nil, "email": a.email(), "hireable": nil, "bio": nil,
		"public_repos": public, "public_gists": 0, "followers": 0, "following": 0,
		"created_at": a.created, "updated_at": a.created, "private_gists": 0, "total_private_repos": private,
		"owned_private_repos": private, "disk_usage": 0, "collaborators": 0, "two_factor_authentication": true, "user_view_type": "private",
	})
	return ok(shape)
}
