package github

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestCloseLeavesNothing(t *testing.T) {
	// Earlier tests' clients keep connections for a while.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	h, err := New(Options{})
	require.NoError(t, err)
	require.NoError(t, h.AddRepository("acme/shop", false))
	push(t, h, "main", "first", map[string]string{"a": "a"})
	kept := h.git.dir

	hangs, arrived := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-hangs
	}))
	defer slow.Close()
	client := gh.NewClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).WithAuthToken(h.AddToken("acme", "repo"))
	client, err = client.WithEnterpriseURLs(h.URL, h.URL)
	require.NoError(t, err)
	_, _, err = client.Repositories.CreateHook(t.Context(), "acme", "shop", &gh.Hook{Config: &gh.HookConfig{URL: gh.String(slow.URL)}})
	require.NoError(t, err)
	<-arrived
	h.Stall("/api/v3/user")
	stalled := make(chan error, 1)
	go func() { _, _, err := client.Users.Get(t.Context(), ""); stalled <- err }()

	require.NoError(t, h.Close())
	<-stalled
	close(hangs)
	_, err = os.Stat(kept)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestHTTPSWithAnUnknownCertificate(t *testing.T) {
	h, err := New(Options{TLS: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, h.Close()) }()
	token := h.AddToken("acme", "repo")
	_, _, err = api(t, h, token).Users.Get(t.Context(), "")
	require.ErrorContains(t, err, "certificate")

	pool := x509.NewCertPool()
	pool.AddCert(h.Certificate())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}
	client, err := gh.NewClient(&http.Client{Transport: transport}).WithAuthToken(token).WithEnterpriseURLs(h.URL, h.URL)
	require.NoError(t, err)
	_, _, err = client.Users.Get(t.Context(), "")
	require.NoError(t, err)
}

func TestActsMayRunAtOnce(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	hooked(t, client, to, "push", "pull_request")
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			branch := fmt.Sprintf("b%d", i)
			_, err := h.Push(Push{Repo: "acme/shop", Branch: branch, Commits: []Commit{{Message: branch, Files: map[string]string{branch: branch}}}})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := h.OpenPull("acme/shop", branch, "main", branch); err != nil {
				t.Error(err)
			}
			if _, _, err := client.PullRequests.List(t.Context(), "acme", "shop", nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.NoError(t, h.Quiet(deadline(t)))
	require.Len(t, of("push", to.all()), 6)
	require.Len(t, of("pull_request", to.all()), 6)
}
