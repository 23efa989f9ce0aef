package github

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDoorServesStockGit(t *testing.T) {
	h, _ := shop(t)
	token := h.AddToken("acme", "repo")
	work := filepath.Join(t.TempDir(), "work")
	output, err := stock(t, "clone", withToken(h, token, "/acme/shop.git"), work)
	require.NoError(t, err, output)
	content, err := os.ReadFile(filepath.Join(work, "README"))
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(content))

	sha := push(t, h, "topic", "topic", map[string]string{"b": "b"})
	number, err := h.OpenPull("acme/shop", "topic", "main", "Topic")
	require.NoError(t, err)
	require.Equal(t, 1, number)
	output, err = stock(t, "-C", work, "fetch", "--depth=1", "origin", "refs/pull/1/head")
	require.NoError(t, err, output)
	require.FileExists(t, filepath.Join(work, ".git", "FETCH_HEAD"))
	output, err = stock(t, "-C", work, "fetch", "origin", sha)
	require.NoError(t, err, output)

	output, err = stock(t, "-C", work, "push", "origin", "HEAD:refs/heads/no")
	require.Error(t, err)
	require.Contains(t, output, "403")
}

func TestDoorRefusesWhoMayNotSee(t *testing.T) {
	h, _ := shop(t)
	h.AddUser("mallory")
	for _, c := range []struct{ name, url, says string }{
		{"nobody", h.URL + "/acme/shop.git", "could not read Username"},
		{"a wrong token", withToken(h, "ghp_wrong", "/acme/shop.git"), "Authentication failed"},
		{"a stranger", withToken(h, h.AddToken("mallory", "repo"), "/acme/shop.git"), "not found"},
		{"a token without the scope", withToken(h, h.AddToken("acme"), "/acme/shop.git"), "not found"},
	} {
		output, err := stock(t, "ls-remote", c.url)
		require.Error(t, err, c.name)
		require.Contains(t, output, c.says, c.name)
	}
}

func TestFormerNameLeadsOn(t *testing.T) {
	h, _ := shop(t)
	require.NoError(t, h.RenameRepository("acme/shop", "store"))
	output, err := stock(t, "ls-remote", withToken(h, h.AddToken("acme", "repo"), "/acme/shop.git"))
	require.NoError(t, err, output)
	require.Contains(t, output, "refs/heads/main")
}

func TestHiddenPushIsToldBeforeItCanBeFetched(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	hooked(t, client, to, "push")
	from := withToken(h, h.AddToken("acme", "repo"), "/acme/shop.git")
	work := filepath.Join(t.TempDir(), "work")
	output, err := stock(t, "clone", from, work)
	require.NoError(t, err, output)

	sha, err := h.Push(Push{Repo: "acme/shop", Branch: "main", Hidden: true, Commits: []Commit{{Message: "soon", Files: map[string]string{"a": "a"}}}})
	require.NoError(t, err)
	require.NoError(t, h.Quiet(deadline(t)))
	require.Len(t, of("push", to.all()), 1)
	output, err = stock(t, "-C", work, "fetch", "origin", sha)
	require.Error(t, err, output)
	require.NoError(t, h.Publish("acme/shop"))
	output, err = stock(t, "-C", work, "fetch", "origin", sha)
	require.NoError(t, err, output)
	require.Equal(t, sha, h.Head("acme/shop", "main"))
}
