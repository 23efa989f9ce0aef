package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/models"
)

// Snapshot is a copy of repositories that costs almost no room: its files are
// hard links, for a file of a repository is replaced or removed, never written
// again. Pushes, fetches and deployments go on while it is made and while it is
// read; what they and housekeeping remove, the Snapshot keeps.
//
// It is taken in two steps, so that a database can be read between them. The
// refs are those of the first step. The objects are those of the second, with
// all that the refs lead to and all that was pushed in between: no object goes
// from the first step on until Thaw. Both steps hold an App's lock only as long
// as it takes to link its files.
//
// Its methods must not be called at once from several goroutines.
type Snapshot struct {
	repositories *Repositories
	dir          string
	frozen       map[models.ID]*appState
}

// Freeze begins a Snapshot with the refs that all repositories have now. It
// blocks while a repository is consolidated. The caller must Thaw and Discard
// it.
func (r *Repositories) Freeze(ctx context.Context) (*Snapshot, error) {
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create repositories: %w", err)
	}
	dir, err := os.MkdirTemp(r.Dir, ".new-snapshot-") // Recover removes it, should Sky be killed
	if err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	s := &Snapshot{repositories: r, dir: dir, frozen: map[models.ID]*appState{}}
	if err := s.freeze(ctx); err != nil {
		s.Thaw()
		return nil, errors.Join(fmt.Errorf("begin snapshot: %w", err), s.Discard())
	}
	return s, nil
}

func (s *Snapshot) freeze(ctx context.Context) error {
	entries, err := os.ReadDir(s.repositories.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, isRepository := strings.CutSuffix(entry.Name(), repositorySuffix)
		app, err := models.ParseID(name)
		if !isRepository || err != nil {
			continue
		}
		if err := s.freezeOne(app); err != nil {
			return fmt.Errorf("%s: %w", entry.Name(), err)
		}
	}
	return nil
}

// freezeOne keeps the App's objects and links its refs. A repository that was
// removed meanwhile is left out.
func (s *Snapshot) freezeOne(app models.ID) error {
	state := s.repositories.state(app)
	state.consolidating.Lock()
	s.frozen[app] = state
	defer s.repositories.lock(app)()
	if !s.repositories.Exists(app) {
		return nil
	}
	return s.link(app, "HEAD", "config", "packed-refs", "refs")
}

// Objects adds the App's objects; call it before Thaw. It is NotFound when the
// App has no repository, or no more. An App that is younger than the Snapshot
// gets no refs.
func (s *Snapshot) Objects(ctx context.Context, app models.ID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	defer s.repositories.lock(app)()
	if err := s.repositories.require(app); err != nil {
		return err
	}
	if err := s.link(app, "HEAD", "config", "objects"); err != nil {
		return fmt.Errorf("snapshot of %s: %w", app, err)
	}
	return nil
}

// Dir is where the Snapshot lies: a bare repository for each App, as
// "<app id>.git".
func (s *Snapshot) Dir() string { return s.dir }

// Thaw lets objects go again. It may be called more than once.
func (s *Snapshot) Thaw() {
	for app, state := range s.frozen {
		state.consolidating.Unlock()
		delete(s.frozen, app)
	}
}

// Discard removes the Snapshot from the disk.
func (s *Snapshot) Discard() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove snapshot: %w", err)
	}
	return nil
}

func (s *Snapshot) path(app models.ID) string {
	return filepath.Join(s.dir, app.String()+repositorySuffix)
}

// link links the named files, and all files of the named directories, of the
// App's repository. What a writer has not finished stays out. The caller holds
// the App's lock.
func (s *Snapshot) link(app models.ID, names ...string) error {
	from, to := s.repositories.path(app), s.path(app)
	for _, empty := range []string{"objects/pack", "objects/info", "refs/heads", "refs/tags", quarantineDir} {
		if err := os.MkdirAll(filepath.Join(to, empty), 0o700); err != nil {
			return err
		}
	}
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(from, name), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // packed-refs may be absent; stock git may have removed an empty directory
			}
			if err != nil || unfinished(entry.Name()) {
				return err
			}
			relative, err := filepath.Rel(from, path)
			if err != nil {
				return err
			}
			return linkOne(path, filepath.Join(to, relative), entry)
		})
		if err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	return nil
}

// unfinished reports whether a file of this name is still being written.
func unfinished(name string) bool {
	return strings.HasSuffix(name, ".lock") || strings.HasSuffix(name, ".tmp") || strings.HasPrefix(name, "tmp_")
}

func linkOne(from, to string, entry fs.DirEntry) error {
	if entry.IsDir() {
		return os.MkdirAll(to, 0o700)
	}
	if !entry.Type().IsRegular() {
		return nil
	}
	if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
