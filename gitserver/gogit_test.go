package gitserver_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/stretchr/testify/require"
)

// TestGoGitPushesAndClones: go-git is a client with a protocol of its own.
func TestGoGitPushesAndClones(t *testing.T) {
	f := newFixture(t)
	app := f.app("demo")
	dir := f.work("w")
	tip := f.commit(dir, "run.sh", "echo run\n")
	repository, err := gogit.PlainOpen(dir)
	require.NoError(t, err)
	remote, err := repository.CreateRemote(&config.RemoteConfig{Name: "sky", URLs: []string{f.web.URL + "/demo.git"}})
	require.NoError(t, err)
	auth := &githttp.BasicAuth{Username: "me", Password: testToken}
	branch := "refs/heads/main"
	require.NoError(t, remote.PushContext(t.Context(), &gogit.PushOptions{
		RemoteName: "sky", Auth: auth, RefSpecs: []config.RefSpec{config.RefSpec(branch + ":" + branch)},
	}))
	require.Equal(t, tip, f.refOf(app, branch))
	f.sound(app)

	back := filepath.Join(f.dir, "back")
	_, err = gogit.PlainCloneContext(t.Context(), back, false, &gogit.CloneOptions{URL: f.web.URL + "/demo.git", Auth: auth})
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(back, "run.sh"))
	require.NoError(t, err)
	require.Equal(t, "echo run\n", string(content))
}

// TestGoGitReadsWhatTheTreeShows: go-git is the oracle for our reader of packs.
func TestGoGitReadsWhatTheTreeShows(t *testing.T) {
	f := newFixture(t)
	app := f.app("demo")
	dir := f.work("w")
	f.commit(dir, "a.txt", "one\n")
	f.commit(dir, "a.txt", "one\ntwo\n")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub/deep"), 0o755))
	tip := f.commit(dir, "sub/deep/b.txt", "b\n")
	f.git(dir, "push", f.httpURL("demo"), "main")

	tree, err := f.repos.Tree(t.Context(), app.ID, tip)
	require.NoError(t, err)
	defer tree.Close()
	want := map[string]string{}
	for name, file := range goGitFiles(t, f.bare(app), tip) {
		want[name] = file
	}
	got := map[string]string{}
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		got[name] = string(content)
		return err
	}))
	require.Equal(t, want, got)
}

// goGitFiles reads the files of a commit in a bare repository with go-git.
func goGitFiles(t *testing.T, bare, commit string) map[string]string {
	t.Helper()
	repository, err := gogit.PlainOpen(bare)
	require.NoError(t, err)
	found, err := repository.CommitObject(plumbing.NewHash(commit))
	require.NoError(t, err)
	tree, err := found.Tree()
	require.NoError(t, err)
	files := map[string]string{}
	require.NoError(t, tree.Files().ForEach(func(file *object.File) error {
		if file.Mode == filemode.Symlink {
			return nil
		}
		reader, err := file.Reader()
		if err != nil {
			return err
		}
		defer reader.Close()
		content, err := io.ReadAll(reader)
		files[file.Name] = string(content)
		return err
	}))
	return files
}
