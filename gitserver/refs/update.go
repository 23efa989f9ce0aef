package refs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/internal/durable"
)

// The verdicts that have a meaning to a pusher.
var (
	ErrStale   = errors.New("fetch first") // the ref is not at Old
	ErrAtomic  = errors.New("atomic push failure")
	ErrLocked  = errors.New("another program holds the ref's lock")
	ErrTwice   = errors.New("multiple updates for one ref")
	ErrNesting = errors.New("a ref cannot lie inside another")
)

// Update asks to move one ref from Old to New; object.Zero stands for "absent".
type Update struct {
	Name     string
	Old, New object.ID
	// Err is the verdict: nil once the ref has moved. An update that has one
	// before is left alone.
	Err error
}

func (u *Update) deletes() bool { return u.New.IsZero() }

// Apply moves the refs, durably: all locks first, then every comparison, then
// the renames. With atomic, one refusal is a refusal of all. Callers in this
// process must take turns; a lock that another process holds is ErrLocked.
// Apply returns an error only when it could not read the refs.
func (s Store) Apply(updates []*Update, atomic bool) error {
	present, err := s.List()
	if err != nil {
		return err
	}
	t := &transaction{store: s, names: map[string]bool{}, dirs: map[string]bool{}}
	defer t.unlock()
	t.prepare(present, updates)
	if atomic && t.refuseAll(updates) {
		return nil
	}
	t.commit()
	return nil
}

// transaction is one Apply.
type transaction struct {
	store Store
	names map[string]bool // that will exist
	held  []*held
	dirs  map[string]bool // to sync
}

// held is an update whose ref is locked.
type held struct {
	*Update
	lock string // "" once the lock has become the ref
}

func (t *transaction) prepare(present []Ref, updates []*Update) {
	for _, ref := range present {
		t.names[ref.Name] = true
	}
	seen := map[string]bool{}
	for _, u := range updates {
		if u.Err != nil {
			continue
		}
		if seen[u.Name] {
			u.Err = ErrTwice
			continue
		}
		seen[u.Name] = true
		u.Err = t.hold(u)
	}
}

// hold locks the ref of one update and compares.
func (t *transaction) hold(u *Update) error {
	if err := CheckName(u.Name); err != nil {
		return err
	}
	if !u.deletes() {
		if err := t.checkNesting(u.Name); err != nil {
			return err
		}
		t.names[u.Name] = true
	}
	path := t.store.path(u.Name)
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return fmt.Errorf("make ref directory: %w", err)
	}
	file, err := os.OpenFile(path+lockSuffix, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return ErrLocked
	}
	if err != nil {
		return fmt.Errorf("lock ref: %w", err)
	}
	t.held = append(t.held, &held{Update: u, lock: path + lockSuffix})
	return errors.Join(t.write(file, u), file.Close())
}

func (t *transaction) write(file *os.File, u *Update) error {
	current, err := t.store.Get(u.Name)
	if err != nil {
		return err
	}
	if current != u.Old {
		return ErrStale
	}
	if u.deletes() {
		return nil
	}
	if _, err := file.WriteString(u.New.String() + "\n"); err != nil {
		return fmt.Errorf("write ref: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync ref: %w", err)
	}
	return nil
}

// checkNesting refuses refs/heads/a/b beside refs/heads/a, even when the latter
// goes in the same transaction: both need one name on disk at once.
func (t *transaction) checkNesting(name string) error {
	for i := len("refs/"); i < len(name); i++ {
		if name[i] == '/' && t.names[name[:i]] {
			return fmt.Errorf("%w: %q exists", ErrNesting, name[:i])
		}
	}
	for other := range t.names {
		if strings.HasPrefix(other, name+"/") {
			return fmt.Errorf("%w: %q exists", ErrNesting, other)
		}
	}
	return nil
}

func (t *transaction) refuseAll(updates []*Update) bool {
	refused := false
	for _, u := range updates {
		refused = refused || u.Err != nil
	}
	for _, u := range updates {
		if refused && u.Err == nil {
			u.Err = ErrAtomic
		}
	}
	return refused
}

func (t *transaction) commit() {
	deleted := map[string]bool{}
	for _, h := range t.held {
		if h.Err == nil && h.deletes() {
			deleted[h.Name] = true
		}
	}
	packedErr := t.store.dropPacked(deleted)
	for _, h := range t.held {
		if h.Err != nil {
			continue
		}
		if h.deletes() {
			h.Err = errors.Join(packedErr, t.remove(h))
		} else {
			h.Err = t.rename(h)
		}
	}
	t.sync()
}

func (t *transaction) rename(h *held) error {
	path := t.store.path(h.Name)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		removeEmptyDirs(path) // left behind by refs that were deleted
	}
	if err := os.Rename(h.lock, path); err != nil {
		return fmt.Errorf("write ref: %w", err)
	}
	h.lock = ""
	t.dirs[filepath.Dir(path)] = true
	return nil
}

func (t *transaction) remove(h *held) error {
	path := t.store.path(h.Name)
	t.dirs[filepath.Dir(path)] = true
	if err := os.Remove(path); err != nil && !absent(err) {
		return fmt.Errorf("delete ref: %w", err)
	}
	return nil
}

// sync makes the renames durable; a ref whose directory cannot be synced is
// reported as failed, because the next power cut may undo it.
func (t *transaction) sync() {
	for dir := range t.dirs {
		err := durable.SyncDir(dir)
		for _, h := range t.held {
			if err != nil && filepath.Dir(t.store.path(h.Name)) == dir {
				h.Err = errors.Join(h.Err, err)
			}
		}
	}
}

func (t *transaction) unlock() {
	for _, h := range t.held {
		if h.lock != "" {
			_ = os.Remove(h.lock)
		}
	}
}
