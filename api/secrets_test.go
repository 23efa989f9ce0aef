package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

// TestSecretsStayWhereTheyBelong goes through all that has to do with secrets,
// right and wrong, and looks for them in the log, the audit trail and every other
// answer.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	s := newSite(t)
	link := s.setUp(t)
	cookie := s.browse(t)
	var said strings.Builder // all answers but those that are to show a secret
	with := func(method, path, body string, headers ...string) answer {
		got := s.ask(t, "", method, path, body, append([]string{"Cookie", cookie}, headers...)...)
		if got.StatusCode != http.StatusCreated {
			said.WriteString(got.text)
		}
		return got
	}
	decode := func(got answer, to any) {
		t.Helper()
		require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
		require.NoError(t, json.Unmarshal([]byte(got.text), to))
	}
	token, pending, recovery, made := v1.CreatedToken{}, v1.PendingTOTP{}, v1.RecoveryCodes{}, v1.CreatedUser{}
	decode(with(http.MethodPost, tokensPath, `{"name": "ci", "scopes": ["read"]}`, "Idempotency-Key", "token"), &token)
	decode(with(http.MethodPost, "/api/paas/account/totp", ""), &pending)
	now, err := totp.GenerateCode(pending.Secret, time.Now())
	require.NoError(t, err)
	with(http.MethodPost, "/api/paas/account/totp/confirm", `{"code": "`+pending.Secret+`"}`)
	decode(with(http.MethodPost, "/api/paas/account/totp/confirm", `{"code": "`+now+`"}`), &recovery)
	decode(with(http.MethodPost, "/api/admin/paas/users", `{"name": "bob"}`, "Idempotency-Key", "bob"), &made)
	require.Len(t, recovery.Codes, 10)
	const typed = "typed-by-mistake-canary"
	for _, request := range [][3]string{
		{"POST", loginPath, `{"login": "ann", "password": "` + typed + `"}`}, {"POST", loginPath, `{"login": "` + typed + `", "password": "x"}`},
		{"POST", loginPath, `{"login": "ann", "password": "` + goodPassword + `", "code": "` + typed + `"}`},
		{"POST", loginPath, `{"login": "ann", "password": ["` + typed + `"]}`},
		{"PUT", "/api/paas/account/password", `{"current": "` + typed + `", "new": "` + typed + `"}`},
		{"PUT", "/api/paas/account/password", `{"current": "` + goodPassword + `", "new": "ann` + typed[:5] + `"}`},
		{"DELETE", "/api/paas/account/totp", `{"password": "` + goodPassword + `", "code": "` + typed + `"}`},
		{"POST", "/api/paas/setup", `{"token": "` + typed + `", "email": "a@b.c", "password": "` + typed + `"}`},
		{"GET", "/setup/" + typed, ""}, {"GET", tokensPath, ""}, {"GET", loginPath, ""}, {"GET", "/api/paas/account", ""},
		{"GET", "/api/admin/paas/users", ""}, {"GET", "/api/admin/paas/users/ann", ""}, {"GET", "/api/admin/paas/events", ""},
		{"GET", "/api/paas/whoami?token=" + token.Text, ""}, {"DELETE", tokensPath + "/" + token.Text, ""},
		{"DELETE", loginPath + "/" + url.PathEscape(cookie), ""},
	} {
		with(request[0], request[1], request[2])
	}
	events, err := s.platform.Store.Events(t.Context(), store.EventFilter{}, models.Everything())
	require.NoError(t, err)
	trail, err := json.Marshal(events.Items)
	require.NoError(t, err)
	for name, secret := range map[string]string{
		"password": goodPassword, "token": token.Text, "TOTP secret": pending.Secret, "recovery code": recovery.Codes[0],
		"cookie": strings.SplitN(cookie, "=", 2)[1], "setup link": tokenOf(link), "password link": tokenOf(made.PasswordLink.URL),
		"first token": s.admin, "typed by mistake": typed,
	} {
		require.NotContains(t, s.logged.String(), secret, "%s in the log", name)
		require.NotContains(t, string(trail), secret, "%s in the audit trail", name)
		require.NotContains(t, said.String(), secret, "%s in an answer", name)
	}
	ann, err := s.platform.Store.UserByLogin(t.Context(), "ann")
	require.NoError(t, err)
	for key, secret := range map[string]string{"token": token.Text, "bob": tokenOf(made.PasswordLink.URL)} {
		row, err := s.platform.Store.IdempotencyKey(t.Context(), ann.ID, key)
		require.NoError(t, err)
		require.NotEmpty(t, row.Answer)
		require.NotContains(t, string(row.Answer), secret)
	}
}

// TestLostUpdates: a change that was made for another state of things is refused.
func TestLostUpdates(t *testing.T) {
	s := newSite(t)
	s.setUp(t)
	const path = "/api/admin/paas/users/bob"
	require.Equal(t, http.StatusCreated, s.ask(t, s.admin, http.MethodPost, "/api/admin/paas/users", `{"name": "bob"}`).StatusCode)
	for _, path := range []string{path, "/api/paas/account"} {
		seen := s.ask(t, s.admin, http.MethodGet, path, "").Header.Get("ETag")
		require.NotEmpty(t, seen)
		email := `{"email": "` + models.NewID().String() + `@example.com"}`
		first := s.ask(t, s.admin, http.MethodPatch, path, email, "If-Match", seen)
		require.Equal(t, http.StatusOK, first.StatusCode, first.text)
		require.NotEqual(t, seen, first.Header.Get("ETag"))
		second := s.ask(t, s.admin, http.MethodPatch, path, `{"email": ""}`, "If-Match", seen)
		require.Equal(t, http.StatusPreconditionFailed, second.StatusCode)
		require.Equal(t, http.StatusOK, s.ask(t, s.admin, http.MethodPatch, path, `{"email": ""}`, "If-Match", first.Header.Get("ETag")).StatusCode)
	}
	require.Equal(t, http.StatusConflict, s.ask(t, s.admin, http.MethodDelete, path, "").StatusCode, "their organisation has no other owner")
	require.Equal(t, http.StatusConflict, s.ask(t, s.admin, http.MethodPatch, "/api/admin/paas/users/ann", `{"admin": false}`).StatusCode)
	require.Contains(t, s.ask(t, s.admin, http.MethodGet, "/api/admin/paas/users?admin=true&search=AN", "").text, `"name":"ann"`)
}

// TestTheClientLogsIn is the command line's way in.
func TestTheClientLogsIn(t *testing.T) {
	s := newSite(t)
	s.setUp(t)
	anybody := &v1.Client{URL: s.URL, HTTP: s.Server.Client()}
	_, err := anybody.Login(t.Context(), v1.Login{Login: "ann", Password: "wrong"})
	require.ErrorContains(t, err, "is wrong")
	session, err := anybody.Login(t.Context(), v1.Login{Login: "ann", Password: goodPassword})
	require.NoError(t, err)
	who, err := session.Whoami(t.Context())
	require.NoError(t, err)
	require.Equal(t, "session", who.Via)
	pending, err := session.BeginTOTP(t.Context())
	require.NoError(t, err)
	now, err := totp.GenerateCode(pending.Secret, time.Now())
	require.NoError(t, err)
	_, err = session.ConfirmTOTP(t.Context(), now)
	require.NoError(t, err)
	_, err = anybody.Login(t.Context(), v1.Login{Login: "ann", Password: goodPassword})
	problem := &v1.Problem{}
	require.ErrorAs(t, err, &problem)
	require.Equal(t, "code", problem.Field)
	sessions, err := session.Sessions(t.Context())
	require.NoError(t, err)
	require.Len(t, sessions, 1)
	require.NoError(t, session.EndSession(t.Context(), "current"))
	_, err = session.Whoami(t.Context())
	require.Error(t, err)
}
