package github

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
)

// signed is the token that an app signs for itself.
func signed(t *testing.T, app App, life time.Duration) string {
	t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM(app.PrivateKey)
	require.NoError(t, err)
	value, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: strconv.FormatInt(app.ID, 10), IssuedAt: jwt.NewNumericDate(time.Now().Add(-time.Minute)), ExpiresAt: jwt.NewNumericDate(time.Now().Add(life)),
	}).SignedString(key)
	require.NoError(t, err)
	return value
}

func TestInstallationToken(t *testing.T) {
	h, _ := shop(t)
	to := newReceiver(t)
	require.NoError(t, h.AddRepository("acme/other", true))
	app, err := h.AddApp(AppOptions{Slug: "sky", Owner: "acme", WebhookURL: to.URL, Secret: "s3cret"})
	require.NoError(t, err)
	id, err := h.Install(app.ID, "acme", "acme/shop")
	require.NoError(t, err)
	given, _, err := api(t, h, signed(t, app, 5*time.Minute)).Apps.CreateInstallationToken(t.Context(), id, nil)
	require.NoError(t, err)
	client := api(t, h, given.GetToken())
	repos, _, err := client.Apps.ListRepos(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, repos.Repositories, 1)
	_, response, err := client.Repositories.Get(t.Context(), "acme", "other")
	refused(t, http.StatusNotFound, response, err)
	output, err := stock(t, "ls-remote", withToken(h, given.GetToken(), "/acme/shop.git"))
	require.NoError(t, err, output)

	push(t, h, "main", "told", map[string]string{"a": "a"})
	require.NoError(t, h.Quiet(deadline(t)))
	event := parsed[*gh.PushEvent](t, of("push", to.all())[0])
	require.Equal(t, id, event.Installation.GetID())
	require.Equal(t, "created", parsed[*gh.InstallationEvent](t, of("installation", to.all())[0]).GetAction())

	require.NoError(t, h.SuspendInstallation(id))
	_, response, err = client.Repositories.Get(t.Context(), "acme", "shop")
	refused(t, http.StatusForbidden, response, err)
	require.NoError(t, h.UnsuspendInstallation(id))
	h.Advance(2 * time.Hour)
	_, response, err = client.Repositories.Get(t.Context(), "acme", "shop")
	refused(t, http.StatusUnauthorized, response, err)
}

func TestAppTokenIsChecked(t *testing.T) {
	h, _ := shop(t)
	app, err := h.AddApp(AppOptions{Slug: "sky", Owner: "acme"})
	require.NoError(t, err)
	other, err := h.AddApp(AppOptions{Slug: "other", Owner: "acme"})
	require.NoError(t, err)
	forged := other
	forged.ID = app.ID
	for name, value := range map[string]string{
		"another's key": signed(t, forged, time.Minute), "expired": signed(t, app, -time.Minute), "too long": signed(t, app, time.Hour), "none": "nonsense",
	} {
		_, response, err := api(t, h, value).Apps.Get(t.Context(), "")
		refused(t, http.StatusUnauthorized, response, err)
		require.Error(t, err, name)
	}
	known, _, err := api(t, h, signed(t, app, time.Minute)).Apps.Get(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, "sky", known.GetSlug())
}

func TestExpiringUserTokenIsRefreshed(t *testing.T) {
	h, _ := shop(t)
	app, err := h.AddApp(AppOptions{Slug: "sky", Owner: "acme", Callback: "http://sky.test/callback", Expiring: true})
	require.NoError(t, err)
	config := signIn(h, OAuthApp{ClientID: app.ClientID, ClientSecret: app.ClientSecret})
	first, err := config.Exchange(t.Context(), approved(t, h, config.AuthCodeURL("s")).Get("code"))
	require.NoError(t, err)
	require.EqualValues(t, 8*3600, first.Extra("expires_in"))
	h.Advance(9 * time.Hour)
	_, response, err := api(t, h, first.AccessToken).Users.Get(t.Context(), "")
	refused(t, http.StatusUnauthorized, response, err)

	first.Expiry = time.Now().Add(-time.Minute)
	second, err := config.TokenSource(t.Context(), first).Token()
	require.NoError(t, err)
	_, _, err = api(t, h, second.AccessToken).Users.Get(t.Context(), "")
	require.NoError(t, err)
	_, err = config.TokenSource(t.Context(), first).Token()
	require.ErrorContains(t, err, "bad_refresh_token")
}
