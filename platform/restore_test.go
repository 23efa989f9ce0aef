package platform

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/logs"
	"github.com/stretchr/testify/require"
)

// databases are where an archive may go: SQLite, and an empty PostgreSQL.
func databases(t *testing.T) map[string]string {
	t.Helper()
	urls := map[string]string{"sqlite": ""}
	if !testing.Short() {
		urls["postgres"] = testenv.Postgres(t)
	}
	return urls
}

func TestRestoreBringsAllBack(t *testing.T) {
	s, b, _ := lived(t)
	node, err := s.Store.NodeByName(t.Context(), "local")
	require.NoError(t, err)
	archive := archiveOf(t, s, b, BackupOptions{})
	for name, url := range databases(t) {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "var", "sky")
			manifest, err := Restore{DataDir: dir, DatabaseURL: url}.Run(t.Context(), bytes.NewReader(archive))
			require.NoError(t, err)
			require.Equal(t, "test", manifest.Sky)
			require.Equal(t, 1, manifest.Apps)
			p := restored(t, dir, url)
			config, err := p.config(t.Context(), s.app.ID)
			require.NoError(t, err)
			require.Equal(t, planted, config["PASSWORD"])
			releases, err := p.Store.Releases(t.Context(), s.app.ID, 10)
			require.NoError(t, err)
			wanted, err := s.Store.Releases(t.Context(), s.app.ID, 10)
			require.NoError(t, err)
			require.Equal(t, wanted, releases)
			after, err := p.Store.NodeByName(t.Context(), "local")
			require.NoError(t, err)
			require.Equal(t, node.Generation+1<<32, after.Generation)
			token, err := ReadTokenFile(TokenFile(dir))
			require.NoError(t, err)
			_, err = p.ActorByToken(t.Context(), token)
			require.NoError(t, err)
			require.Equal(t, said(t, s.Logs, s.newest(t)), said(t, p.Logs, s.newest(t)))
			sameRepository(t, dir, s.app.ID)
			private(t, dir)
			requireAlone(t, dir)
		})
	}
}

func (s *stage) newest(t *testing.T) models.Build {
	t.Helper()
	builds, err := s.Store.Builds(t.Context(), s.app.ID, 1)
	require.NoError(t, err)
	return builds[0]
}

func said(t *testing.T, hub *logs.Hub, build models.Build) (lines []string) {
	t.Helper()
	require.NoError(t, hub.Read(t.Context(), buildStream(build.ID), 0, false, func(entry logs.Entry) error {
		lines = append(lines, string(entry.Kind)+" "+entry.Text)
		return nil
	}))
	require.NotEmpty(t, lines)
	return lines
}

func sameRepository(t *testing.T, dir string, app models.ID) {
	t.Helper()
	pack := filepath.Join(dir, "repositories", app.String()+".git", "objects", "pack-1.pack")
	info, err := os.Stat(pack)
	require.NoError(t, err)
	require.Equal(t, int64(20000), info.Size())
	require.Equal(t, 2020, info.ModTime().UTC().Year(), "ages tell keeps and garbage")
	_, err = os.Stat(filepath.Join(filepath.Dir(pack), "info"))
	require.NoError(t, err, "empty directories come too")
}

// private requires that nobody else may read the directory.
func private(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"", "keys", "keys/master.json", "admin-token", "sky.db"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if name == "sky.db" && os.IsNotExist(err) {
			continue
		}
		require.NoError(t, err)
		if name != "sky.db" { // SQLite's own mode, in a directory that is closed
			require.Zero(t, info.Mode().Perm()&0o077, name)
		}
	}
}

// requireAlone requires that nothing was left beside the directory.
func requireAlone(t *testing.T, dir string) {
	t.Helper()
	beside, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, beside, 1)
}

// TestRestoredWorkGoesOn: a Build that the database knows as running, though its
// log has ended, can say more.
func TestRestoredWorkGoesOn(t *testing.T) {
	s, b, repositories := lived(t)
	build := models.Build{ID: models.NewID(), AppID: s.app.ID, Commit: oid(5), State: models.BuildQueued, CreatedAt: now()}
	require.NoError(t, s.Store.CreateBuild(t.Context(), &build))
	repositories.onObject = func(models.ID) { s.buildLog(build).end(nil) }
	archive := archiveOf(t, s, b, BackupOptions{})
	dir := filepath.Join(t.TempDir(), "data")
	_, err := Restore{DataDir: dir}.Run(t.Context(), bytes.NewReader(archive))
	require.NoError(t, err)
	p := restored(t, dir, "")
	p.buildLog(build).Say("resumed")
	require.Equal(t, []string{"say resumed"}, said(t, p.Logs, build))
}

func TestKeysThatWereKeptApart(t *testing.T) {
	s, b, _ := lived(t)
	archive := archiveOf(t, s, b, BackupOptions{WithoutKeys: true})
	foreign := t.TempDir()
	_, err := OpenVault(filepath.Join(foreign, "master.json"), false)
	require.NoError(t, err)
	for name, test := range map[string]struct {
		restore Restore
		archive []byte
	}{
		"none":         {Restore{}, archive},
		"others":       {Restore{KeysDir: foreign}, archive},
		"no directory": {Restore{KeysDir: filepath.Join(foreign, "none")}, archive},
		"empty":        {Restore{KeysDir: t.TempDir()}, archive},
		"twice":        {Restore{KeysDir: filepath.Join(s.dir, "keys")}, archiveOf(t, s, b, BackupOptions{})},
	} {
		parent := t.TempDir()
		test.restore.DataDir = filepath.Join(parent, "data")
		_, err := test.restore.Run(t.Context(), bytes.NewReader(test.archive))
		require.True(t, models.IsCode(err, models.Invalid), "%s: %v", name, err)
		require.Equal(t, "keys", models.AsError(err).Field, name)
		require.NotEmpty(t, models.AsError(err).Remedy, name)
		require.Empty(t, tree(t, parent), name)
	}
	dir := filepath.Join(t.TempDir(), "data")
	_, err = Restore{DataDir: dir, KeysDir: filepath.Join(s.dir, "keys")}.Run(t.Context(), bytes.NewReader(archive))
	require.NoError(t, err)
	config, err := restored(t, dir, "").config(t.Context(), s.app.ID)
	require.NoError(t, err)
	require.Equal(t, planted, config["PASSWORD"])
}

func TestRestoreRefusesWhatIsNotEmpty(t *testing.T) {
	s, b, _ := lived(t)
	archive := archiveOf(t, s, b, BackupOptions{})
	dir := filepath.Join(t.TempDir(), "data")
	_, err := Restore{DataDir: dir}.Run(t.Context(), bytes.NewReader(archive))
	require.NoError(t, err)
	before := tree(t, filepath.Dir(dir))
	_, err = Restore{DataDir: dir}.Run(t.Context(), bytes.NewReader(archive))
	require.True(t, models.IsCode(err, models.Conflict), err)
	require.Equal(t, "data-dir", models.AsError(err).Field)
	require.Equal(t, before, tree(t, filepath.Dir(dir)))

	for name, url := range databases(t) {
		if url == "" {
			continue
		}
		_, err = Restore{DataDir: filepath.Join(t.TempDir(), "data"), DatabaseURL: url}.Run(t.Context(), bytes.NewReader(archive))
		require.NoError(t, err)
		empty := filepath.Join(t.TempDir(), "data")
		require.NoError(t, os.Mkdir(empty, 0o700))
		_, err = Restore{DataDir: empty, DatabaseURL: url}.Run(t.Context(), bytes.NewReader(archive))
		require.True(t, models.IsCode(err, models.Conflict), "%s: %v", name, err)
		require.Equal(t, "database-url", models.AsError(err).Field)
		require.Empty(t, tree(t, empty))
		requireAlone(t, empty)
	}
}

func TestOnlyOneRestoreAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := Restore{DataDir: dir}.stage()
	require.NoError(t, err)
	_, err = Restore{DataDir: dir}.stage()
	require.True(t, models.IsCode(err, models.Conflict), err)
	require.NoError(t, first.end(false))
	second, err := Restore{DataDir: dir}.stage()
	require.NoError(t, err)
	require.NoError(t, second.end(false))
}

// TestDamagedArchives: cut off at every twentieth, or with another bit that
// means something, is refused with nothing left behind.
func TestDamagedArchives(t *testing.T) {
	s, b, _ := lived(t)
	archive := archiveOf(t, s, b, BackupOptions{})
	parent := t.TempDir()
	refused := func(damaged []byte, what string, at int) *models.Error {
		t.Helper()
		_, err := Restore{DataDir: filepath.Join(parent, "data")}.Run(t.Context(), bytes.NewReader(damaged))
		refusal := models.AsError(err)
		require.NotNil(t, refusal, "%s at %d of %d: %v", what, at, len(archive), err)
		require.Empty(t, tree(t, parent), "%s at %d", what, at)
		return refusal
	}
	unsound := func(damaged []byte, what string, at int) {
		t.Helper()
		refusal := refused(damaged, what, at)
		require.Equal(t, models.Invalid, refusal.Code, "%s at %d: %v", what, at, refusal)
		require.Equal(t, "file", refusal.Field, "%s at %d", what, at)
	}
	for part := range 20 {
		at := len(archive) * part / 20
		unsound(archive[:at], "cut off", at)
	}
	for cut := 1; cut <= 10; cut++ {
		unsound(archive[:len(archive)-cut], "cut off", len(archive)-cut)
	}
	for at := 0; at < len(archive); at += max(1, len(archive)/200) {
		flipped := bytes.Clone(archive)
		flipped[at] ^= 1 << (at % 8)
		if _, err := VerifyArchive(bytes.NewReader(flipped)); err == nil { // zstd has bits without a meaning
			require.Equal(t, unzipped(t, archive), unzipped(t, flipped), "flipped at %d", at)
			continue
		}
		refused(flipped, "flipped", at) // a manifest that reads well, for what it says now
	}
	unsound(append(bytes.Clone(archive), "more"...), "followed by more", len(archive))
	_, err := VerifyArchive(bytes.NewReader(archive))
	require.NoError(t, err)
}

func unzipped(t *testing.T, archive []byte) []byte {
	t.Helper()
	decoder, err := zstd.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	defer decoder.Close()
	text, err := io.ReadAll(decoder)
	require.NoError(t, err)
	return text
}

// rewrite makes an archive with members of the test's own.
func rewrite(t *testing.T, manifest Manifest, names ...string) []byte {
	t.Helper()
	var made bytes.Buffer
	archive, err := newArchiveWriter(&made)
	require.NoError(t, err)
	text, err := json.Marshal(manifest)
	require.NoError(t, err)
	require.NoError(t, archive.text(manifestName, text))
	for _, name := range names {
		require.NoError(t, archive.text(name, []byte("x")))
	}
	require.NoError(t, archive.finish())
	return made.Bytes()
}

func TestForeignArchives(t *testing.T) {
	newest, err := store.NewestSchema()
	require.NoError(t, err)
	fine := Manifest{Format: archiveFormat, Schema: newest, Keys: true}
	newer, later := fine, fine
	newer.Format++
	later.Schema++
	for name, test := range map[string]struct {
		archive []byte
		code    models.Code
	}{
		"newer format": {rewrite(t, newer), models.Conflict},
		"newer schema": {rewrite(t, later), models.Conflict},
		"out of it":    {rewrite(t, fine, "keys/../../evil"), models.Invalid},
		"absolute":     {rewrite(t, fine, "/etc/evil"), models.Invalid},
		"unknown":      {rewrite(t, fine, "lock"), models.Invalid},
		"no tables":    {rewrite(t, fine, "keys/master.json"), models.Invalid},
	} {
		parent := t.TempDir()
		_, err := Restore{DataDir: filepath.Join(parent, "data")}.Run(t.Context(), bytes.NewReader(test.archive))
		require.True(t, models.IsCode(err, test.code), "%s: %v", name, err)
		require.Empty(t, tree(t, parent), name)
	}
}

const (
	helperDir = "SKY_TEST_RESTORE_DIR"
	helperURL = "SKY_TEST_RESTORE_URL"
)

// TestRestoreHelper is the process that TestAKilledRestore kills.
func TestRestoreHelper(t *testing.T) {
	if os.Getenv(helperDir) == "" {
		t.Skip("not the helper")
	}
	_, err := Restore{DataDir: os.Getenv(helperDir), DatabaseURL: os.Getenv(helperURL)}.Run(t.Context(), os.Stdin)
	require.NoError(t, err)
}

// TestAKilledRestore kills -9 a restore while it reads the archive, and as soon
// as each of the files appears that it makes on its way: what is there then is
// nothing, or refused, or all.
func TestAKilledRestore(t *testing.T) {
	s, b, _ := lived(t)
	archive := archiveOf(t, s, b, BackupOptions{})
	for name, url := range databases(t) {
		for _, at := range []string{"half", "unpacked", "database", "placed", "end"} {
			t.Run(name+" "+at, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				if url != "" {
					url = testenv.Postgres(t)
				}
				killRestore(t, archive, dir, url, at)
				neverHalf(t, s, archive, dir, url)
			})
		}
	}
}

// killRestore begins a restore and kills it at a moment.
func killRestore(t *testing.T, archive []byte, dir, url, at string) {
	t.Helper()
	beside := filepath.Join(filepath.Dir(dir), ".data.restoring")
	sent, signal := archive, map[string]string{
		"half": beside, "unpacked": filepath.Join(beside, "repositories"), "database": filepath.Join(beside, "sky.db"), "placed": dir,
	}[at]
	if at == "half" {
		sent = archive[:len(archive)/2]
	}
	command := exec.Command(os.Args[0], "-test.run=^TestRestoreHelper$")
	command.Env = append(os.Environ(), helperDir+"="+dir, helperURL+"="+url)
	input, err := command.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	_, err = input.Write(sent)
	require.NoError(t, err)
	if at != "half" {
		require.NoError(t, input.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	look := time.NewTicker(tick / 10)
	defer look.Stop()
	for {
		select {
		case <-ended: // sooner than we looked
			return
		case <-look.C:
		}
		if _, err := os.Stat(signal); signal != "" && err == nil {
			if err := command.Process.Kill(); !errors.Is(err, os.ErrProcessDone) { // it may end as we look
				require.NoError(t, err)
			}
			<-ended
			return
		}
	}
}

// neverHalf requires that the target is whole, or else that Sky refuses it, or
// that nothing is in it and a second attempt succeeds.
func neverHalf(t *testing.T, s *stage, archive []byte, dir, url string) {
	t.Helper()
	if CheckRestored(dir) != nil {
		require.NotEmpty(t, url, "only two stores can come apart")
		return
	}
	if _, err := os.Stat(dir); os.IsNotExist(err) {
		_, err := Restore{DataDir: dir, DatabaseURL: url}.Run(t.Context(), bytes.NewReader(archive))
		require.NoError(t, err, "the second attempt")
		requireAlone(t, dir)
	}
	config, err := restored(t, dir, url).config(t.Context(), s.app.ID)
	require.NoError(t, err)
	require.Equal(t, planted, config["PASSWORD"])
}
