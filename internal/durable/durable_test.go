package durable

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWriteFileReplacesWholeForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	// What a crash left, readable by everybody, must not lend its mode.
	require.NoError(t, os.WriteFile(path+".tmp", []byte("half"), 0o644))
	require.NoError(t, WriteFile(path, []byte("one")))
	require.NoError(t, WriteFile(path, []byte("two")))
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(content))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoFileExists(t, path+".tmp")
}

func TestWriteFileThatFailsLeavesTheOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "secret")
	require.Error(t, WriteFile(path, []byte("x")))
	require.NoFileExists(t, path)
}
