package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/docker/docker/client"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/stretchr/testify/require"
)

// forget: removes what this Sky has in Docker, images included, as if it were on
// another machine.
func cmdForget(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	ts.Check(err)
	defer func() { _ = docker.Close() }()
	for _, node := range s.nodes() {
		ts.Check(testenv.RemoveNode(context.Background(), docker, node))
	}
	for _, app := range s.apps() {
		ts.Check(testenv.RemoveAppImages(context.Background(), docker, app))
	}
}

// TestABackupThatDidNotArriveWhole leaves the one before it, and nothing else.
func TestABackupThatDidNotArriveWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sky.backup")
	require.NoError(t, os.WriteFile(path, []byte("yesterday's"), 0o600))
	broken := errors.New("broken pipe")
	for name, archive := range map[string]io.Reader{
		"empty": bytes.NewReader(nil), "no archive": bytes.NewReader([]byte("<html>")), "broken": iotest.ErrReader(broken),
	} {
		c := &cli{streams: streams{out: io.Discard, err: io.Discard}}
		require.Error(t, c.keepBackup(archive, path), name)
		kept, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "yesterday's", string(kept), name)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, entries, 1, name)
	}
}

func TestWriteDurably(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, writeDurably(path, func(file *os.File) error {
		_, err := file.WriteString("content")
		return err
	}))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}
