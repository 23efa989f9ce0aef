package platform

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
	"golang.org/x/sys/unix"
)

// staging is the directory beside the data directory that is to become it.
type staging struct {
	Restore
	dir       string
	lock      *os.File
	existed   bool // the data directory, empty
	placed    bool
	committed bool // PostgreSQL has the rows: nothing is undone any more
	manifest  Manifest
}

// stage checks that the data directory is empty and makes the staging directory,
// in place of one that a killed restore left.
func (r Restore) stage() (*staging, error) {
	target, err := filepath.Abs(r.DataDir)
	if err != nil {
		return nil, fmt.Errorf("find the data directory: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(target); err == nil {
		target = resolved
	}
	r.DataDir = target
	s := &staging{Restore: r, dir: filepath.Join(filepath.Dir(target), "."+filepath.Base(target)+".restoring")}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory's parent: %w", err)
	}
	if s.existed, err = checkEmptyDir(target); err != nil {
		return nil, err
	}
	if err := s.claim(); err != nil {
		return nil, err
	}
	return s, nil
}

// checkEmptyDir refuses a directory that has something in it, or that could not
// be replaced by a rename.
func checkEmptyDir(path string) (exists bool, err error) {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look into the data directory: %w", err)
	}
	if len(entries) > 0 {
		return true, models.Errorf(models.Conflict, "the data directory %s is not empty: it holds %s", path, entries[0].Name()).
			WithField("data-dir").WithRemedy("restore into one that does not exist yet; nothing was changed")
	}
	var inside, outside unix.Stat_t
	if err := errors.Join(unix.Stat(path, &inside), unix.Stat(filepath.Dir(path), &outside)); err != nil {
		return true, fmt.Errorf("look at the data directory: %w", err)
	}
	if inside.Dev != outside.Dev {
		return true, models.Errorf(models.Invalid, "the data directory %s is a file system of its own", path).WithField("data-dir").
			WithRemedy("restore into a directory on it, such as %s", filepath.Join(path, "sky"))
	}
	return true, nil
}

// claim makes the staging directory this process's alone.
func (s *staging) claim() error {
	if err := os.Mkdir(s.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a directory beside the data directory: %w", err)
	}
	var err error
	if s.lock, err = os.Open(s.dir); err != nil {
		return fmt.Errorf("lock %s: %w", s.dir, err)
	}
	if err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		busy := models.Errorf(models.Conflict, "another restore into %s is under way", s.DataDir).WithField("data-dir").
			WithRemedy("wait until it ends")
		return errors.Join(busy, s.lock.Close())
	}
	left, err := os.ReadDir(s.dir)
	if err != nil {
		return errors.Join(fmt.Errorf("look into %s: %w", s.dir, err), s.lock.Close())
	}
	for _, entry := range left {
		if err := os.RemoveAll(filepath.Join(s.dir, entry.Name())); err != nil {
			return errors.Join(fmt.Errorf("remove what a killed restore left: %w", err), s.lock.Close())
		}
	}
	return nil
}

// end removes what is not to stay.
func (s *staging) end(keep bool) error {
	var errs []error
	if !keep && s.placed {
		errs = append(errs, s.displace())
	}
	if !keep {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// take unpacks one member.
func (s *staging) take(manifest Manifest, found member, content io.Reader) error {
	if err := s.checkKeys(manifest); err != nil {
		return err
	}
	path := filepath.Join(s.dir, filepath.FromSlash(found.name))
	if part, rest, _ := strings.Cut(found.name, "/"); part == databasePart {
		path = filepath.Join(s.dir, unfinishedDir, filepath.FromSlash(rest))
	}
	if found.directory {
		return os.MkdirAll(path, 0o700)
	}
	if err := unpackFile(path, found, content); err != nil {
		return fmt.Errorf("unpack %s: %w", found.name, err)
	}
	return nil
}

// checkKeys wants the keys from exactly one place.
func (s *staging) checkKeys(manifest Manifest) error {
	refused := models.Errorf(models.Invalid, "the backup has its keys in it").WithField("keys").WithRemedy("leave --keys out")
	if !manifest.Keys {
		refused = models.Errorf(models.Invalid, "the backup was made without keys, and nothing in it can be unsealed without them").
			WithField("keys").WithRemedy("pass --keys DIR, a copy of the keys/ of the data directory that it was made of")
	}
	if manifest.Keys == (s.KeysDir == "") {
		return nil
	}
	return refused
}

func unpackFile(path string, found member, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Chtimes(path, found.modified, found.modified) // keeps and garbage are told by their age
}

// place makes the staging directory the data directory, durably with all that is
// in it.
func (s *staging) place() error {
	if err := unix.Syncfs(int(s.lock.Fd())); err != nil {
		return fmt.Errorf("write to the disk: %w", err)
	}
	if err := os.Rename(s.dir, s.DataDir); err != nil {
		return fmt.Errorf("put the data directory in place: %w", err)
	}
	s.placed = true
	return durable.SyncDir(filepath.Dir(s.DataDir))
}

// displace undoes place.
func (s *staging) displace() error {
	if err := os.Rename(s.DataDir, s.dir); err != nil {
		return fmt.Errorf("take the data directory out again: %w", err)
	}
	if s.existed {
		return os.Mkdir(s.DataDir, 0o700)
	}
	return nil
}
