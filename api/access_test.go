package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

const (
	goodPassword = "seven green bottles"
	loginPath    = "/api/paas/sessions"
)

// setUp sets the first admin up as ann by their link, and returns it.
func (s *site) setUp(t *testing.T) string {
	t.Helper()
	link, err := s.platform.SetupLink(t.Context())
	require.NoError(t, err)
	body := `{"token": "` + tokenOf(link.URL) + `", "name": "ann", "email": "Ann@Example.com", "password": "` + goodPassword + `"}`
	got := s.ask(t, "", http.MethodPost, "/api/paas/setup", body)
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
	return link.URL
}

func tokenOf(link string) string { return link[strings.LastIndexByte(link, '/')+1:] }

// browse logs ann in and returns the cookie, as a browser sends it.
func (s *site) browse(t *testing.T) string {
	t.Helper()
	got := s.ask(t, "", http.MethodPost, loginPath, `{"login": "ann", "password": "`+goodPassword+`"}`)
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
	require.Len(t, got.Cookies(), 1)
	return got.Cookies()[0].Name + "=" + got.Cookies()[0].Value
}

func TestCookies(t *testing.T) {
	s := newSite(t)
	s.setUp(t)
	for public, name := range map[string]string{"https://sky.test": "__Host-sky_session", "http://sky.test": "sky_session"} {
		s.platform.Settings.PublicURL = public
		got := s.ask(t, "", http.MethodPost, loginPath, `{"login": "ann@example.com", "password": "`+goodPassword+`"}`)
		require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
		cookie := got.Cookies()[0]
		require.Equal(t, name, cookie.Name)
		require.Equal(t, strings.HasPrefix(public, "https"), cookie.Secure)
		require.True(t, cookie.HttpOnly)
		require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
		require.Equal(t, "/", cookie.Path)
		require.Empty(t, cookie.Domain)
		require.NotContains(t, got.text, cookie.Value)
		mine := s.ask(t, "", http.MethodGet, loginPath, "", "Cookie", cookie.Name+"="+cookie.Value)
		require.Equal(t, http.StatusOK, mine.StatusCode, mine.text)
		require.Contains(t, mine.text, `"current":true`)
		out := s.ask(t, "", http.MethodDelete, loginPath+"/current", "", "Cookie", cookie.Name+"="+cookie.Value)
		require.Equal(t, http.StatusNoContent, out.StatusCode, out.text)
		require.Negative(t, out.Cookies()[0].MaxAge)
		require.Empty(t, out.Cookies()[0].Value)
		require.Equal(t, http.StatusUnauthorized, s.ask(t, "", http.MethodGet, loginPath, "", "Cookie", cookie.Name+"="+cookie.Value).StatusCode)
	}
}

// TestFixation: the cookie that came with a login ends by it.
func TestFixation(t *testing.T) {
	s := newSite(t)
	s.setUp(t)
	before := s.browse(t)
	got := s.ask(t, "", http.MethodPost, loginPath, `{"login": "ann", "password": "`+goodPassword+`"}`, "Cookie", before)
	require.Equal(t, http.StatusCreated, got.StatusCode)
	require.NotContains(t, before, got.Cookies()[0].Value)
	require.Equal(t, http.StatusUnauthorized, s.ask(t, "", http.MethodGet, loginPath, "", "Cookie", before).StatusCode)
	planted := s.ask(t, "", http.MethodPost, loginPath, `{"login": "ann", "password": "`+goodPassword+`"}`, "Cookie", "sky_session=planted")
	require.NotEqual(t, "planted", planted.Cookies()[0].Value)
}

// TestOtherSites: a browser's session acts only for pages of our own.
func TestOtherSites(t *testing.T) {
	s := newSite(t)
	s.setUp(t)
	cookie := s.browse(t)
	address, err := url.Parse(s.URL)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		headers []string
		status  int
	}{
		"no browser":              {nil, http.StatusCreated},
		"our own page":            {[]string{"Sec-Fetch-Site", "same-origin", "Origin", s.URL}, http.StatusCreated},
		"our own, older browser":  {[]string{"Origin", "http://" + address.Host}, http.StatusCreated},
		"typed in":                {[]string{"Sec-Fetch-Site", "none"}, http.StatusCreated},
		"another site":            {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test"}, http.StatusForbidden},
		"a sibling":               {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://app.sky.test"}, http.StatusForbidden},
		"another, older browser":  {[]string{"Origin", "https://evil.test"}, http.StatusForbidden},
		"a sandbox":               {[]string{"Origin", "null"}, http.StatusForbidden},
		"another, with our Host":  {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "http://" + address.Host}, http.StatusForbidden},
		"another, told otherwise": {[]string{"Sec-Fetch-Site", "cross-site", "X-Forwarded-Host", "evil.test", "Origin", "https://evil.test"}, http.StatusForbidden},
	} {
		app := "a" + strings.ToLower(models.NewID().String()[28:])
		got := s.ask(t, "", http.MethodPost, "/api/paas/applications", `{"name": "`+app+`"}`, append(test.headers, "Cookie", cookie)...)
		require.Equal(t, test.status, got.StatusCode, "%s: %s", name, got.text)
		login := s.ask(t, "", http.MethodPost, loginPath, `{"login": "ann", "password": "`+goodPassword+`"}`, test.headers...)
		require.Equal(t, test.status, login.StatusCode, "%s: nobody is logged in by another site", name)
	}
	// A token is never sent along by a browser, so that it needs no such check.
	got := s.ask(t, s.admin, http.MethodPost, "/api/paas/applications", `{"name": "free"}`, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.test")
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
}

// TestTokensInAddresses is abuse case G4.
func TestTokensInAddresses(t *testing.T) {
	s := newSite(t)
	for _, query := range []string{"?token=" + s.admin, "?access_token=x", "?q=" + s.admin, "?Authorization=x&token="} {
		for _, token := range []string{"", s.admin} {
			got := s.ask(t, token, http.MethodGet, "/api/paas/whoami"+query, "")
			require.Equal(t, http.StatusUnauthorized, got.StatusCode, query)
			require.NotContains(t, got.text, s.admin)
		}
	}
	require.NotContains(t, s.logged.String(), s.admin)
}

func TestTokensOverTheAPI(t *testing.T) {
	s := newSite(t)
	got := s.ask(t, s.admin, http.MethodPost, "/api/paas/tokens", `{"name": "ci", "scopes": ["read"]}`)
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
	made := v1.CreatedToken{}
	require.NoError(t, json.Unmarshal([]byte(got.text), &made))
	reader := made.Text
	require.Equal(t, http.StatusOK, s.ask(t, reader, http.MethodGet, "/api/paas/applications", "").StatusCode)
	denied := s.ask(t, reader, http.MethodPost, "/api/paas/applications", `{"name": "shop"}`)
	require.Equal(t, http.StatusForbidden, denied.StatusCode, denied.text)
	require.Equal(t, http.StatusForbidden, s.ask(t, reader, http.MethodPost, "/api/paas/tokens", `{"name": "x", "scopes": ["read"]}`).StatusCode)
	listed := s.ask(t, reader, http.MethodGet, "/api/paas/tokens", "")
	require.Contains(t, listed.text, `"current":true`)
	require.NotContains(t, listed.text, reader)
	for body, field := range map[string]string{
		`{"name": "x", "scopes": ["root"]}`: "scopes[0]", `{"name": "x", "scopes": []}`: "scopes", `{"name": "", "scopes": ["read"]}`: "name",
		`{"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}`: "expires_at",
		`{"name": "x", "scopes": ["read"], "expires_at": "tomorrow"}`:             "expires_at",
	} {
		bad := s.ask(t, s.admin, http.MethodPost, "/api/paas/tokens", body)
		require.Equal(t, http.StatusUnprocessableEntity, bad.StatusCode, bad.text)
		require.Equal(t, field, bad.problem(t).Field)
	}
	require.Equal(t, http.StatusNoContent, s.ask(t, reader, http.MethodDelete, "/api/paas/tokens/current", "").StatusCode)
	require.Equal(t, http.StatusUnauthorized, s.ask(t, reader, http.MethodGet, "/api/paas/applications", "").StatusCode)
	require.Equal(t, http.StatusNotFound, s.ask(t, s.admin, http.MethodDelete, "/api/paas/tokens/"+made.Token.ID, "").StatusCode)
}

// wire is a response without a network, so that time stands still while it is
// written. closed is closed when the handler returns.
type wire struct {
	mu     sync.Mutex
	text   bytes.Buffer
	header http.Header
	closed chan struct{}
}

func (w *wire) Header() http.Header              { return w.header }
func (w *wire) WriteHeader(int)                  {}
func (w *wire) Flush()                           {}
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) Write(content []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(content)
}

func (w *wire) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// TestStreamsEndWithAccess is abuse case D8: what was taken away ends streams
// that run, within five seconds.
func TestStreamsEndWithAccess(t *testing.T) {
	for name, test := range map[string]struct {
		take func(t *testing.T, s *site, reader models.Actor)
		code string
	}{
		"token revoked": {func(t *testing.T, s *site, reader models.Actor) {
			require.NoError(t, s.platform.Store.DeleteToken(t.Context(), reader.UserID, *reader.TokenID))
		}, "unauthorized"},
		"user disabled": {func(t *testing.T, s *site, reader models.Actor) {
			_, err := s.platform.Store.UpdateUser(t.Context(), reader.UserID, func(row *models.User) error {
				row.Disabled = true
				return nil
			})
			require.NoError(t, err)
		}, "unauthorized"},
		"member removed": {func(t *testing.T, s *site, reader models.Actor) {
			app, err := s.platform.Store.AppByName(t.Context(), "shop")
			require.NoError(t, err)
			membership, err := s.platform.Store.Membership(t.Context(), app.OrganisationID, reader.UserID)
			require.NoError(t, err)
			require.NoError(t, s.platform.Store.DeleteMembership(t.Context(), membership))
		}, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, handler := newParts(t)
				s.log(t)
				token := s.user(t, "reader")
				reader, err := s.platform.ActorByToken(t.Context(), token)
				require.NoError(t, err)
				app, err := s.platform.Store.AppByName(t.Context(), "shop")
				require.NoError(t, err)
				require.NoError(t, s.platform.Store.CreateMembership(t.Context(), &models.Membership{
					ID: models.NewID(), OrganisationID: app.OrganisationID, UserID: reader.UserID, Role: models.RoleViewer,
				}))
				out := &wire{header: http.Header{}, closed: make(chan struct{})}
				request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/paas/applications/shop/builds/1/logs?follow=true", nil)
				request.Header.Set("Authorization", "Bearer "+token)
				go func() {
					defer close(out.closed)
					handler.ServeHTTP(out, request)
				}()
				<-time.After(time.Minute) // it goes on for as long as its reader may
				require.Contains(t, out.String(), "line 2")
				require.NotContains(t, out.String(), test.code)
				test.take(t, s, reader)
				taken := time.Now()
				<-out.closed
				require.LessOrEqual(t, time.Since(taken), 5*time.Second)
				require.Contains(t, out.String(), `"code":"`+test.code+`"`)
			})
		})
	}
}

func (s *site) form(t *testing.T, method, path string, form url.Values, headers ...string) answer {
	t.Helper()
	return s.ask(t, "", method, path, form.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// TestFirstSetup is abuse case G7.
func TestFirstSetup(t *testing.T) {
	s := newSite(t)
	s.platform.Settings.PublicURL = "https://sky.test"
	body := func(token string) string {
		return `{"token": "` + token + `", "email": "ann@example.com", "password": "` + goodPassword + `"}`
	}
	require.Equal(t, http.StatusForbidden, s.ask(t, "", http.MethodPost, "/api/paas/setup", body("guess")).StatusCode)
	former, err := s.platform.SetupLink(t.Context())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(former.URL, "https://sky.test/setup/"))
	require.NotContains(t, s.logged.String(), tokenOf(former.URL))
	link := s.setUp(t)
	require.Equal(t, http.StatusForbidden, s.ask(t, "", http.MethodPost, "/api/paas/setup", body(tokenOf(former.URL))).StatusCode)
	require.Equal(t, http.StatusGone, s.ask(t, "", http.MethodPost, "/api/paas/setup", body(tokenOf(link))).StatusCode)
	none, err := s.platform.SetupLink(t.Context())
	require.NoError(t, err)
	require.Nil(t, none)
	require.Contains(t, s.ask(t, s.admin, http.MethodGet, "/api/paas/whoami", "").text, `"name":"ann"`)
	_, err = s.platform.Store.OrganisationByName(t.Context(), "ann")
	require.NoError(t, err, "their organisation goes with them")
}

func TestSetupPage(t *testing.T) {
	s := newSite(t)
	link, err := s.platform.SetupLink(t.Context())
	require.NoError(t, err)
	path := "/setup/" + tokenOf(link.URL)
	for range 2 { // looking spends nothing
		got := s.ask(t, "", http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.Contains(t, got.Header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Equal(t, "no-store", got.Header.Get("Cache-Control"))
		require.NotContains(t, got.text, "<script")
		require.NotContains(t, got.text, tokenOf(link.URL))
	}
	fields := url.Values{"name": {"ann"}, "email": {"ann@example.com"}, "password": {goodPassword}, "again": {goodPassword}}
	with := func(name, value string) url.Values {
		changed := url.Values{}
		for key, values := range fields {
			changed[key] = values
		}
		changed.Set(name, value)
		return changed
	}
	for name, test := range map[string]struct {
		form   url.Values
		status int
		text   string
	}{
		"not the same":  {with("again", "other"), 422, "not the same"},
		"weak":          {func() url.Values { f := with("password", "short"); f.Set("again", "short"); return f }(), 422, "12 to 200"},
		"no address":    {with("email", `"><script>alert(1)</script>`), 422, "not an e-mail address"},
		"bad name":      {with("name", "<b>"), 422, "is not allowed"},
		"nothing given": {url.Values{}, 422, "not an e-mail address"},
	} {
		got := s.form(t, http.MethodPost, path, test.form)
		require.Equal(t, test.status, got.StatusCode, "%s: %s", name, got.text)
		require.Contains(t, got.text, test.text, name)
		require.NotContains(t, got.text, "<script>alert")
		require.NotContains(t, got.text, goodPassword)
	}
	require.Equal(t, 403, s.form(t, http.MethodPost, path, fields, "Sec-Fetch-Site", "cross-site").StatusCode)
	require.Equal(t, 403, s.form(t, http.MethodPost, "/setup/guess", fields).StatusCode)
	require.Equal(t, 403, s.form(t, http.MethodPost, "/password/"+tokenOf(link.URL), fields).StatusCode, "for another purpose")
	done := s.form(t, http.MethodPost, path, fields)
	require.Equal(t, http.StatusOK, done.StatusCode, done.text)
	require.Contains(t, done.text, "--user ann")
	require.Equal(t, http.StatusGone, s.form(t, http.MethodPost, path, fields).StatusCode)
	require.Equal(t, http.StatusGone, s.ask(t, "", http.MethodGet, path, "").StatusCode)
	require.NotContains(t, s.logged.String(), goodPassword)
	s.browse(t)
}

func TestPasswordPage(t *testing.T) {
	s := newSite(t)
	s.setUp(t)
	cookie := s.browse(t)
	got := s.ask(t, s.admin, http.MethodPost, "/api/admin/paas/users/ann/password-link", "")
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
	link := v1.Link{}
	require.NoError(t, json.Unmarshal([]byte(got.text), &link))
	path := "/password/" + tokenOf(link.URL)
	require.Contains(t, s.ask(t, "", http.MethodGet, path, "").text, "Set your password")
	const fresh = "nine red balloons"
	done := s.form(t, http.MethodPost, path, url.Values{"password": {fresh}, "again": {fresh}})
	require.Equal(t, http.StatusOK, done.StatusCode, done.text)
	require.Equal(t, http.StatusUnauthorized, s.ask(t, "", http.MethodGet, loginPath, "", "Cookie", cookie).StatusCode)
	require.Equal(t, http.StatusGone, s.form(t, http.MethodPost, path, url.Values{"password": {fresh}, "again": {fresh}}).StatusCode)
	require.Equal(t, http.StatusUnauthorized, s.ask(t, "", http.MethodPost, loginPath, `{"login": "ann", "password": "`+goodPassword+`"}`).StatusCode)
	require.Equal(t, http.StatusCreated, s.ask(t, "", http.MethodPost, loginPath, `{"login": "ann", "password": "`+fresh+`"}`).StatusCode)
	stranger := s.user(t, "stranger")
	require.Equal(t, http.StatusForbidden, s.ask(t, stranger, http.MethodPost, "/api/admin/paas/users/ann/password-link", "").StatusCode)
	require.Equal(t, http.StatusNotFound, s.ask(t, s.admin, http.MethodPost, "/api/admin/paas/users/nobody/password-link", "").StatusCode)
}

// TestLinksAreUsedOnce: of many who use one link at once, one can.
func TestLinksAreUsedOnce(t *testing.T) {
	s := newSite(t)
	link, err := s.platform.SetupLink(t.Context())
	require.NoError(t, err)
	var group sync.WaitGroup
	statuses := make(chan int, 8)
	for range cap(statuses) {
		group.Go(func() {
			body := `{"token": "` + tokenOf(link.URL) + `", "name": "ann", "email": "ann@example.com", "password": "` + goodPassword + `"}`
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/paas/setup", strings.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			got, err := s.Server.Client().Do(request)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, got.Body)
			_ = got.Body.Close()
			statuses <- got.StatusCode
		})
	}
	group.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	require.Equal(t, map[int]int{http.StatusCreated: 1, http.StatusGone: 7}, counts)
}
