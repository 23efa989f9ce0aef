package gitserver_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// versions runs a test through both doors and all protocol versions.
func versions(t *testing.T, test func(t *testing.T, f *fixture, git func(dir string, args ...string) string, url string)) {
	doors(t, func(t *testing.T, f *fixture, url func(string) string) {
		for version := range 3 {
			t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
				f := f.under(t)
				name := fmt.Sprintf("demo%d", version)
				app, dir := f.app(name), f.work(name)
				for i := range 5 {
					f.commit(dir, fmt.Sprintf("dir/file%d", i), fmt.Sprint("content ", i))
				}
				f.git(dir, "tag", "-am", "annotated", "v1", "HEAD~2")
				f.git(dir, "push", "-q", url(name), "main", "main~1:refs/heads/side", "v1")
				require.NoError(t, f.repos.Keep(t.Context(), app.ID, "x", f.git(dir, "rev-parse", "main")))
				git := func(dir string, args ...string) string {
					t.Helper()
					return f.git(dir, append([]string{"-c", fmt.Sprintf("protocol.version=%d", version)}, args...)...)
				}
				test(t, f, git, url(name))
			})
		}
	})
}

func TestCloneAndFetch(t *testing.T) {
	versions(t, func(t *testing.T, f *fixture, git func(dir string, args ...string) string, url string) {
		dir := t.TempDir()
		git(dir, "clone", "-q", url, "copy")
		copied := filepath.Join(dir, "copy")
		assert.Equal(t, "main", git(copied, "rev-parse", "--abbrev-ref", "HEAD"))
		assert.Equal(t, "v1", git(copied, "tag"))
		git(copied, "fsck", "--full", "--strict")

		git(copied, "update-ref", "-d", "refs/remotes/origin/main")
		git(copied, "reset", "-q", "--hard", "HEAD~1")
		git(copied, "fetch", "-q", "origin")
		git(copied, "merge", "-q", "--ff-only", "origin/main")

		// Somebody else pushes; a fetch brings the difference only.
		git(dir, "clone", "-q", url, "other")
		other := filepath.Join(dir, "other")
		f.commit(other, "new", "new")
		git(other, "push", "-q", "origin", "main")
		before := looseObjects(t, git(copied, "count-objects"))
		git(copied, "fetch", "-q", "origin")
		assert.Equal(t, before+3, looseObjects(t, git(copied, "count-objects")))
		git(copied, "fsck", "--full", "--strict")
	})
}

func TestShallowCloneThenAll(t *testing.T) {
	versions(t, func(t *testing.T, f *fixture, git func(dir string, args ...string) string, url string) {
		dir := t.TempDir()
		git(dir, "clone", "-q", "--depth", "1", url, "copy")
		copied := filepath.Join(dir, "copy")
		assert.Equal(t, "1", git(copied, "rev-list", "--count", "HEAD"))
		git(copied, "fetch", "-q", "--depth", "3")
		assert.Equal(t, "3", git(copied, "rev-list", "--count", "HEAD"))
		git(copied, "fetch", "-q", "--unshallow")
		assert.Equal(t, "6", git(copied, "rev-list", "--count", "HEAD"))
		git(copied, "fsck", "--full", "--strict")
		git(dir, "clone", "-q", "--single-branch", "--branch", "side", url, "side")
		assert.Equal(t, "5", git(filepath.Join(dir, "side"), "rev-list", "--count", "HEAD"))
	})
}

func TestHiddenRefsAreNotAdvertised(t *testing.T) {
	versions(t, func(t *testing.T, f *fixture, git func(dir string, args ...string) string, url string) {
		assert.NotContains(t, git(f.dir, "ls-remote", url), "refs/sky")
	})
}

func TestCloneOfNothing(t *testing.T) {
	f := newFixture(t)
	f.app("empty")
	out := f.git(f.dir, "clone", f.sshURL("empty"), "copy")
	assert.Contains(t, out, "empty repository")
}

func TestWantMustBeInPublicHistory(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	first := f.git(dir, "rev-parse", "main")
	secret := f.commit(dir, "secret", "never deployed")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main:gone")
	f.git(dir, "push", "-q", f.sshURL("demo"), ":gone")
	require.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/gone"))
	copied := filepath.Join(f.dir, "copy")
	f.git(f.dir, "init", "-q", copied)
	f.git(copied, "fetch", "-q", f.sshURL("demo"), first)
	assert.Contains(t, f.gitFails(copied, "fetch", f.sshURL("demo"), secret), "not our ref")
}

func looseObjects(t *testing.T, line string) (count int) {
	t.Helper()
	_, err := fmt.Sscan(line, &count)
	require.NoError(t, err)
	return count
}

func TestShallowCloneOfLibgit2(t *testing.T) {
	f := newFixture(t)
	f.app("demo")
	dir := f.work("w")
	tip := f.commit(dir, "a", "a")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	// As libgit2 1.9 asks: shallow as a capability, a space at the end.
	request := pktline.Append(nil, "want %s multi_ack_detailed side-band-64k include-tag thin-pack ofs-delta shallow \n", tip)
	request = pktline.AppendFlush(pktline.Append(request, "deepen 1\n"))
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.web.URL+"/demo.git/git-upload-pack", bytes.NewReader(request))
	require.NoError(t, err)
	post.SetBasicAuth("any", testToken)
	post.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	answer, err := f.web.Client().Do(post)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	assert.Equal(t, "0034shallow "+tip+"0000", string(body), "without newlines")
}
