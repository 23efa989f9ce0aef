package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// company is an organisation with an app and a member of each role.
type company struct {
	*site
	tokens   map[models.Role]string
	members  map[models.Role]models.User
	stranger string
	row      models.Organisation
}

// own is what a path of this company's names; other is what is not there.
var (
	own = map[string]string{
		"organisation": "acme", "app": "shop", "number": "1", "release": "v1", "name": "laptop", "user": "the-viewer", "invitation": models.NewID().String(),
		"month": "2026-11", "host": "shop.example.com", "plan": "basic", "runtime": "node:22", "node": "n1", "id": models.NewID().String(),
		"session": models.NewID().String(), "token": "laptop", "delivery": models.NewID().String(), "owner": "acme", "repository": "shop", "instance": "run.1",
	}
	other = map[string]string{"organisation": "nope", "app": "nope"}
)

func newCompany(t *testing.T) *company {
	t.Helper()
	return newCompanyOn(t, newSite(t))
}

func newCompanyOn(t *testing.T, s *site) *company {
	t.Helper()
	c := &company{site: s, tokens: map[models.Role]string{}, members: map[models.Role]models.User{}}
	_, err := c.client.CreateOrganisation(t.Context(), v1.NewOrganisation{Name: "acme"})
	require.NoError(t, err)
	c.row, err = c.platform.Store.OrganisationByName(t.Context(), "acme")
	require.NoError(t, err)
	_, err = c.client.CreateApp(t.Context(), v1.NewApp{Name: "shop", Organisation: "acme"})
	require.NoError(t, err)
	for _, role := range models.Roles() {
		c.tokens[role] = c.user(t, "the-"+string(role))
		user, err := c.platform.Store.UserByLogin(t.Context(), "the-"+string(role))
		require.NoError(t, err)
		c.members[role] = user
		require.NoError(t, c.platform.Store.CreateMembership(t.Context(), &models.Membership{
			ID: models.NewID(), OrganisationID: c.row.ID, UserID: user.ID, Role: role,
		}))
	}
	c.stranger = c.user(t, "stranger")
	return c
}

// token makes an API token for a member.
func (c *company) token(t *testing.T, user models.ID, scopes models.Scopes, organisation *models.ID) string {
	t.Helper()
	encoding := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	id := models.NewID()
	body := encoding.EncodeToString(id[:])
	text := "sky_pat_" + body + encoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
	hash := sha256.Sum256([]byte(text))
	require.NoError(t, c.platform.Store.CreateToken(t.Context(), &models.Token{
		ID: id, UserID: user, Name: "t " + id.String(), Hash: hash[:], Scopes: scopes, OrganisationID: organisation, CreatedAt: time.Now().UTC(),
	}))
	return text
}

// try asks a route the way a harmless client would: what would destroy is not
// confirmed, and what has a body has the smallest one.
func (c *company) try(t *testing.T, token string, r route, values map[string]string) answer {
	t.Helper()
	path := r.fill(values)
	for name, value := range own {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	require.NotContains(t, path, "{", "%s: no value for a parameter", r.id)
	if r.streams() {
		return c.peek(t, token, path)
	}
	return c.ask(t, token, r.method, path, r.body(t), "Idempotency-Key", models.NewID().String())
}

// peek asks for a stream and leaves once it has begun.
func (c *company) peek(t *testing.T, token, path string) answer {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := c.Server.Client().Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	if response.StatusCode == http.StatusOK {
		return answer{response, ""}
	}
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response, string(text)}
}

// denied reports whether an answer says no to who asks, rather than to what.
func denied(t *testing.T, got answer) bool {
	t.Helper()
	switch got.StatusCode {
	case http.StatusUnauthorized:
		return true
	case http.StatusForbidden:
		return got.problem(t).Field == ""
	case http.StatusNotFound:
		field := got.problem(t).Field
		return field == "app" || field == "organisation"
	default:
		return false
	}
}

// oneself are operations on members that everybody may do to themselves, and
// account operations that ask for more than a token, such as the password.
func unusual(r route) bool {
	return strings.HasPrefix(r.path, "/api/paas/account") || strings.HasPrefix(r.path, "/api/paas/sessions")
}

func aboutOrganisation(r route) bool {
	return strings.Contains(r.path, "{app}") || strings.Contains(r.path, "/api/paas/organisations/{organisation}")
}

// TestEveryRouteForEveryRole asks every operation of the document as every role:
// what docs/roles.md promises is what happens, neither more nor less.
func TestEveryRouteForEveryRole(t *testing.T) {
	for _, role := range models.Roles() {
		t.Run(string(role), func(t *testing.T) {
			c := newCompany(t)
			for _, r := range c.routes(t) {
				if unusual(r) || leaves(r, role) {
					continue
				}
				may := role.May(r.action) || strings.HasPrefix(string(r.action), "account:") ||
					(!aboutOrganisation(r) && r.action != models.PlatformManage)
				got := c.try(t, c.tokens[role], r, nil)
				require.Less(t, got.StatusCode, http.StatusInternalServerError, "%s: %s", r.id, got.text)
				require.Equal(t, !may, denied(t, got), "%s as %s: %d %s", r.id, role, got.StatusCode, got.text)
			}
		})
	}
}

// leaves reports whether the route would remove the member who asks.
func leaves(r route, role models.Role) bool {
	return r.id == "remove-member" && "the-"+string(role) == own["user"]
}

// TestStrangersFindNothing: to who is no member, an organisation and its apps
// answer like ones that do not exist, word for word.
func TestStrangersFindNothing(t *testing.T) {
	c := newCompany(t)
	for _, r := range c.routes(t) {
		if r.action == models.PlatformManage {
			got := c.try(t, c.stranger, r, nil)
			require.Equal(t, http.StatusForbidden, got.StatusCode, "%s: %s", r.id, got.text)
			continue
		}
		if !aboutOrganisation(r) {
			continue
		}
		foreign := c.try(t, c.stranger, r, nil)
		none := c.try(t, c.stranger, r, other)
		require.True(t, denied(t, foreign), "%s: %d %s", r.id, foreign.StatusCode, foreign.text)
		require.Equal(t, http.StatusNotFound, foreign.StatusCode, "%s: %s", r.id, foreign.text)
		same := strings.NewReplacer("shop", "nope", "acme", "nope").Replace(foreign.text)
		require.Equal(t, strings.NewReplacer("shop", "nope", "acme", "nope").Replace(none.text), same, r.id)
	}
}

// TestEveryRouteForEveryScope: a token does only what its scopes include,
// however mighty its owner.
func TestEveryRouteForEveryScope(t *testing.T) {
	for _, scope := range []models.Scope{models.ScopeRead, models.ScopeDeploy, models.ScopeWrite, models.ScopeBilling} {
		t.Run(string(scope), func(t *testing.T) {
			c := newCompany(t)
			owner := c.token(t, c.members[models.RoleOwner].ID, models.Scopes{scope}, nil)
			for _, r := range c.routes(t) {
				if unusual(r) || r.action == models.PlatformManage {
					continue
				}
				may := models.Scopes{scope}.Allow(r.action.Scope())
				got := c.try(t, owner, r, nil)
				require.Equal(t, !may, denied(t, got), "%s with %s: %d %s", r.id, scope, got.StatusCode, got.text)
				if !may {
					require.Equal(t, http.StatusForbidden, got.StatusCode, "%s: %s", r.id, got.text)
				}
			}
		})
	}
}

// TestTokensOfOneOrganisation: a token that is limited to one organisation finds
// no other, even where its owner rules both.
func TestTokensOfOneOrganisation(t *testing.T) {
	c := newCompany(t)
	home, err := c.platform.Store.OrganisationByName(t.Context(), "the-owner")
	require.NoError(t, err)
	limited := c.token(t, c.members[models.RoleOwner].ID, models.AllScopes(), &home.ID)
	for _, r := range c.routes(t) {
		if aboutOrganisation(r) {
			got := c.try(t, limited, r, nil)
			require.Equal(t, http.StatusNotFound, got.StatusCode, "%s: %s", r.id, got.text)
			require.True(t, denied(t, got), r.id)
		}
	}
	apps := c.ask(t, limited, http.MethodGet, "/api/paas/applications", "")
	require.JSONEq(t, `{"items": []}`, apps.text)
}

// TestNobodyRisesAboveTheirOwnRole: an admin makes no owner, and unmakes none.
func TestNobodyRisesAboveTheirOwnRole(t *testing.T) {
	c := newCompany(t)
	admin := c.tokens[models.RoleAdmin]
	const members = "/api/paas/organisations/acme/members/"
	for name, asked := range map[string][3]string{
		"make an owner":       {"PATCH", members + "the-viewer", `{"role": "owner"}`},
		"become an owner":     {"PATCH", members + "the-admin", `{"role": "owner"}`},
		"unmake an owner":     {"PATCH", members + "the-owner", `{"role": "viewer"}`},
		"remove an owner":     {"DELETE", members + "the-owner", ""},
		"invite an owner":     {"POST", "/api/paas/organisations/acme/invitations", `{"email": "x@example.com", "role": "owner"}`},
		"destroy":             {"DELETE", "/api/paas/organisations/acme?confirm=acme", ""},
		"an admin's own apps": {"GET", "/api/admin/paas/organisations", ""},
	} {
		got := c.ask(t, admin, asked[0], asked[1], asked[2])
		require.Equal(t, http.StatusForbidden, got.StatusCode, "%s: %s", name, got.text)
	}
	for role, want := range map[string]int{"developer": http.StatusOK, "admin": http.StatusOK} {
		got := c.ask(t, admin, "PATCH", members+"the-viewer", fmt.Sprintf(`{"role": %q}`, role))
		require.Equal(t, want, got.StatusCode, got.text)
	}
	// The last owner stays. The platform's admin, who made it, is one too.
	require.Equal(t, http.StatusNoContent, c.ask(t, c.tokens[models.RoleOwner], "DELETE", members+"the-admin", "").StatusCode)
	require.Equal(t, http.StatusNoContent, c.ask(t, c.admin, "DELETE", members+"the-owner", "").StatusCode)
	last := c.ask(t, c.admin, "PATCH", "/api/paas/organisations/acme/members/admin", `{"role": "viewer"}`)
	require.Contains(t, []int{http.StatusConflict, http.StatusNotFound}, last.StatusCode, last.text)
}
