package github

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

func signIn(h *Host, app OAuthApp) *oauth2.Config {
	return &oauth2.Config{
		ClientID: app.ClientID, ClientSecret: app.ClientSecret, Scopes: []string{"repo"}, RedirectURL: "http://sky.test/callback",
		Endpoint: oauth2.Endpoint{AuthURL: h.URL + "/login/oauth/authorize", TokenURL: h.URL + "/login/oauth/access_token"},
	}
}

// approved follows an authorization and returns the callback's query.
func approved(t *testing.T, h *Host, address string) url.Values {
	t.Helper()
	to, err := h.follows(address, false)
	require.NoError(t, err)
	parsed, err := url.Parse(to)
	require.NoError(t, err)
	return parsed.Query()
}

func TestSignInWithPKCE(t *testing.T) {
	h, _ := shop(t)
	config := signIn(h, h.AddOAuthApp("http://sky.test/callback"))
	verifier := oauth2.GenerateVerifier()
	back := approved(t, h, config.AuthCodeURL("st4te", oauth2.S256ChallengeOption(verifier)))
	require.Equal(t, "st4te", back.Get("state"))
	given, err := config.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	require.Equal(t, "repo", given.Extra("scope"))
	user, response, err := api(t, h, given.AccessToken).Users.Get(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, "acme", user.GetLogin())
	require.Equal(t, "repo", response.Header.Get("X-OAuth-Scopes"))

	_, err = config.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	require.ErrorContains(t, err, "bad_verification_code")
}

func TestSignInRefusals(t *testing.T) {
	h, _ := shop(t)
	config := signIn(h, h.AddOAuthApp("http://sky.test/callback"))
	wrong := *config
	wrong.RedirectURL = "http://evil.test/callback"
	require.Equal(t, "redirect_uri_mismatch", approved(t, h, wrong.AuthCodeURL("s")).Get("error"))
	require.Equal(t, "access_denied", approved(t, h, config.AuthCodeURL("s")+"&deny=1").Get("error"))

	verifier := oauth2.GenerateVerifier()
	ask := func() string {
		return approved(t, h, config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier))).Get("code")
	}
	_, err := config.Exchange(t.Context(), ask(), oauth2.VerifierOption("another"))
	require.ErrorContains(t, err, "bad_verification_code")
	stranger := *config
	stranger.ClientSecret = "no"
	_, err = stranger.Exchange(t.Context(), ask(), oauth2.VerifierOption(verifier))
	require.ErrorContains(t, err, "incorrect_client_credentials")
	old := ask()
	h.Advance(11 * time.Minute)
	_, err = config.Exchange(t.Context(), old, oauth2.VerifierOption(verifier))
	require.ErrorContains(t, err, "bad_verification_code")
}

func TestCallbacksThatExtend(t *testing.T) {
	for _, c := range []struct {
		callback, asked string
		fits            bool
	}{
		{"https://sky.test/cb", "https://sky.test/cb", true},
		{"https://sky.test/cb", "https://sky.test/cb/more", true},
		{"https://sky.test/cb", "https://sky.test/cbx", false},
		{"https://sky.test/cb", "https://sky.test/cb/../x", false},
		{"https://sky.test/cb", "http://sky.test/cb", false},
		{"https://sky.test/cb", "https://sky.test.evil/cb", false},
		{"https://sky.test/cb", "https://sky.test@evil/cb", false},
		{"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb", true},
		{"https://sky.test/cb", "https://sky.test:8080/cb", false},
	} {
		require.Equal(t, c.fits, extends(c.callback, c.asked), c.asked)
	}
}

func TestRevokedGrantIsWorthless(t *testing.T) {
	h, _ := shop(t)
	app := h.AddOAuthApp("http://sky.test/callback")
	config := signIn(h, app)
	given, err := config.Exchange(t.Context(), approved(t, h, config.AuthCodeURL("s")).Get("code"))
	require.NoError(t, err)
	basic, err := gh.NewClient((&gh.BasicAuthTransport{Username: app.ClientID, Password: app.ClientSecret}).Client()).WithEnterpriseURLs(h.URL, h.URL)
	require.NoError(t, err)
	_, err = basic.Authorizations.DeleteGrant(t.Context(), app.ClientID, given.AccessToken)
	require.NoError(t, err)
	_, response, err := api(t, h, given.AccessToken).Users.Get(t.Context(), "")
	require.Error(t, err)
	require.Equal(t, http.StatusUnauthorized, response.StatusCode)
}
