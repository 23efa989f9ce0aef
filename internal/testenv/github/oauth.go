package github

import (
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"
)

// client is an OAuth app, or the OAuth side of a GitHub App.
type client struct {
	id, secret, callback string
	app                  *app // nil is an OAuth app
}

// OAuthApp is what a registered OAuth app must know.
type OAuthApp struct{ ClientID, ClientSecret string }

// code is one authorization, which is good for one token.
type code struct {
	client    *client
	user      *account
	scopes    []string
	redirect  string
	challenge string
	expires   time.Time
}

// AddOAuthApp registers an OAuth app with its callback URL.
func (h *Host) AddOAuthApp(callback string) OAuthApp {
	h.mu.Lock()
	defer h.mu.Unlock()
	made := h.addClient("Ov23li", callback)
	return OAuthApp{ClientID: made.id, ClientSecret: made.secret}
}

func (h *Host) addClient(prefix, callback string) *client {
	random := strings.ReplaceAll(uuid.NewString()+uuid.NewString(), "-", "")
	made := &client{id: prefix + random[:14], secret: random[:40], callback: callback}
	h.clients = append(h.clients, made)
	return made
}

// Browse says who sits before the browser from now on and approves what it asks.
func (h *Host) Browse(login string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.browser, h.denies = h.addAccount(login), false
}

// Deny has the user before the browser refuse every authorization until Browse.
func (h *Host) Deny() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.denies = true
}

func (h *Host) client(id string) *client {
	for _, c := range h.clients {
		if c.id == id {
			return c
		}
	}
	return nil
}

// authorize answers the browser's request as the user who sits before it.
func (h *Host) authorize(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := r.URL.Query()
	client := h.client(asked.Get("client_id"))
	if client == nil || h.browser == nil {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	redirect := asked.Get("redirect_uri")
	if redirect == "" {
		redirect = client.callback
	}
	answer := url.Values{}
	if state := asked.Get("state"); state != "" {
		answer.Set("state", state)
	}
	switch {
	case !extends(client.callback, redirect):
		redirect = client.callback
		answer.Set("error", "redirect_uri_mismatch")
		answer.Set("error_description", "The redirect_uri MUST match the registered callback URL for this application.")
	case asked.Get("code_challenge") != "" && asked.Get("code_challenge_method") != "S256":
		answer.Set("error", "invalid_request")
		answer.Set("error_description", "The code_challenge_method must be S256.")
	case asked.Has("deny") || h.denies:
		answer.Set("error", "access_denied")
		answer.Set("error_description", "The user has denied your application access.")
	default:
		answer.Set("code", h.approve(client, redirect, asked))
	}
	http.Redirect(w, r, withQuery(redirect, answer), http.StatusFound)
}

func (h *Host) approve(client *client, redirect string, asked url.Values) string {
	value := strings.ReplaceAll(uuid.NewString(), "-", "")[:20]
	given := &code{
		client: client, user: h.browser, redirect: redirect, challenge: asked.Get("code_challenge"),
		expires: h.now().Add(10 * time.Minute),
	}
	if client.app == nil {
		given.scopes = strings.FieldsFunc(asked.Get("scope"), func(r rune) bool { return r == ' ' || r == ',' })
	}
	h.codes[value] = given
	return value
}

func withQuery(address string, more url.Values) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := parsed.Query()
	for name := range more {
		query.Set(name, more.Get(name))
	}
	parsed.RawQuery = query.Encode()
	return parsed.String()
}

// extends reports whether redirect is the registered callback or below it; the
// port of a loopback address may differ.
func extends(callback, redirect string) bool {
	registered, err1 := url.Parse(callback)
	asked, err2 := url.Parse(redirect)
	if err1 != nil || err2 != nil || asked.User != nil || registered.Scheme != asked.Scheme {
		return false
	}
	ip := net.ParseIP(registered.Hostname())
	loopback := ip != nil && ip.IsLoopback() && registered.Hostname() == asked.Hostname()
	if registered.Host != asked.Host && !loopback {
		return false
	}
	base, below := path.Clean("/"+registered.Path), path.Clean("/"+asked.Path)
	return below == base || strings.HasPrefix(below, strings.TrimSuffix(base, "/")+"/")
}

// admitClient checks the client's own credentials.
func (h *Host) admitClient(c *call) *answer {
	id, secret, _ := c.BasicAuth()
	known := h.client(id)
	if known == nil || known.secret != secret || id != c.PathValue("client") {
		return refuse(notFound())
	}
	return nil
}

// revoked finds the token that a client names in order to revoke it.
func (h *Host) revoked(c *call) (*token, *answer) {
	var body struct {
		Token string `json:"access_token"`
	}
	if refused := c.read(&body); refused != nil {
		return nil, refused
	}
	t := h.valid(body.Token)
	if t == nil || t.client == nil || t.client.id != c.PathValue("client") {
		return nil, refuse(invalid("OauthAccess", "access_token", "invalid", ""))
	}
	return t, nil
}

// deleteToken answers DELETE /applications/{client}/token.
func (h *Host) deleteToken(c *call) answer {
	t, refused := h.revoked(c)
	if refused != nil {
		return *refused
	}
	h.revoke(t)
	return gone()
}

// deleteGrant answers DELETE /applications/{client}/grant, which takes back all
// tokens of the user for the app.
func (h *Host) deleteGrant(c *call) answer {
	t, refused := h.revoked(c)
	if refused != nil {
		return *refused
	}
	for _, other := range h.tokens {
		if other.client == t.client && other.user == t.user {
			h.revoke(other)
		}
	}
	return gone()
}
