package github

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	gh "github.com/google/go-github/v60/github"
	"github.com/skypanel/sky/models"
	"golang.org/x/oauth2"
)

// Host is a GitHub and what the operator registered there.
type Host struct {
	// URL is https://github.com or a GitHub Enterprise server's, without a slash at
	// its end.
	URL          string
	ClientID     string
	ClientSecret string
	// Number is the id of a GitHub App, and PrivateKey its key in PEM; 0 is none.
	Number     int64
	PrivateKey []byte
	// HTTP dials; nil is a client with the system's certificates.
	HTTP *http.Client
}

// Grant is what somebody, or an installation, lets Sky do.
type Grant struct {
	Token     string     `json:"token"`
	Refresh   string     `json:"refresh,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"` // nil is never
	Scopes    string     `json:"scopes,omitempty"`
}

const (
	publicURL = "https://github.com"
	// appTokenLife is how long a GitHub App's own token lives; GitHub takes at most
	// ten minutes, and clocks differ.
	appTokenLife = 5 * time.Minute
	clockSkew    = time.Minute
	// patience bounds one request.
	patience = 30 * time.Second
)

// client is how the host is dialled. It follows no redirect to elsewhere: the token
// would go along.
func (h Host) client() *http.Client {
	client := http.Client{Timeout: patience}
	if h.HTTP != nil {
		client = *h.HTTP
	}
	client.CheckRedirect = sameServer
	return &client
}

// maxRedirects is how many redirects are followed, such as of a repository that
// has another name.
const maxRedirects = 5

func sameServer(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	if len(before) > maxRedirects || next.URL.Host != first.Host || next.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// RepositoryURL returns where people see a repository.
func (h Host) RepositoryURL(repository string) string { return h.URL + "/" + repository }

// CloneURL returns where git fetches a repository from. It is made of the host's
// own address, whatever GitHub's answers say.
func (h Host) CloneURL(repository string) string { return h.RepositoryURL(repository) + ".git" }

// InstallURL returns where people install the GitHub App with this slug.
func (h Host) InstallURL(slug string) string {
	if h.URL == publicURL {
		return h.URL + "/apps/" + url.PathEscape(slug) + "/installations/new"
	}
	return h.URL + "/github-apps/" + url.PathEscape(slug) + "/installations/new"
}

func (h Host) oauth(redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: h.ClientID, ClientSecret: h.ClientSecret, RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{
			AuthURL: h.URL + "/login/oauth/authorize", TokenURL: h.URL + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
}

// NewVerifier makes a verifier for PKCE (RFC 7636, section 4.1).
func NewVerifier() string { return oauth2.GenerateVerifier() }

// AuthorizeURL returns where to send somebody's browser, by the authorisation
// code flow (RFC 6749, section 4.1) with PKCE (RFC 7636).
func (h Host) AuthorizeURL(redirect, state, verifier string, scopes []string) string {
	config := h.oauth(redirect)
	config.Scopes = scopes
	return config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}

// Exchange returns the grant for the code that a browser came back with.
func (h Host) Exchange(ctx context.Context, redirect, code, verifier string) (Grant, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, h.client())
	token, err := h.oauth(redirect).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Grant{}, oauthError(ctx, err)
	}
	return grantOf(token), nil
}

// Renew returns a fresh grant for one that ends.
func (h Host) Renew(ctx context.Context, refresh string) (Grant, error) {
	ctx = context.WithValue(ctx, oauth2.HTTPClient, h.client())
	token, err := h.oauth("").TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return Grant{}, oauthError(ctx, err)
	}
	return grantOf(token), nil
}

func grantOf(token *oauth2.Token) Grant {
	grant := Grant{Token: token.AccessToken, Refresh: token.RefreshToken}
	if !token.Expiry.IsZero() {
		until := token.Expiry.UTC()
		grant.ExpiresAt = &until
	}
	grant.Scopes, _ = token.Extra("scope").(string)
	return grant
}

// oauthError tells a refusal from a GitHub that does not answer.
func oauthError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode == "incorrect_client_credentials" {
		return models.Errorf(models.Forbidden, "GitHub does not know this Sky by its client id and secret").
			WithRemedy("an admin of the platform sets them anew: sky admin github set")
	}
	if errors.As(err, &refused) && refused.ErrorCode != "" {
		return models.Errorf(models.Unauthorized, "GitHub refuses: %s", strings.ReplaceAll(refused.ErrorCode, "_", " ")).
			WithRemedy("connect again")
	}
	return &models.Error{Code: models.Unavailable, Message: "GitHub does not answer", Cause: err}
}

// Revoke takes a token back, with all that its owner granted. One that GitHub does
// not know any more is revoked.
func (h Host) Revoke(ctx context.Context, token string) error {
	basic := &gh.BasicAuthTransport{Username: h.ClientID, Password: h.ClientSecret, Transport: h.client().Transport}
	client, err := h.rest(&http.Client{Transport: basic, Timeout: patience, CheckRedirect: sameServer})
	if err != nil {
		return err
	}
	_, err = client.Authorizations.DeleteGrant(ctx, h.ClientID, token)
	if err = wrong(ctx, "revoke the token", err); models.IsCode(err, models.NotFound) {
		return nil
	}
	return err
}

// As returns a client with a grant's token.
func (h Host) As(token string) (*Client, error) {
	client, err := h.rest(h.client())
	if err != nil {
		return nil, err
	}
	return &Client{client.WithAuthToken(token)}, nil
}

// Installation returns a grant for one repository of an installation of the GitHub
// App. It lives for an hour.
func (h Host) Installation(ctx context.Context, installation, repository int64) (Grant, error) {
	token, err := h.appToken()
	if err != nil {
		return Grant{}, err
	}
	client, err := h.As(token)
	if err != nil {
		return Grant{}, err
	}
	options := &gh.InstallationTokenOptions{RepositoryIDs: []int64{repository}}
	made, _, err := client.rest.Apps.CreateInstallationToken(ctx, installation, options)
	if err != nil {
		return Grant{}, wrong(ctx, "ask for the installation's token", err)
	}
	until := made.GetExpiresAt().UTC()
	return Grant{Token: made.GetToken(), ExpiresAt: &until}, nil
}

// appToken is the GitHub App itself, for as long as it takes to ask.
func (h Host) appToken() (string, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM(h.PrivateKey)
	if err != nil {
		return "", models.Errorf(models.Invalid, "that is no private key of a GitHub App").WithField("private_key").
			WithRemedy("pass the PEM file that GitHub gave you, with BEGIN RSA PRIVATE KEY in it")
	}
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": strconv.FormatInt(h.Number, 10), "iat": now.Add(-clockSkew).Unix(), "exp": now.Add(appTokenLife).Unix(),
	}).SignedString(key)
}

// InstallationOf returns the GitHub App's installation in a repository.
func (h Host) InstallationOf(ctx context.Context, repository string) (int64, error) {
	token, err := h.appToken()
	if err != nil {
		return 0, err
	}
	client, err := h.As(token)
	if err != nil {
		return 0, err
	}
	owner, repo := split(repository)
	found, _, err := client.rest.Apps.FindRepositoryInstallation(ctx, owner, repo)
	return found.GetID(), wrong(ctx, "look the installation up", err)
}

// CheckApp asks GitHub whether it knows the GitHub App, and returns its slug.
func (h Host) CheckApp(ctx context.Context) (string, error) {
	token, err := h.appToken()
	if err != nil {
		return "", err
	}
	client, err := h.As(token)
	if err != nil {
		return "", err
	}
	app, _, err := client.rest.Apps.Get(ctx, "")
	if err != nil {
		return "", wrong(ctx, "look the GitHub App up", err)
	}
	return app.GetSlug(), nil
}

// rest is go-github's client for the host's API.
func (h Host) rest(through *http.Client) (*gh.Client, error) {
	client := gh.NewClient(through)
	if h.URL == publicURL {
		return client, nil
	}
	client, err := client.WithEnterpriseURLs(h.URL, h.URL)
	if err != nil {
		return nil, models.Errorf(models.Invalid, "%q is not the address of a GitHub", h.URL).WithField("url")
	}
	return client, nil
}
