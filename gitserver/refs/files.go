package refs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/internal/durable"
)

// dropPacked takes refs out of packed-refs, durably, under git's lock on it.
func (s Store) dropPacked(names map[string]bool) error {
	packed, err := s.packed()
	if err != nil {
		return err
	}
	lines, changed := packed.without(names)
	if !changed {
		return nil
	}
	path := filepath.Join(s.Dir, packedFile)
	file, err := os.OpenFile(path+lockSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("lock packed refs: %w", err)
	}
	_, err = file.WriteString(strings.Join(append(lines, ""), "\n"))
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(path+lockSuffix, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write packed refs: %w", err), os.Remove(path+lockSuffix))
	}
	return durable.SyncDir(s.Dir)
}

// Unlock removes the lock files that a killed process left. Nothing else may be
// writing.
func (s Store) Unlock() error {
	for _, name := range []string{packedFile, "HEAD", "config", "shallow"} {
		if err := os.Remove(s.path(name) + lockSuffix); err != nil && !absent(err) {
			return fmt.Errorf("remove stale lock: %w", err)
		}
	}
	return filepath.WalkDir(filepath.Join(s.Dir, "refs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, lockSuffix) {
			return err
		}
		return os.Remove(path)
	})
}

// makeDirs is os.MkdirAll that makes each new directory durable.
func makeDirs(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := makeDirs(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

func removeEmptyDirs(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.IsDir() {
			removeEmptyDirs(filepath.Join(dir, entry.Name()))
		}
	}
	_ = os.Remove(dir) // fails, as it should, when a file is left
}
