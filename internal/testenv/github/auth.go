package github

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// hourlyLimit is how many requests a token has in an hour.
const hourlyLimit = 5000

// token is a credential that the Host gave out.
type token struct {
	value        string
	user         *account      // of user tokens
	client       *client       // that it was given to; nil is personal
	installation *installation // of installation tokens
	scopes       []string
	repos        []*repository // an installation token's, if not all of its
	expires      time.Time     // zero is never
	used         int
	revoked      bool
}

// AddToken makes a personal access token of a user.
func (h *Host) AddToken(login string, scopes ...string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.issue("ghp_", token{user: h.addAccount(login), scopes: scopes}).value
}

// RevokeToken makes a token worthless, as a user does in the settings.
func (h *Host) RevokeToken(value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revoke(h.tokens[value])
	h.broadcast()
}

// Tokens returns the tokens of a user that are in force.
func (h *Host) Tokens(login string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []string
	for value, t := range h.tokens {
		if t.user != nil && strings.EqualFold(t.user.Login, login) && !t.expired(h.now()) {
			found = append(found, value)
		}
	}
	slices.Sort(found)
	return found
}

// issue gives out a token. mu is held.
func (h *Host) issue(prefix string, t token) *token {
	t.value = prefix + strings.ReplaceAll(uuid.NewString()+uuid.NewString(), "-", "")[:36]
	h.tokens[t.value] = &t
	return &t
}

// revoke ends a token, also for those who would refresh it. mu is held.
func (h *Host) revoke(t *token) {
	if t != nil {
		t.revoked = true
		delete(h.tokens, t.value)
	}
}

func (t *token) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// bearer is the credential of a request, in any of the ways GitHub takes it.
func bearer(r *http.Request) string {
	if _, password, basic := r.BasicAuth(); basic {
		return password
	}
	kind, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "bearer") || strings.EqualFold(kind, "token") {
		return strings.TrimSpace(value)
	}
	return ""
}

// valid finds a token in force. mu is held.
func (h *Host) valid(value string) *token {
	if t := h.tokens[value]; t != nil && !t.expired(h.now()) {
		return t
	}
	return nil
}

// admit finds who asks and of what, and refuses what need does not allow.
func (h *Host) admit(c *call, n need) *answer {
	var refused *answer
	switch n.by {
	case byApp:
		return h.admitApp(c)
	case byClient:
		return h.admitClient(c)
	default:
		refused = h.admitToken(c, n)
	}
	if refused != nil || n.role == roleNone {
		return refused
	}
	return h.admitRepository(c, n)
}

func (h *Host) admitToken(c *call, n need) *answer {
	value := bearer(c.Request)
	if value == "" {
		if n.by == byAnyone {
			return nil
		}
		return refuse(fail(http.StatusUnauthorized, "Requires authentication"))
	}
	if c.token = h.valid(value); c.token == nil {
		return refuse(fail(http.StatusUnauthorized, "Bad credentials"))
	}
	c.token.used++
	if i := c.token.installation; i != nil && i.suspended != nil {
		return refuse(fail(http.StatusForbidden, "This installation has been suspended"))
	}
	return nil
}

// admitRepository hides what the token may not see, as GitHub does, and refuses
// what it may not do.
func (h *Host) admitRepository(c *call, n need) *answer {
	repo, moved := h.find(c)
	if repo == nil || h.sees(c.token, repo) < rolePull {
		return refuse(notFound())
	}
	if moved {
		rest := strings.TrimPrefix(c.URL.Path, "/api/v3/repos/"+c.PathValue("owner")+"/"+c.PathValue("repo"))
		to := fmt.Sprintf("%s/repositories/%d%s", h.api(), repo.ID, rest)
		redirect := fail(http.StatusMovedPermanently, "Moved Permanently")
		redirect.body.(object)["url"], redirect.header = to, http.Header{"Location": {to}}
		return &redirect
	}
	c.repo = repo
	if c.token != nil && c.token.installation != nil {
		if repo.private || n.role > rolePull {
			if !c.token.installation.grants(n.permission) {
				return refuse(fail(http.StatusForbidden, "Resource not accessible by integration"))
			}
		}
		return nil
	}
	if h.sees(c.token, repo) < n.role || !c.token.scoped(n.scopes) {
		return refuse(notFound())
	}
	return nil
}

// scoped reports whether the token has one of the scopes. Those of apps have
// none: what their installation may do counts.
func (t *token) scoped(scopes []string) bool {
	if len(scopes) == 0 || t == nil || t.client != nil && t.client.app != nil {
		return true
	}
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(t.scopes, s) })
}

// sees returns the token's role on a repository; nil is nobody's. mu is held.
func (h *Host) sees(t *token, r *repository) int {
	public := roleNone
	if !r.private {
		public = rolePull
	}
	switch {
	case t == nil:
		return public
	case t.installation != nil:
		if t.installation.has(r) && (t.repos == nil || slices.Contains(t.repos, r)) {
			return roleAdmin // what it may do is its permissions' affair
		}
		return public
	case t.client != nil && t.client.app != nil && h.installed(t.client.app, r) == nil:
		return public
	case r.private && (t.client == nil || t.client.app == nil) && !slices.Contains(t.scopes, "repo"):
		return public
	}
	return max(public, r.role(t.user))
}

func refuse(a answer) *answer { return &a }

// describe sets the headers that go with every answer of the API.
func (h *Host) describe(header http.Header, c *call) {
	used := 0
	if c.token != nil {
		used = c.token.used
		if c.token.user != nil {
			header.Set("X-OAuth-Scopes", strings.Join(c.token.scopes, ", "))
			header.Set("X-Accepted-OAuth-Scopes", "")
		}
	}
	header.Set("X-GitHub-Media-Type", "github.v3; format=json")
	header.Set("X-GitHub-Enterprise-Version", "3.19.0")
	header.Set("X-GitHub-Request-Id", uuid.NewString())
	header.Set("X-RateLimit-Limit", strconv.Itoa(hourlyLimit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(max(0, hourlyLimit-used)))
	header.Set("X-RateLimit-Used", strconv.Itoa(used))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(h.now().Add(time.Hour).Unix(), 10))
	header.Set("X-RateLimit-Resource", "core")
}

// getRateLimit answers GET /rate_limit, which is not counted.
func (h *Host) getRateLimit(c *call) answer {
	used := 0
	if c.token != nil {
		c.token.used--
		used = c.token.used
	}
	reset := h.now().Add(time.Hour).Unix()
	core := object{"limit": hourlyLimit, "used": used, "remaining": max(0, hourlyLimit-used), "reset": reset}
	if limit := h.onRequest.limit; limit != nil && !limit.Secondary && limit.Requests != 0 {
		core = object{"limit": hourlyLimit, "used": hourlyLimit, "remaining": 0, "reset": h.now().Add(limit.RetryAfter).Unix()}
	}
	search := object{"limit": 30, "used": 0, "remaining": 30, "reset": reset}
	return ok(object{"resources": object{"core": core, "search": search}, "rate": core})
}
