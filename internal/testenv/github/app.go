package github

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// AppOptions are how a GitHub App is registered.
type AppOptions struct {
	Slug        string
	Owner       string            // whose it is; made if need be
	Callback    string            // of its OAuth side
	WebhookURL  string            // empty is no webhook
	Secret      string            // of the webhook
	Permissions map[string]string // such as contents: read; nil is all that Sky could want
	Events      []string          // nil is push and pull_request
	Expiring    bool              // its users' tokens end after eight hours and can be refreshed
}

// App is what a registered GitHub App must know.
type App struct {
	ID                     int64
	Slug                   string
	ClientID, ClientSecret string
	PrivateKey             []byte // PEM
}

type app struct {
	App
	owner, bot  *account
	key         *rsa.PrivateKey
	hook        *hook
	permissions map[string]string
	events      []string
	expiring    bool
	created     time.Time
}

// AddApp registers a GitHub App.
func (h *Host) AddApp(o AppOptions) (App, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return App{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	oauth := h.addClient("Iv23li", o.Callback)
	made := &app{
		App:   App{ID: h.id(), Slug: o.Slug, ClientID: oauth.id, ClientSecret: oauth.secret},
		owner: h.addAccount(o.Owner), bot: h.addAccount(o.Slug + "[bot]"), key: key, created: h.now(),
		permissions: o.Permissions, events: o.Events, expiring: o.Expiring,
	}
	made.PrivateKey = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if made.permissions == nil {
		made.permissions = map[string]string{
			"metadata": "read", "contents": "read", "statuses": "write", "deployments": "write",
			"pull_requests": "write", "repository_hooks": "write",
		}
	}
	if made.events == nil {
		made.events = []string{"push", "pull_request"}
	}
	if o.WebhookURL != "" {
		events := append(slices.Clone(made.events), "installation", "installation_repositories", "github_app_authorization", "repository")
		made.hook = &hook{kind: "integration", target: made.ID, Hook: Hook{
			ID: h.id(), URL: o.WebhookURL, ContentType: "json", Secret: o.Secret, Active: true, Events: events,
		}}
	}
	oauth.app = made
	h.apps = append(h.apps, made)
	return made.App, nil
}

// admitApp checks the token that an app signs for itself.
func (h *Host) admitApp(c *call) *answer {
	claims := jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(bearer(c.Request), &claims, func(*jwt.Token) (any, error) {
		c.app = h.app(claims.Issuer)
		if c.app == nil {
			return nil, errors.New("no such app")
		}
		return &c.app.key.PublicKey, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithTimeFunc(func() time.Time { return h.now().Add(time.Second) }))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return refuse(fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"))
	case err != nil:
		return refuse(fail(http.StatusUnauthorized, "A JSON web token could not be decoded"))
	case claims.ExpiresAt.Sub(h.now()) > 10*time.Minute+2*time.Second:
		return refuse(fail(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future"))
	}
	return nil
}

// app finds by id or client id. mu is held.
func (h *Host) app(issuer string) *app {
	for _, a := range h.apps {
		if strconv.FormatInt(a.ID, 10) == issuer || a.ClientID == issuer {
			return a
		}
	}
	return nil
}

// getApp answers GET /app.
func (h *Host) getApp(c *call) answer {
	a, count := c.app, 0
	for _, i := range h.installs {
		if i.app == a {
			count++
		}
	}
	return ok(object{
		"id": a.ID, "slug": a.Slug, "client_id": a.ClientID, "node_id": nodeID("Integration", a.ID), "owner": h.userShape(a.owner), "name": a.Slug,
		"description": "", "external_url": h.URL + "/apps/" + a.Slug, "html_url": h.URL + "/apps/" + a.Slug,
		"created_at": a.created, "updated_at": a.created, "permissions": a.permissions, "events": a.events,
		"installations_count": count,
	})
}

// emitApp tells the app's webhook of its installation. mu is held.
func (h *Host) emitApp(i *installation, event, action string, more object) {
	if !i.app.hook.asks(event) {
		return
	}
	payload := object{"action": action, "installation": h.installationShape(i), "sender": h.userShape(i.account)}
	payload.add(more)
	h.deliver(i.app.hook, nil, event, payload)
}

// grants reports whether an installation has a permission such as contents:read;
// to write includes to read.
func (i *installation) grants(permission string) bool {
	name, level, _ := strings.Cut(permission, ":")
	has := i.app.permissions[name]
	return has == level || has == "write" && level == "read" || has == "admin"
}

// RevokeAuthorization takes back what a user authorized a GitHub App or OAuth app
// to do, as in the user's settings: all its tokens, and an app is told.
func (h *Host) RevokeAuthorization(login, clientID string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	user, client := h.account(login), h.client(clientID)
	if user == nil || client == nil {
		return fmt.Errorf("the stand-in has no user %s with an app %s", login, clientID)
	}
	for _, t := range h.tokens {
		if t.user == user && t.client == client {
			h.revoke(t)
		}
	}
	if client.app != nil && client.app.hook.asks("github_app_authorization") {
		h.deliver(client.app.hook, nil, "github_app_authorization", object{"action": "revoked", "sender": h.userShape(user)})
	}
	h.broadcast()
	return nil
}
