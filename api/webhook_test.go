package api_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
	"github.com/stretchr/testify/require"
)

// remotes has a branch everywhere, of which nothing can be fetched.
type remotes struct{ repositories }

func (remotes) RemoteHead(context.Context, platform.Remote, string) (string, error) {
	return strings.Repeat("1", 40), nil
}

// hooked is a site whose app shop is linked with acme/shop by a webhook of its own,
// and whose app second is linked with it through a GitHub App.
type hooked struct {
	*site
	host       *github.Host
	repository int64
	link       string
	secret     string
	app        github.App
	tokens     []string // at GitHub
	answers    strings.Builder
}

const appHookSecret = "planted-secret-of-the-apps-webhook"

func newHooked(t *testing.T) *hooked {
	t.Helper()
	h := &hooked{site: newSite(t), host: github.Start(t)}
	h.platform.Repositories, h.platform.Settings.PublicURL = remotes{}, h.URL
	h.host.AddUser("acme")
	require.NoError(t, h.host.AddRepository("acme/shop", true))
	_, err := h.host.Push(github.Push{Repo: "acme/shop", Branch: "main", Commits: []github.Commit{{Message: "first", Files: map[string]string{"a": "b"}}}})
	require.NoError(t, err)
	oauth := h.host.AddOAuthApp(h.URL + platform.CallbackPath)
	h.set(t, map[string]any{"url": h.host.URL, "client_id": oauth.ClientID, "client_secret": oauth.ClientSecret})
	h.connect(t)
	h.linkApp(t, "shop")
	hook := h.host.Hooks("acme/shop")[0]
	h.secret, h.link = hook.Secret, hook.URL[strings.LastIndex(hook.URL, "/")+1:]
	h.app, err = h.host.AddApp(github.AppOptions{Slug: "sky", Owner: "acme", Callback: h.URL + platform.CallbackPath})
	require.NoError(t, err)
	_, err = h.host.Install(h.app.ID, "acme")
	require.NoError(t, err)
	h.set(t, map[string]any{
		"url": h.host.URL, "client_id": h.app.ClientID, "client_secret": h.app.ClientSecret, "app_id": h.app.ID,
		"private_key": string(h.app.PrivateKey), "webhook_secret": appHookSecret,
	})
	h.connect(t)
	h.tokens = h.host.Tokens("acme")
	require.Len(t, h.tokens, 2, "of the OAuth app, and of the GitHub App")
	h.linkApp(t, "second")
	id, err := models.ParseID(h.link)
	require.NoError(t, err)
	link, err := h.platform.Store.GitHubLink(t.Context(), id)
	require.NoError(t, err)
	h.repository = link.RepositoryID
	return h
}

// call asks as the admin, and keeps the answer.
func (h *hooked) call(t *testing.T, method, path string, body any) answer {
	t.Helper()
	text := ""
	if body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(t, err)
		text = string(encoded)
	}
	got := h.ask(t, h.admin, method, path, text)
	h.answers.WriteString(got.text)
	return got
}

func (h *hooked) set(t *testing.T, host map[string]any) {
	t.Helper()
	got := h.call(t, http.MethodPut, "/api/admin/paas/github", host)
	require.Equal(t, http.StatusOK, got.StatusCode, got.text)
}

func (h *hooked) connect(t *testing.T) {
	t.Helper()
	begun := v1.GitHubAuthorization{}
	got := h.call(t, http.MethodPost, "/api/paas/github/authorize", object{})
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
	require.NoError(t, json.Unmarshal([]byte(got.text), &begun))
	back, err := http.Get(begun.URL) //nolint:noctx // a test's
	require.NoError(t, err)
	page, err := io.ReadAll(back.Body)
	require.NoError(t, err)
	require.NoError(t, back.Body.Close())
	code := regexp.MustCompile(`\b[A-Z2-7]{4}-[A-Z2-7]{4}\b`).FindString(string(page))
	require.NotEmpty(t, code, string(page))
	got = h.call(t, http.MethodPost, "/api/paas/github/connection", object{"authorization": begun.ID, "code": code})
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
}

func (h *hooked) linkApp(t *testing.T, name string) {
	t.Helper()
	got := h.call(t, http.MethodPost, "/api/paas/applications", object{"name": name})
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
	got = h.call(t, http.MethodPost, "/api/paas/applications/"+name+"/github", object{"repository": "acme/shop"})
	require.Equal(t, http.StatusCreated, got.StatusCode, got.text)
}

func hookSignature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// deliver posts a delivery; an empty link is the GitHub App's webhook.
func (h *hooked) deliver(t *testing.T, link, secret, event, id string, body []byte) answer {
	t.Helper()
	path := platform.WebhookPath
	if link != "" {
		path += "/" + link
	}
	return h.ask(t, "", http.MethodPost, path, string(body), "X-GitHub-Event", event, "X-GitHub-Delivery", id, "X-Hub-Signature-256", hookSignature(secret, body))
}

// TestEveryPublishedPayload is answered, whatever it is about, and kept.
func TestEveryPublishedPayload(t *testing.T) {
	examples := github.WebhookExamples(t)
	require.Greater(t, len(examples), 300)
	h := newHooked(t)
	ours, theirs := 0, 0
	for i, example := range examples {
		body := []byte(example.Payload)
		linked := i%2 == 0
		if linked {
			body = h.ofOurs(t, body)
		}
		got := h.deliver(t, "", appHookSecret, example.Event, fmt.Sprint("app-", i), body)
		require.Equal(t, http.StatusAccepted, got.StatusCode, "%s: %s", example.Event, got.text)
		got = h.deliver(t, h.link, h.secret, example.Event, fmt.Sprint("link-", i), body)
		switch got.StatusCode {
		case http.StatusAccepted:
			ours++
		case http.StatusNotFound:
			require.False(t, linked, "%s: %s", example.Event, got.text)
			theirs++
		default:
			require.Failf(t, "not answered as it should be", "%s: %d %s", example.Event, got.StatusCode, got.text)
		}
	}
	require.Equal(t, len(examples), ours+theirs)
	require.Positive(t, theirs)
	rows := h.ledger(t)
	for i := range examples {
		_, kept := rows[fmt.Sprint("app-", i)]
		require.True(t, kept, "%s is in the ledger", examples[i].Event)
	}
	count := 0
	for id, row := range rows {
		if strings.HasPrefix(id, "link-") {
			count++
			require.NotEmpty(t, row.Outcome, row.Event)
		}
	}
	require.Equal(t, ours, count)
}

// ofOurs is a payload about the linked repository, where it is about one.
func (h *hooked) ofOurs(t *testing.T, payload []byte) []byte {
	t.Helper()
	whole := object{}
	require.NoError(t, json.Unmarshal(payload, &whole))
	if repository, is := whole["repository"].(map[string]any); is {
		repository["id"] = h.repository
	}
	changed, err := json.Marshal(whole)
	require.NoError(t, err)
	return changed
}

// ledger is all that was delivered, by its id, once everything is decided on.
func (h *hooked) ledger(t *testing.T) map[string]models.WebhookDelivery {
	t.Helper()
	rows := map[string]models.WebhookDelivery{}
	require.Eventually(t, func() bool {
		open := false
		for ask := (models.PageRequest{Limit: 200}); ; {
			page, err := h.platform.Store.Deliveries(t.Context(), store.DeliveryFilter{}, ask)
			require.NoError(t, err)
			for _, row := range page.Items {
				rows[row.Delivery] = row
				open = open || (row.State == models.DeliveryReceived && row.Outcome != models.OutcomeWaiting)
			}
			if ask.Cursor = page.Next; ask.Cursor == "" {
				return !open
			}
		}
	}, time.Minute, 10*time.Millisecond)
	return rows
}

// TestDeliveriesAreBounded: what is too large, cut off or unsigned is refused, and
// leaves nothing but a count.
func TestDeliveriesAreBounded(t *testing.T) {
	h := newHooked(t)
	large := []byte(`{"x": "` + strings.Repeat("a", 26<<20) + `"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, h.deliver(t, h.link, h.secret, "push", "large", large).StatusCode)
	require.Equal(t, http.StatusNotFound, h.deliver(t, models.NewID().String(), h.secret, "push", "large", large).StatusCode)
	fits := []byte(`{"x": "` + strings.Repeat("a", 24<<20) + `"}`)
	require.Equal(t, http.StatusAccepted, h.deliver(t, h.link, h.secret, "star", "fits", fits).StatusCode)
	body := []byte(`{"repository": {"id": 1}}`)
	require.Equal(t, http.StatusUnauthorized, h.deliver(t, h.link, "guess", "push", "forged", body).StatusCode)
	require.Equal(t, http.StatusUnauthorized, h.deliver(t, "", h.secret, "push", "forged", body).StatusCode)
	require.Equal(t, http.StatusUnauthorized, h.deliver(t, h.link, "", "push", "forged", body).StatusCode)
	require.Equal(t, http.StatusUnprocessableEntity, h.deliver(t, h.link, h.secret, "", "nameless", body).StatusCode)
	require.Equal(t, http.StatusUnprocessableEntity, h.deliver(t, h.link, h.secret, "push", strings.Repeat("x", 101), body).StatusCode)
	require.Equal(t, http.StatusUnprocessableEntity, h.deliver(t, h.link, h.secret, "push", "no-json", []byte("x")).StatusCode)
	require.Less(t, h.cutOff(t), 500)
	for id, row := range h.ledger(t) {
		require.True(t, id == "fits" || row.Outcome == models.OutcomeBadSignature || row.Event == "ping" || row.Event == "catch-up", "%s is kept", id)
	}
}

// cutOff sends half a delivery, and returns the answer's status.
func (h *hooked) cutOff(t *testing.T) int {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "POST %s/%s HTTP/1.1\r\nHost: sky\r\nX-GitHub-Event: push\r\nX-GitHub-Delivery: half\r\nContent-Length: 100\r\n\r\n{\"half\":", platform.WebhookPath, h.link)
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0 // it was hung up on
	}
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// TestSecretsOfGitHubStayWithin looks for each of them in every answer, in the log
// and in the audit trail.
func TestSecretsOfGitHubStayWithin(t *testing.T) {
	h := newHooked(t)
	for _, path := range []string{
		"/api/admin/paas/github", "/api/paas/github/connection", "/api/paas/github/repositories", "/api/paas/github/repositories/acme/shop/branches",
		"/api/paas/applications/shop/github", "/api/paas/applications/second/github", "/api/paas/applications/shop/github/deliveries", "/api/paas/applications/shop/previews", "/api/paas/applications/shop",
		"/api/admin/paas/events", "/api/paas/account",
	} {
		got := h.call(t, http.MethodGet, path, nil)
		require.Equal(t, http.StatusOK, got.StatusCode, "%s: %s", path, got.text)
	}
	h.deliver(t, h.link, h.secret, "push", "x", []byte(`{"ref": "refs/heads/main", "after": "`+strings.Repeat("2", 40)+`"}`))
	h.call(t, http.MethodPost, "/api/paas/applications/shop/github/deploy", object{"ref": "main"})
	for _, token := range h.tokens {
		h.host.RevokeToken(token)
	}
	for _, path := range []string{"/api/paas/github/repositories", "/api/paas/github/connection", "/api/paas/applications/shop/github"} {
		h.call(t, http.MethodGet, path, nil)
	}
	h.call(t, http.MethodPost, "/api/paas/applications/shop/github/repair", nil)
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(elsewhere.Close)
	h.call(t, http.MethodPut, "/api/admin/paas/github", object{"url": elsewhere.URL, "client_id": "x", "client_secret": "planted-client-secret"})
	h.call(t, http.MethodPut, "/api/admin/paas/github", object{
		"url": h.host.URL, "client_id": "x", "client_secret": "planted-client-secret", "app_id": 1, "private_key": "planted-private-key", "webhook_secret": "y",
	})
	h.call(t, http.MethodPut, "/api/admin/paas/github", object{"url": "http://user:planted-client-secret@127.0.0.1", "client_id": "x", "client_secret": "planted-client-secret"})
	h.call(t, http.MethodGet, "/api/admin/paas/events", nil)
	h.ledger(t)
	h.platform.Stop()
	events, err := h.platform.Store.Events(t.Context(), store.EventFilter{}, models.Everything())
	require.NoError(t, err)
	trail, err := json.Marshal(events.Items)
	require.NoError(t, err)
	key := strings.Split(string(h.app.PrivateKey), "\n")[1]
	for name, secret := range map[string]string{
		"former token": h.tokens[0], "token": h.tokens[1], "link's secret": h.secret, "app's webhook secret": appHookSecret, "app's client secret": h.app.ClientSecret, "private key": key,
		"refused client secret": "planted-client-secret", "refused private key": "planted-private-key",
	} {
		for place, text := range map[string]string{"an answer": h.answers.String(), "the log": h.logged.String(), "the audit trail": string(trail)} {
			if name == "refused client secret" && place == "an answer" {
				continue // an address that is refused is shown to who typed it
			}
			require.NotContains(t, text, secret, "%s in %s", name, place)
			require.NotContains(t, text, url.QueryEscape(secret), "%s in %s", name, place)
		}
	}
}
