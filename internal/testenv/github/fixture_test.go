package github

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
)

// shop is a Host with a repository that has a commit, and a client for its owner.
func shop(t *testing.T) (*Host, *gh.Client) {
	t.Helper()
	h := Start(t)
	h.AddUser("acme")
	require.NoError(t, h.AddRepository("acme/shop", true))
	push(t, h, "main", "first", map[string]string{"README": "hello\n"})
	return h, api(t, h, h.AddToken("acme", "repo"))
}

func push(t *testing.T, h *Host, branch, message string, files map[string]string) string {
	t.Helper()
	sha, err := h.Push(Push{Repo: "acme/shop", Branch: branch, Commits: []Commit{{Message: message, Files: files}}})
	require.NoError(t, err)
	return sha
}

func api(t *testing.T, h *Host, token string) *gh.Client {
	t.Helper()
	client, err := gh.NewClient(nil).WithAuthToken(token).WithEnterpriseURLs(h.URL, h.URL)
	require.NoError(t, err)
	return client
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// stock runs the stock git client and returns its output.
func stock(t *testing.T, args ...string) (string, error) {
	t.Helper()
	command := exec.Command("git", args...)
	command.Env = append(gitEnv(), "GIT_TERMINAL_PROMPT=0")
	output, err := command.CombinedOutput()
	return string(output), err
}

// withToken is a clone URL with a credential.
func withToken(h *Host, token, path string) string {
	return strings.Replace(h.URL, "://", "://x-access-token:"+token+"@", 1) + path
}

// received is what a receiver was sent.
type received struct {
	header http.Header
	body   []byte
}

// receiver takes deliveries and answers 202.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex
	sent []received
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.sent = append(r.sent, received{header: request.Header, body: body})
		r.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.sent...)
}

// hooked gives acme/shop a webhook that leads to the receiver.
func hooked(t *testing.T, client *gh.Client, to *receiver, events ...string) *gh.Hook {
	t.Helper()
	hook, _, err := client.Repositories.CreateHook(t.Context(), "acme", "shop", &gh.Hook{
		Events: events, Active: gh.Bool(true),
		Config: &gh.HookConfig{URL: gh.String(to.URL), ContentType: gh.String("json"), Secret: gh.String("s3cret")},
	})
	require.NoError(t, err)
	return hook
}
