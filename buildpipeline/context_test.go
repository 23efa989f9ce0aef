package buildpipeline

import (
	"context"
	"io"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tonistiigi/fsutil/types"
)

func TestContextShowsFilesAsTheyAre(t *testing.T) {
	moment := time.Unix(315532800, 42)
	dir := fstest.MapFS{
		"bin/run":    {Data: []byte("#!"), Mode: 0o755, ModTime: moment},
		"a.txt":      {Data: []byte("four"), Mode: 0o644, ModTime: moment},
		"link":       {Data: []byte("bin/run"), Mode: fs.ModeSymlink | 0o777, ModTime: moment},
		"bin/.empty": {Mode: 0o644, ModTime: moment},
	}
	got := map[string]*types.Stat{}
	var order []string
	walk := func(target string) {
		err := (&contextFS{files: dir}).Walk(t.Context(), target, func(path string, entry fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := entry.Info()
			require.NoError(t, err)
			got[path] = info.Sys().(*types.Stat)
			order = append(order, path)
			return nil
		})
		require.NoError(t, err)
	}
	walk("")
	require.Equal(t, []string{"a.txt", "bin", "bin/.empty", "bin/run", "link"}, order)
	require.Equal(t, uint32(0o755), got["bin/run"].Mode)
	require.Equal(t, int64(4), got["a.txt"].Size)
	require.Equal(t, moment.UnixNano(), got["a.txt"].ModTime)
	require.Equal(t, "bin/run", got["link"].Linkname)
	require.NotZero(t, got["link"].Mode&uint32(os.ModeSymlink))
	require.Zero(t, got["bin/run"].Uid)

	order = nil
	walk("bin")
	require.Equal(t, []string{"bin", "bin/.empty", "bin/run"}, order)

	file, err := (&contextFS{files: dir}).Open("a.txt")
	require.NoError(t, err)
	text, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, "four", string(text))
}

func TestContextEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := (&contextFS{files: fstest.MapFS{"a": {}}}).Walk(ctx, "", func(string, fs.DirEntry, error) error { return nil })
	require.ErrorIs(t, err, context.Canceled)
}

func TestTexts(t *testing.T) {
	files := texts{"Dockerfile": "FROM a", "Dockerfile.dockerignore": "x"}
	var seen []string
	note := func(path string, _ fs.DirEntry, _ error) error { seen = append(seen, path); return nil }
	require.NoError(t, files.Walk(t.Context(), "", note))
	require.NoError(t, files.Walk(t.Context(), "other", note))
	require.NoError(t, files.Walk(t.Context(), "Dockerfile", note))
	require.Equal(t, []string{"Dockerfile", "Dockerfile.dockerignore", "Dockerfile"}, seen)
	_, err := files.Open("other")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotEqual(t, contentTime("FROM a"), contentTime("FROM b"))
}
