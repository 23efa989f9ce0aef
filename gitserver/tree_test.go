package gitserver_test

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver"
)

// checkout makes an App whose main branch has every kind of entry.
func checkout(t *testing.T) (*fixture, *gitserver.Tree, []byte) {
	t.Helper()
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	for name, content := range map[string]string{
		"run": "#!/bin/sh\n", "docs/x": "d", "test/t": "t", "deep/er/u": "u", "name with space": "n", "q.tmp": "q", "keep/q.tmp": "q", "empty": "",
		strings.Repeat("x", 180) + "/" + strings.Repeat("y", 180): "long", "only/ignored/file": "i", "ümläut\ttab": "u",
		"big.bin":             "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
		".gitattributes":      "docs export-ignore\n/test/ export-ignore\nrun/ export-ignore\n*.tmp export-ignore\ndeep/**/u export-ignore\nonly/ignored/* export-ignore\n",
		"keep/.gitattributes": "q.tmp -export-ignore\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "run"), 0o755))
	for name, target := range map[string]string{"l1": "file", "l2": "/etc/passwd", "keep/l3": "../../x", "keep/l4": "../file"} {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	f.git(dir, "add", "-A")
	f.git(dir, "update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("1", 40)+",sub")
	f.git(dir, "commit", "-qm", "all kinds")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	commit := f.git(dir, "rev-parse", "HEAD")
	archive, err := f.command(f.bare(app), "archive", commit).Output()
	require.NoError(t, err)
	tree, err := f.repos.Tree(t.Context(), app.ID, commit)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tree.Close()) })
	return f, tree, archive
}

func TestTreeEqualsGitArchive(t *testing.T) {
	_, tree, archive := checkout(t)
	want := map[string]string{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		if header.Typeflag != tar.TypeXGlobalHeader {
			mode := header.FileInfo().Mode()&^0o022 | header.FileInfo().Mode()&fs.ModeSymlink
			if mode&fs.ModeSymlink != 0 {
				mode = fs.ModeSymlink | 0o777
			}
			want[strings.TrimSuffix(header.Name, "/")] = mode.String() + header.Linkname + string(content)
		}
	}
	got := map[string]string{}
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := entry.Info()
		require.NoError(t, err)
		got[name] = info.Mode().String()
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := tree.ReadLink(name)
			require.NoError(t, err)
			got[name] += target
		case !info.IsDir():
			data, err := tree.ReadFile(name)
			require.NoError(t, err)
			assert.EqualValues(t, len(data), info.Size())
			got[name] += string(data)
		}
		return nil
	}))
	assert.Equal(t, want, got)
}

func TestTreeIsASoundFileSystem(t *testing.T) {
	_, tree, _ := checkout(t)
	plain, err := fs.Sub(tree, "keep/..")
	assert.Error(t, err)
	assert.Nil(t, plain)
	require.NoError(t, fstest.TestFS(withoutLinks{tree}, "run", "name with space", "keep/q.tmp"))
}

// withoutLinks hides the links, which fstest would follow.
type withoutLinks struct{ *gitserver.Tree }

func (w withoutLinks) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := w.Tree.ReadDir(name)
	var kept []fs.DirEntry
	for _, entry := range entries {
		if entry.Type()&fs.ModeSymlink == 0 {
			kept = append(kept, entry)
		}
	}
	return kept, err
}

func (w withoutLinks) Open(name string) (fs.File, error) {
	file, err := w.Tree.Open(name)
	if dir, ok := file.(fs.ReadDirFile); ok {
		return &dirWithoutLinks{dir}, err
	}
	return file, err
}

type dirWithoutLinks struct{ fs.ReadDirFile }

func (d *dirWithoutLinks) ReadDir(most int) ([]fs.DirEntry, error) {
	var kept []fs.DirEntry
	for {
		entries, err := d.ReadDirFile.ReadDir(most)
		for _, entry := range entries {
			if entry.Type()&fs.ModeSymlink == 0 {
				kept = append(kept, entry)
			}
		}
		if most <= 0 || err != nil || len(kept) > 0 {
			return kept, err
		}
	}
}

func TestTreeNotes(t *testing.T) {
	_, tree, _ := checkout(t)
	notes, err := tree.Notes()
	require.NoError(t, err)
	assert.Equal(t, gitserver.TreeNotes{LFSPointers: []string{"big.bin"}, Submodules: []string{"sub"}, EscapingLinks: []string{"keep/l3", "l2"}}, notes)
}

func TestTreeTellsContentsOfOneSizeApart(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	one := f.commit(dir, "page", "version 1")
	two := f.commit(dir, "page", "version 2")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	times := map[int64]bool{}
	for _, commit := range []string{one, two, two} {
		tree, err := f.repos.Tree(t.Context(), app.ID, commit)
		require.NoError(t, err)
		info, err := tree.Stat("page")
		require.NoError(t, err)
		assert.EqualValues(t, 315532800, info.ModTime().Unix())
		times[info.ModTime().UnixNano()] = true
		require.NoError(t, tree.Close())
		_, err = tree.ReadFile("page")
		assert.ErrorIs(t, err, fs.ErrClosed)
	}
	assert.Len(t, times, 2)
}
