package platform

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/logs"
	"github.com/stretchr/testify/require"
)

// planted is a value that nobody may read in an archive.
const planted = "hunter2-is-planted-here"

// copies are Snapshots of repositories with one pack each. The hooks are called
// at their step.
type copies struct {
	dir      string
	gone     map[models.ID]bool
	onFreeze func()
	onObject func(app models.ID)
	thawed   int
}

func (c *copies) Freeze(context.Context) (Snapshot, error) {
	dir, err := os.MkdirTemp(c.dir, "snapshot-")
	if c.onFreeze != nil {
		c.onFreeze()
	}
	return &copied{c, dir}, err
}

type copied struct {
	*copies
	made string
}

func (c *copied) Objects(_ context.Context, app models.ID) error {
	if c.onObject != nil {
		c.onObject(app)
	}
	if c.gone[app] {
		return models.Errorf(models.NotFound, "no repository")
	}
	dir := filepath.Join(c.made, app.String()+".git", "objects", "pack")
	if err := os.MkdirAll(filepath.Join(dir, "..", "info"), 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, "..", "pack-1.pack")
	then := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	return firstOf(os.Mkdir(dir, 0o700), os.WriteFile(path, bytes.Repeat([]byte("PACK"), 5000), 0o600), os.Chtimes(path, then, then))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *copied) Dir() string    { return c.made }
func (c *copied) Thaw()          { c.thawed++ }
func (c *copied) Discard() error { return os.RemoveAll(c.made) }

// lived is a stage with something of everything in it, ready to be backed up.
func lived(t *testing.T) (*stage, *Backups, *copies) {
	t.Helper()
	s := newStage(t)
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "keys"), 0o700))
	for _, name := range []string{"master.json", "ssh_host_ed25519_key"} {
		text, err := os.ReadFile(filepath.Join(s.dir, "master.json"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "keys", name), text, 0o600))
	}
	for digit := 1; digit <= 2; digit++ {
		_, err := s.push(t, digit)
		require.NoError(t, err)
	}
	_, err := s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Set: map[string]string{"PASSWORD": planted}}, silent{})
	require.NoError(t, err)
	repositories := &copies{dir: t.TempDir(), gone: map[models.ID]bool{}}
	return s, &Backups{Platform: s.Platform, Repositories: repositories, Version: "test"}, repositories
}

func archiveOf(t *testing.T, s *stage, b *Backups, options BackupOptions) []byte {
	t.Helper()
	backup, err := b.Begin(t.Context(), s.actor, options)
	require.NoError(t, err)
	var archive bytes.Buffer
	require.NoError(t, backup.Write(t.Context(), &archive))
	require.NoError(t, backup.Close())
	left, err := filepath.Glob(filepath.Join(s.dir, ".backup-*"))
	require.NoError(t, err)
	require.Empty(t, left)
	return archive.Bytes()
}

// members are the contents of an archive by name.
func members(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	found := map[string]string{}
	_, err := readArchive(bytes.NewReader(archive), func(_ Manifest, m member, content io.Reader) error {
		text, err := io.ReadAll(content)
		found[m.name] = string(text)
		return err
	})
	require.NoError(t, err)
	return found
}

// restored opens what Restore made.
func restored(t *testing.T, dir, databaseURL string) *Platform {
	t.Helper()
	require.NoError(t, CheckRestored(dir))
	var database *store.Store
	var err error
	if databaseURL == "" {
		database, err = store.OpenSQLite(t.Context(), filepath.Join(dir, "sky.db"))
	} else {
		database, err = store.OpenPostgres(t.Context(), databaseURL)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, database.Close()) })
	vault, err := OpenVault(filepath.Join(dir, "keys", "master.json"), true)
	require.NoError(t, err)
	hub, err := logs.Open(filepath.Join(dir, "logs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hub.Close()) })
	return &Platform{Store: database, Vault: vault, Logs: hub}
}

// TestBackupIsOfOneMoment: refs first, then the database, then the objects.
func TestBackupIsOfOneMoment(t *testing.T) {
	s, b, repositories := lived(t)
	repositories.onFreeze = func() {
		_, err := s.push(t, 3)
		require.NoError(t, err)
	}
	repositories.onObject = func(models.ID) {
		_, err := s.push(t, 4)
		require.NoError(t, err)
	}
	found := members(t, archiveOf(t, s, b, BackupOptions{}))
	require.Contains(t, found["database/paas_releases.jsonl"], oid(3), "the database is younger than the refs")
	require.NotContains(t, found["database/paas_releases.jsonl"], oid(4), "the objects are younger than the database")
	require.Equal(t, 1, repositories.thawed)
}

func TestBackupIsForAdmins(t *testing.T) {
	_, b, _ := lived(t)
	_, err := b.Begin(t.Context(), models.Actor{Name: "eve"}, BackupOptions{})
	require.True(t, models.IsCode(err, models.Forbidden), err)
}

func TestBackupIsAnAuditFact(t *testing.T) {
	s, b, _ := lived(t)
	archiveOf(t, s, b, BackupOptions{WithoutKeys: true})
	after := members(t, archiveOf(t, s, b, BackupOptions{}))["database/paas_events.jsonl"]
	require.Contains(t, after, `"kind":"platform.backup","detail":"keys=false logs=true"`)
}

// TestAnAppThatIsDestroyedMeanwhile makes the backup begin again; a repository
// that was lost before does not.
func TestAnAppThatIsDestroyedMeanwhile(t *testing.T) {
	s, b, repositories := lived(t)
	doomed, err := s.CreateApp(t.Context(), s.actor, NewApp{Name: "doomed"})
	require.NoError(t, err)
	repositories.gone[s.app.ID] = true
	begun := 0
	repositories.onFreeze = func() { begun++ }
	repositories.onObject = func(app models.ID) {
		if app == doomed.ID {
			repositories.gone[app] = true
			require.NoError(t, s.Store.DeleteApp(t.Context(), app))
		}
	}
	archive := archiveOf(t, s, b, BackupOptions{})
	require.Equal(t, 2, begun)
	require.Equal(t, 2, repositories.thawed)
	require.NotContains(t, members(t, archive)["database/paas_applications.jsonl"], "doomed")
	left, err := os.ReadDir(repositories.dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestASecretIsNotReadable in the whole of an archive, unpacked.
func TestASecretIsNotReadable(t *testing.T) {
	s, b, _ := lived(t)
	text := unzipped(t, archiveOf(t, s, b, BackupOptions{}))
	require.Contains(t, string(text), "PASSWORD")
	require.NotContains(t, string(text), planted)

	key, err := os.ReadFile(filepath.Join(s.dir, "keys", "master.json"))
	require.NoError(t, err)
	require.Contains(t, string(text), string(key), "keep it like a key")
	token, err := ReadTokenFile(TokenFile(s.dir))
	require.NoError(t, err)
	for name, content := range members(t, archiveOf(t, s, b, BackupOptions{WithoutKeys: true})) {
		require.NotContains(t, content, string(key), name)
		require.NotContains(t, content, token, name)
	}
}

// TestImagesOfTheRegistry: what nodes pull is in the archive, but for what is
// being pushed, and comes back from it.
func TestImagesOfTheRegistry(t *testing.T) {
	s, b, _ := lived(t)
	for _, name := range []string{"blobs/sha256/aa/data", "repositories/app/_manifests/link", "repositories/app/_uploads/1/data"} {
		path := filepath.Join(s.dir, "registry", filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(name), 0o600))
	}
	archive := archiveOf(t, s, b, BackupOptions{})
	found := members(t, archive)
	require.Contains(t, found, "registry/blobs/sha256/aa/data")
	require.Contains(t, found, "registry/repositories/app/_manifests/link")
	for name := range found {
		require.NotContains(t, name, "_uploads")
	}
	for name := range members(t, archiveOf(t, s, b, BackupOptions{WithoutImages: true})) {
		require.False(t, strings.HasPrefix(name, "registry"), name)
	}
	dir := filepath.Join(t.TempDir(), "data")
	_, err := Restore{DataDir: dir}.Run(t.Context(), bytes.NewReader(archive))
	require.NoError(t, err)
	content, err := os.ReadFile(filepath.Join(dir, "registry", "blobs", "sha256", "aa", "data"))
	require.NoError(t, err)
	require.Equal(t, "blobs/sha256/aa/data", string(content))
}

// TestLogsOfARunningSky: a segment goes in one form, and half-written files stay
// out.
func TestLogsOfARunningSky(t *testing.T) {
	s, b, _ := lived(t)
	dir := filepath.Join(s.dir, "logs", "apps", "x")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"00.log", "00.log.zst", "05.log", "05.log.zst.tmp", "09.log.zst"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	var names []string
	for name := range members(t, archiveOf(t, s, b, BackupOptions{})) {
		if rest, ok := strings.CutPrefix(name, "logs/apps/x/"); ok {
			names = append(names, rest)
		}
	}
	require.ElementsMatch(t, []string{"00.log.zst", "05.log", "09.log.zst"}, names)
	for name := range members(t, archiveOf(t, s, b, BackupOptions{WithoutLogs: true})) {
		require.False(t, strings.HasPrefix(name, "logs"), name)
	}
}

// tree lists all that is under a directory.
func tree(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if path != dir {
			paths = append(paths, fmt.Sprintf("%s %s", path, entry.Type()))
		}
		return err
	}))
	return paths
}
