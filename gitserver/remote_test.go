package gitserver_test

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/models"
)

const remoteToken = "token-of-the-remote"

// origin is a repository that stock git serves, and what was asked of it.
type origin struct {
	*fixture
	work   string // a checkout of it
	server *httptest.Server
	posts  []string
	broken func(w http.ResponseWriter, r *http.Request) bool
}

func newOrigin(t *testing.T) *origin {
	f := newFixture(t)
	o := &origin{fixture: f, work: filepath.Join(f.dir, "work")}
	bare := filepath.Join(f.dir, "served", "acme", "shop.git")
	f.git(f.dir, "init", "-q", "--bare", bare)
	f.git(f.dir, "init", "-q", o.work)
	f.git(o.work, "remote", "add", "origin", bare)
	backend := &cgi.Handler{
		Path: filepath.Join(f.git(f.dir, "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Join(f.dir, "served"), "GIT_HTTP_EXPORT_ALL=1", "HOME=" + f.dir},
	}
	o.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != remoteToken {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, "you sent ", password)
			return
		}
		if o.broken != nil && o.broken(w, r) {
			return
		}
		if r.Method == http.MethodPost {
			o.posts = append(o.posts, r.URL.Path)
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(o.server.Close)
	return o
}

func (o *origin) remote() gitserver.Remote {
	return gitserver.Remote{URL: o.server.URL + "/acme/shop.git", Token: remoteToken, Client: o.server.Client()}
}

// commit writes a file, commits and publishes it, and returns the commit.
func (o *origin) commit(name, content string) string {
	path := filepath.Join(o.work, name)
	require.NoError(o.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(o.t, os.WriteFile(path, []byte(content), 0o644))
	o.git(o.work, "add", "-A")
	o.git(o.work, "commit", "-qm", "Change "+name)
	o.git(o.work, "push", "-q", "-f", "origin", "HEAD:main")
	return o.git(o.work, "rev-parse", "HEAD")
}

func TestFetchBringsWhatIsMissing(t *testing.T) {
	o := newOrigin(t)
	app := o.app("shop")
	fetcher := &gitserver.Fetcher{Repositories: o.repos}
	large := strings.Repeat("line of text\n", 2000)
	first := o.commit("a.txt", large)
	got, err := fetcher.Fetch(t.Context(), app.ID, o.remote(), "refs/heads/main")
	require.NoError(t, err)
	require.Equal(t, first, got)

	second := o.commit("a.txt", large+"one more\n")
	head, err := fetcher.Head(t.Context(), o.remote(), "refs/heads/main")
	require.NoError(t, err)
	require.Equal(t, second, head)
	got, err = fetcher.Fetch(t.Context(), app.ID, o.remote(), "refs/heads/main")
	require.NoError(t, err)
	require.Equal(t, second, got)
	require.Len(t, o.posts, 2)

	_, err = fetcher.Fetch(t.Context(), app.ID, o.remote(), "refs/heads/main")
	require.NoError(t, err)
	require.Len(t, o.posts, 2, "what is there already is not asked for")
	o.git(o.bare(app), "fsck", "--full", "--strict")

	commit, err := o.repos.Commit(t.Context(), app.ID, second)
	require.NoError(t, err)
	require.Equal(t, "Change a.txt", commit.Subject)
	require.Contains(t, commit.Message, "Change a.txt")
	follows, err := o.repos.IsAncestor(t.Context(), app.ID, first, second)
	require.NoError(t, err)
	require.True(t, follows)
}

func TestFetchTakesPullRequestsAndForcedPushes(t *testing.T) {
	o := newOrigin(t)
	app := o.app("shop")
	fetcher := &gitserver.Fetcher{Repositories: o.repos}
	base := o.commit("a.txt", "one")
	_, err := fetcher.Fetch(t.Context(), app.ID, o.remote(), "refs/heads/main")
	require.NoError(t, err)
	o.commit("a.txt", "two")
	o.git(o.work, "reset", "-q", "--hard", base)
	forced := o.commit("b.txt", "instead")
	o.git(o.work, "push", "-q", "origin", "HEAD:refs/pull/7/head")
	for _, ref := range []string{"refs/heads/main", "refs/pull/7/head"} {
		got, err := fetcher.Fetch(t.Context(), app.ID, o.remote(), ref)
		require.NoError(t, err, ref)
		require.Equal(t, forced, got)
	}
}

func TestFetchSaysWhyNot(t *testing.T) {
	o := newOrigin(t)
	app := o.app("shop")
	fetcher := &gitserver.Fetcher{Repositories: o.repos}
	empty, err := fetcher.Head(t.Context(), o.remote(), "refs/heads/main")
	require.NoError(t, err)
	require.Equal(t, models.ZeroObject, empty)
	o.commit("a.txt", strings.Repeat("many words\n", 100))

	fails := func(remote gitserver.Remote, ref string, code models.Code) {
		t.Helper()
		_, err := fetcher.Fetch(t.Context(), app.ID, remote, ref)
		require.Equal(t, code, models.CodeOf(err), "%v", err)
		require.NotContains(t, err.Error(), "secret")
	}
	remote := o.remote()
	fails(remote, "refs/heads/none", models.NotFound)
	gone := remote
	gone.URL = o.server.URL + "/acme/none.git"
	fails(gone, "refs/heads/main", models.NotFound)
	stranger := remote
	stranger.Token = "secret-that-is-wrong"
	fails(stranger, "refs/heads/main", models.Unauthorized)
	file := remote
	file.URL = "file://" + o.work
	fails(file, "refs/heads/main", models.Invalid)
	fetcher.Limits = gitserver.Limits{Pack: packfile.Limits{Objects: 1}}
	fails(remote, "refs/heads/main", models.Invalid)
	fetcher.Limits = gitserver.Limits{}
	o.broken = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			fmt.Fprint(w, "0008NAK\n000dPA")
		}
		return r.Method == http.MethodPost
	}
	fails(remote, "refs/heads/main", models.Unavailable)
	o.server.Close()
	fails(remote, "refs/heads/main", models.Unavailable)
	left, err := filepath.Glob(filepath.Join(o.bare(app), "quarantine", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestChangesListPathsThatDiffer(t *testing.T) {
	o := newOrigin(t)
	app := o.app("shop")
	fetcher := &gitserver.Fetcher{Repositories: o.repos}
	first := o.commit("web/app.js", "one")
	o.commit("docs/deep/a.md", "text")
	require.NoError(t, os.Rename(filepath.Join(o.work, "web/app.js"), filepath.Join(o.work, "web/main.js")))
	require.NoError(t, os.Chmod(filepath.Join(o.work, "docs/deep/a.md"), 0o755))
	last := o.commit("README", "read")
	_, err := fetcher.Fetch(t.Context(), app.ID, o.remote(), "refs/heads/main")
	require.NoError(t, err)
	changes := func(from, to string, most int) []string {
		paths, err := o.repos.Changes(t.Context(), app.ID, from, to, most)
		require.NoError(t, err)
		return paths
	}
	require.Equal(t, []string{"README", "docs/deep/a.md", "web/app.js", "web/main.js"}, changes(first, last, 100))
	require.Equal(t, []string{"README", "docs/deep/a.md", "web/main.js"}, changes(models.ZeroObject, last, 100))
	require.Equal(t, []string{"web/app.js"}, changes(models.ZeroObject, first, 100))
	require.Empty(t, changes(last, last, 100))
	require.Len(t, changes(first, last, 2), 2)
	require.Equal(t, strings.Split(o.git(o.work, "diff", "--name-only", "--no-renames", first, last), "\n"), changes(first, last, 100))
}
