package platform

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/models"
)

// Snapshots copies the Apps' repositories while pushes go on.
type Snapshots interface {
	// Freeze begins a Snapshot with the refs that the repositories have now.
	// From then on no object goes, until Thaw.
	Freeze(ctx context.Context) (Snapshot, error)
}

// Snapshot is a copy of the repositories, each as "<app id>.git" under Dir.
type Snapshot interface {
	// Objects adds an App's objects; NotFound when its repository is gone.
	Objects(ctx context.Context, app models.ID) error
	Thaw()
	Dir() string
	Discard() error
}

// Backups takes backups of a running Platform.
type Backups struct {
	Platform     *Platform
	Repositories Snapshots
	// Version is Sky's own.
	Version string
}

// BackupOptions leave things out of a backup.
type BackupOptions struct {
	// WithoutKeys leaves out the key ring, the git server's host keys and the
	// first admin's token; whoever restores must bring the keys.
	WithoutKeys bool
	WithoutLogs bool
	// WithoutImages leaves out what the registry has for nodes.
	WithoutImages bool
}

// Backup is what was taken of the platform, on this server's disk. It must be
// closed.
type Backup struct {
	manifest Manifest
	dataDir  string
	tables   map[string]*os.File
	snapshot Snapshot
	apps     []models.ID
}

// backupAttempts bounds how often an App that is destroyed meanwhile makes Begin
// start over.
const backupAttempts = 5

// Begin takes the database and the repositories as they are; Write then sends
// them, as slowly as the reader likes. Pushes and deployments go on.
//
// The order is that of a crash, which the next start knows how to mend: the refs
// first, then the database, then the objects, none of which goes meanwhile. Every
// ref leads to objects that are there, and so does every commit that the database
// names. A deploy branch may be older than what the database calls live, and
// follows at the start; were it newer, nobody could push what it says again.
//
// It is Forbidden to all but the platform's admins.
func (b *Backups) Begin(ctx context.Context, actor models.Actor, options BackupOptions) (*Backup, error) {
	if err := permitPlatform(actor); err != nil {
		return nil, err
	}
	if b == nil {
		return nil, models.Errorf(models.Unavailable, "this server takes no backups")
	}
	for range backupAttempts {
		backup, err := b.take(ctx, options)
		if errors.Is(err, errDestroyed) {
			continue
		}
		if err == nil {
			taken := fmt.Sprintf("keys=%t logs=%t", backup.manifest.Keys, backup.manifest.Logs)
			b.Platform.record(ctx, actor, fact{kind: "platform.backup", detail: taken})
		}
		return backup, err
	}
	return nil, models.Errorf(models.Unavailable, "apps are being destroyed faster than they can be copied").
		WithRemedy("try again when that is done")
}

// errDestroyed means that an App was destroyed after the database was read.
var errDestroyed = errors.New("an app was destroyed meanwhile")

func (b *Backups) take(ctx context.Context, options BackupOptions) (*Backup, error) {
	backup := &Backup{dataDir: b.Platform.Settings.DataDir, tables: map[string]*os.File{}}
	err := b.fill(ctx, backup)
	if err != nil {
		return nil, errors.Join(err, backup.Close())
	}
	backup.manifest.Format, backup.manifest.Sky, backup.manifest.Time = archiveFormat, b.Version, now()
	backup.manifest.Keys, backup.manifest.Logs, backup.manifest.Images = !options.WithoutKeys, !options.WithoutLogs, !options.WithoutImages
	return backup, nil
}

func (b *Backups) fill(ctx context.Context, backup *Backup) error {
	var err error
	if backup.snapshot, err = b.Repositories.Freeze(ctx); err != nil {
		return fmt.Errorf("copy refs: %w", err)
	}
	defer backup.snapshot.Thaw()
	dump, err := b.Platform.Store.Dump(ctx, backup.spool)
	if err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	backup.manifest = Manifest{Engine: dump.Engine, Schema: dump.Schema, Tables: dump.Tables}
	apps, err := appIDs(io.NewSectionReader(backup.tables[models.App{}.TableName()], 0, math.MaxInt64))
	if err != nil {
		return err
	}
	backup.manifest.Apps = len(apps)
	for _, app := range apps {
		if err := b.copyObjects(ctx, backup, app); err != nil {
			return err
		}
	}
	return nil
}

// copyObjects adds the App's repository. One that is gone though its App is
// still there was lost before, and does not stand in the way of a backup.
func (b *Backups) copyObjects(ctx context.Context, backup *Backup, app models.ID) error {
	err := backup.snapshot.Objects(ctx, app)
	if err == nil {
		backup.apps = append(backup.apps, app)
		return nil
	}
	if !models.IsCode(err, models.NotFound) {
		return fmt.Errorf("copy objects: %w", err)
	}
	_, err = b.Platform.Store.App(ctx, app)
	if models.IsCode(err, models.NotFound) {
		return errDestroyed
	}
	b.Platform.Log.Warn("the backup lacks a repository: it is gone", "app", app)
	return err
}

// spool makes the file that a table is kept in. It has no name, so that nothing
// is left of it when Sky is killed.
func (b *Backup) spool(table string) (io.Writer, error) {
	file, err := os.CreateTemp(b.dataDir, ".backup-*")
	if err != nil {
		return nil, fmt.Errorf("keep %s: %w", table, err)
	}
	b.tables[table] = file
	if err := os.Remove(file.Name()); err != nil {
		return nil, fmt.Errorf("keep %s: %w", table, err)
	}
	return file, nil
}

// appIDs are the Apps in a table of them.
func appIDs(rows io.Reader) ([]models.ID, error) {
	var ids []models.ID
	decoder := json.NewDecoder(bufio.NewReader(rows))
	for {
		row := struct {
			ID models.ID `json:"id"`
		}{}
		if err := decoder.Decode(&row); errors.Is(err, io.EOF) {
			return ids, nil
		} else if err != nil {
			return nil, fmt.Errorf("read apps: %w", err)
		}
		ids = append(ids, row.ID)
	}
}

// Manifest says what the backup holds.
func (b *Backup) Manifest() Manifest { return b.manifest }

// Write sends the archive. One that it returned an error for is not whole, and
// is refused by whoever reads it.
func (b *Backup) Write(ctx context.Context, to io.Writer) error {
	archive, err := newArchiveWriter(to)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(b.manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	steps := []func() error{
		func() error { return archive.text(manifestName, append(text, '\n')) },
		func() error { return b.writeTables(archive) },
		func() error { return b.writeRepositories(ctx, archive) },
		func() error { return b.writeKeys(ctx, archive) },
		func() error { return b.writeLogs(ctx, archive) },
		func() error { return b.writeImages(ctx, archive) },
		archive.finish,
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of the disk space that the backup takes.
func (b *Backup) Close() error {
	var errs []error
	for _, file := range b.tables {
		errs = append(errs, file.Close())
	}
	if b.snapshot != nil {
		errs = append(errs, b.snapshot.Discard())
	}
	return errors.Join(errs...)
}

func (b *Backup) writeTables(archive *archiveWriter) error {
	for _, table := range b.manifest.Tables {
		file := b.tables[table.Name]
		size, err := file.Seek(0, io.SeekEnd)
		if err != nil {
			return fmt.Errorf("archive %s: %w", table.Name, err)
		}
		content := io.NewSectionReader(file, 0, size)
		if err := archive.add(databasePrefix+table.Name+tableSuffix, size, b.manifest.Time, content); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backup) writeRepositories(ctx context.Context, archive *archiveWriter) error {
	add := func(path, name string) error { return archiveFile(archive, path, name) }
	for _, app := range b.apps {
		name := app.String() + ".git"
		if err := archiveTree(ctx, archive, filepath.Join(b.snapshot.Dir(), name), repositoriesPart+"/"+name, add); err != nil {
			return err
		}
	}
	return nil
}

func (b *Backup) writeKeys(ctx context.Context, archive *archiveWriter) error {
	if !b.manifest.Keys {
		return nil
	}
	add := func(path, name string) error { return archiveFile(archive, path, name) }
	if err := archiveTree(ctx, archive, filepath.Join(b.dataDir, keysPart), keysPart, add); err != nil {
		return err
	}
	token := TokenFile(b.dataDir)
	if err := archiveFile(archive, token, filepath.Base(token)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // it was deleted, as its owner is told to
}

// writeLogs sends the logs as they are now. A segment that is compressed
// meanwhile is sent in one of its forms.
func (b *Backup) writeLogs(ctx context.Context, archive *archiveWriter) error {
	if !b.manifest.Logs {
		return nil
	}
	const packed = ".zst"
	sent := ""
	return archiveTree(ctx, archive, filepath.Join(b.dataDir, logsPart), logsPart, func(path, name string) error {
		path, name = strings.TrimSuffix(path, packed), strings.TrimSuffix(name, packed)
		if path == sent { // both were there: they are neighbours
			return nil
		}
		sent = path
		for _, form := range []string{packed, "", packed} {
			err := archiveFile(archive, path+form, name+form)
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil // its app was destroyed
	})
}

// writeImages sends the registry. Its files never change; what is swept meanwhile,
// no release of the backup names.
func (b *Backup) writeImages(ctx context.Context, archive *archiveWriter) error {
	if !b.manifest.Images {
		return nil
	}
	return archiveTree(ctx, archive, filepath.Join(b.dataDir, imagesPart), imagesPart, func(path, name string) error {
		err := archiveFile(archive, path, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// uploadsDir is where a registry keeps what is being pushed.
const uploadsDir = "_uploads"

// archiveTree adds a directory with all that is in it, each file by add, but for
// what is still being written. Files may come and go meanwhile.
func archiveTree(ctx context.Context, archive *archiveWriter, dir, name string, add func(path, name string) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		inArchive := filepath.ToSlash(filepath.Join(name, relative))
		if entry.IsDir() && entry.Name() == uploadsDir {
			return filepath.SkipDir
		}
		if entry.IsDir() {
			return archive.directory(inArchive)
		}
		if !entry.Type().IsRegular() || strings.HasSuffix(path, ".tmp") {
			return nil
		}
		return add(path, inArchive)
	})
}

// archiveFile adds a file as long as it is now.
func archiveFile(archive *archiveWriter, path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	return archive.add(name, info.Size(), info.ModTime(), file)
}
