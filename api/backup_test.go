package api_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skypanel/sky/api"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/stretchr/testify/require"
)

// noRepositories is a Snapshot of a platform without apps.
type noRepositories struct{ dir string }

func (n noRepositories) Freeze(context.Context) (platform.Snapshot, error) { return n, nil }
func (n noRepositories) Objects(context.Context, models.ID) error          { return nil }
func (n noRepositories) Thaw()                                             {}
func (n noRepositories) Dir() string                                       { return n.dir }
func (n noRepositories) Discard() error                                    { return nil }

// withBackups serves the site's platform with a door for backups.
func withBackups(t *testing.T, s *site) *site {
	t.Helper()
	served := *s
	served.Server = httptest.NewServer(api.New(api.Config{
		Platform: s.platform, Version: "test", Log: s.platform.Log,
		Backups: &platform.Backups{Platform: s.platform, Repositories: noRepositories{t.TempDir()}, Version: "test"},
	}))
	served.client = &v1.Client{URL: served.URL, Token: s.admin, HTTP: served.Client()}
	t.Cleanup(served.Close)
	return &served
}

func TestBackupOverTheAPI(t *testing.T) {
	s := withBackups(t, newSite(t))
	stream, err := s.client.Backup(t.Context(), v1.NewBackup{WithoutKeys: true})
	require.NoError(t, err)
	archive, err := io.ReadAll(stream)
	require.NoError(t, err)
	require.NoError(t, stream.Close())
	manifest, err := platform.VerifyArchive(bytes.NewReader(archive))
	require.NoError(t, err)
	require.False(t, manifest.Keys)
	require.True(t, manifest.Logs)
	require.Equal(t, "test", manifest.Sky)

	got := s.ask(t, s.admin, http.MethodPost, "/api/admin/paas/backup", "{}")
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.Equal(t, "application/zstd", got.Header.Get("Content-Type"))
	described := s.ask(t, "", http.MethodGet, "/api/openapi.json", "")
	require.True(t, strings.Contains(described.text, `"200":{"content":{"application/zstd":{"schema":{`))
}

func TestBackupIsForAdminsOfThePlatform(t *testing.T) {
	s := withBackups(t, newSite(t))
	for token, status := range map[string]int{"": http.StatusUnauthorized, s.user(t, "eve"): http.StatusForbidden} {
		got := s.ask(t, token, http.MethodPost, "/api/admin/paas/backup", "{}")
		require.Equal(t, status, got.StatusCode)
		require.Equal(t, status, got.problem(t).Status)
	}
}

// TestABackupThatFailsBreaksTheConnection: an end that looks like success would
// be kept.
func TestABackupThatFailsBreaksTheConnection(t *testing.T) {
	plain := newSite(t)
	s := withBackups(t, plain)
	logs := filepath.Join(plain.platform.Settings.DataDir, "logs", "apps", "x")
	require.NoError(t, os.MkdirAll(logs, 0o700))
	// A directory where a compressed segment should be: it opens, and cannot be read.
	require.NoError(t, os.WriteFile(filepath.Join(logs, "00.log"), []byte("x"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(logs, "00.log.zst"), 0o700))
	stream, err := s.client.Backup(t.Context(), v1.NewBackup{})
	if err != nil { // what had been written was still in a buffer
		require.ErrorContains(t, err, "EOF")
		return
	}
	_, err = io.ReadAll(stream)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
