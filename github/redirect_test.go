package github_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestTokensDoNotFollowRedirects: a GitHub that sends Sky elsewhere, such as to an
// address within, gets no further.
func TestTokensDoNotFollowRedirects(t *testing.T) {
	var asked atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{"id": 1, "login": "mallory", "access_token": "x", "token_type": "bearer"}`))
	}))
	t.Cleanup(elsewhere.Close)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		for name, client := range map[string]*http.Client{"given": {}, "own": nil} {
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
			}))
			t.Cleanup(host.Close)
			h := github.Host{URL: host.URL, ClientID: "id", ClientSecret: "secret", HTTP: client}
			as, err := h.As("a-token")
			require.NoError(t, err)
			_, err = as.Account(t.Context())
			require.Error(t, err, "%s %d", name, status)
			require.NotContains(t, err.Error(), "a-token")
			_, err = h.Exchange(t.Context(), "http://sky.test/callback", "code", "verifier")
			require.True(t, models.IsCode(err, models.Unavailable), "%v", err)
			require.Error(t, h.Revoke(t.Context(), "a-token"))
		}
	}
	require.Zero(t, asked.Load(), "nobody else is asked anything")
}

// TestARenamedRepositoryIsFound: GitHub answers with a redirect to itself.
func TestARenamedRepositoryIsFound(t *testing.T) {
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v3/repositories/7" {
			http.Redirect(w, r, "/api/v3/repositories/7", http.StatusMovedPermanently)
			return
		}
		require.Equal(t, "Bearer a-token", r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(`{"id": 7, "full_name": "acme/store"}`))
	}))
	t.Cleanup(host.Close)
	as, err := github.Host{URL: host.URL}.As("a-token")
	require.NoError(t, err)
	found, err := as.Repository(t.Context(), "acme/shop")
	require.NoError(t, err)
	require.Equal(t, "acme/store", found.Name)
}
