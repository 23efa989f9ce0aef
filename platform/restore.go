package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/logs"
)

// Restore puts an archive where nothing is yet. No Sky may run there.
type Restore struct {
	DataDir string
	// DatabaseURL is that of an empty PostgreSQL; without it SQLite's file is
	// made in the data directory.
	DatabaseURL string
	// KeysDir is a copy of a data directory's keys/, for an archive without.
	KeysDir string
}

const (
	// unfinishedDir is in a data directory as long as its database is not: Sky
	// does not start on it. It holds the archive's tables.
	unfinishedDir = ".restore"
	// generationJump is more Assignments than any platform makes between a
	// backup and what is lost after it: an agent that was sent those takes the
	// restored ones for newer.
	generationJump = 1 << 32
)

// Run reads the archive to its end before it puts anything in place. It refuses
// a data directory or a database that is not empty, and an archive that is
// damaged, cut off or newer, and leaves nothing behind then.
//
// The archive is unpacked beside the data directory, which then appears in one
// rename. With PostgreSQL the rows are inserted in one transaction, and the
// directory appears just before it is committed: should the process be killed
// between the two, CheckRestored keeps Sky from starting.
func (r Restore) Run(ctx context.Context, archive io.Reader) (Manifest, error) {
	s, err := r.stage()
	if err != nil {
		return Manifest{}, err
	}
	manifest, err := readArchive(archive, s.take)
	if err == nil {
		s.manifest = manifest
		err = s.complete(ctx)
	}
	if ended := s.end(err == nil || s.committed); ended != nil {
		err = errors.Join(err, ended)
	}
	return manifest, err
}

// CheckRestored refuses a data directory in which a restore was killed.
func CheckRestored(dataDir string) error {
	_, err := os.Stat(filepath.Join(dataDir, unfinishedDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for an unfinished restore: %w", err)
	}
	return models.Errorf(models.Conflict, "a restore into %s was interrupted: what is there is not whole", dataDir).
		WithField("data-dir").WithRemedy("empty the directory and the database, and restore again")
}

// complete makes the database of what was unpacked, and puts the directory in
// place.
func (s *staging) complete(ctx context.Context) error {
	if err := s.bringKeys(); err != nil {
		return err
	}
	dumped := store.Dumped{Schema: s.manifest.Schema, Tables: s.manifest.Tables, Open: s.openTable}
	if s.DatabaseURL == "" {
		err := store.RestoreSQLite(ctx, filepath.Join(s.dir, "sky.db"), dumped, func(tx *store.Store) error { return s.finish(ctx, tx) })
		if err != nil {
			return fmt.Errorf("restore the database: %w", err)
		}
		if err := os.RemoveAll(filepath.Join(s.dir, unfinishedDir)); err != nil {
			return fmt.Errorf("tidy up: %w", err)
		}
		return s.place()
	}
	err := store.RestorePostgres(ctx, s.DatabaseURL, dumped, func(tx *store.Store) error {
		if err := s.finish(ctx, tx); err != nil {
			return err
		}
		return s.place()
	})
	if err != nil {
		return fmt.Errorf("restore the database: %w", err)
	}
	s.committed = true
	if err := os.RemoveAll(filepath.Join(s.DataDir, unfinishedDir)); err != nil {
		return fmt.Errorf("all is restored, but %s must be removed by hand: %w", filepath.Join(s.DataDir, unfinishedDir), err)
	}
	return durable.SyncDir(s.DataDir)
}

// bringKeys copies the keys that the archive came without.
func (s *staging) bringKeys() error {
	if s.KeysDir == "" {
		return nil
	}
	if err := os.CopyFS(filepath.Join(s.dir, "keys"), os.DirFS(s.KeysDir)); err != nil {
		return models.Errorf(models.Invalid, "copy the keys: %w", err).WithField("keys").WithRemedy("pass a copy of a data directory's keys/")
	}
	return filepath.WalkDir(filepath.Join(s.dir, "keys"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return os.Chmod(path, 0o600)
	})
}

// openTable opens what was unpacked of a table. The directory may be in place
// already.
func (s *staging) openTable(table string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(s.dir, unfinishedDir, table+tableSuffix))
}

// finish makes keys, logs and nodes agree with the restored rows.
func (s *staging) finish(ctx context.Context, tx *store.Store) error {
	vault, err := OpenVault(filepath.Join(s.dir, "keys", "master.json"), true)
	if err != nil {
		return models.Errorf(models.Invalid, "%s", err).WithField("keys").WithRemedy("pass the keys that the backup belongs to")
	}
	if err := tx.RaiseGenerations(ctx, generationJump); err != nil {
		return err
	}
	newest, err := store.NewestSchema()
	if err != nil || s.manifest.Schema != newest {
		return err // rows of an older schema are read after its migration only
	}
	if err := s.checkSecrets(ctx, &Platform{Store: tx, Vault: vault}); err != nil {
		return models.Errorf(models.Invalid, "the keys do not open the backup's secrets: %w", err).WithField("keys").
			WithRemedy("pass the keys that the backup belongs to; nothing was changed")
	}
	return s.reopenLogs(ctx, tx)
}

// checkSecrets opens the Config of every App and of what it runs.
func (s *staging) checkSecrets(ctx context.Context, p *Platform) error {
	rows, err := s.openTable(models.App{}.TableName())
	if err != nil {
		return err
	}
	defer rows.Close()
	apps, err := appIDs(rows)
	if err != nil {
		return err
	}
	for _, id := range apps {
		if _, err := p.config(ctx, id); err != nil {
			return err
		}
		app, err := p.Store.App(ctx, id)
		if err != nil {
			return err
		}
		if app.LiveReleaseID == nil {
			continue
		}
		release, err := p.Store.Release(ctx, *app.LiveReleaseID)
		if err != nil {
			return err
		}
		if _, err := p.configOf(release); err != nil {
			return err
		}
	}
	return nil
}

// reopenLogs lets the logs of Builds go on that ended after the database was
// read: they will be taken up.
func (s *staging) reopenLogs(ctx context.Context, tx *store.Store) error {
	builds, err := tx.UnfinishedBuilds(ctx)
	if err != nil {
		return err
	}
	deployments, err := tx.UnfinishedDeployments(ctx)
	if err != nil {
		return err
	}
	var streams []string
	for _, build := range builds {
		streams = append(streams, buildStream(build.ID))
	}
	for _, deployment := range deployments {
		release, err := tx.Release(ctx, deployment.ReleaseID)
		if err != nil {
			return err
		}
		if release.BuildID != nil {
			streams = append(streams, buildStream(*release.BuildID))
		}
	}
	hub, err := logs.Open(filepath.Join(s.dir, "logs"))
	if err != nil {
		return err
	}
	for _, stream := range streams {
		if err := hub.Reopen(stream); err != nil {
			return errors.Join(err, hub.Close())
		}
	}
	return hub.Close()
}
