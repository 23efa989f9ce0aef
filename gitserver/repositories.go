package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/gitserver/refs"
	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
)

// Repositories keeps one bare repository per App under Dir, as
// "<app id>.git". Its layout is git's own, so that stock git can read it.
// All methods may be called at once from many goroutines; those that write
// hold the App's lock for as long as they last, and none holds it longer.
//
// Errors about an App without a repository are models.NotFound.
type Repositories struct {
	Dir string
	Log *slog.Logger

	states sync.Map // app id to *appState
}

// Ref is a name and the object that it leads to.
type Ref struct {
	Name   string
	Object string
}

const (
	repositorySuffix = ".git"
	quarantineDir    = "quarantine"
	quarantinePrefix = "push-"
)

// Create makes the App's empty repository, durably. It does nothing when
// there is one.
func (r *Repositories) Create(ctx context.Context, app models.ID) error {
	defer r.lock(app)()
	if r.Exists(app) {
		return nil
	}
	if err := os.MkdirAll(r.Dir, 0o700); err != nil {
		return fmt.Errorf("create repositories: %w", err)
	}
	fresh, err := os.MkdirTemp(r.Dir, ".new-*")
	if err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	if err := layOut(fresh); err != nil {
		return errors.Join(fmt.Errorf("create repository: %w", err), os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, r.path(app)); err != nil {
		return errors.Join(fmt.Errorf("create repository: %w", err), os.RemoveAll(fresh))
	}
	return durable.SyncDir(r.Dir)
}

// layOut fills dir as `git init --bare` would, without hooks.
func layOut(dir string) error {
	for _, sub := range []string{"objects/pack", "objects/info", "refs/heads", "refs/tags", quarantineDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	files := map[string]string{
		"HEAD":   "ref: refs/heads/main\n",
		"config": "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n\thooksPath = /dev/null\n",
	}
	for name, content := range files {
		if err := durable.WriteFile(filepath.Join(dir, name), []byte(content)); err != nil {
			return err
		}
	}
	return durable.SyncDir(dir)
}

// Remove deletes the App's repository with all it holds. It does nothing when
// there is none.
func (r *Repositories) Remove(ctx context.Context, app models.ID) error {
	defer r.lock(app)()
	doomed := filepath.Join(r.Dir, ".removed-"+app.String())
	err := os.Rename(r.path(app), doomed)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove repository: %w", err)
	}
	return errors.Join(durable.SyncDir(r.Dir), os.RemoveAll(doomed))
}

// Exists reports whether the App has a repository.
func (r *Repositories) Exists(app models.ID) bool {
	info, err := os.Stat(r.path(app))
	return err == nil && info.IsDir()
}

// Recover removes what a killed process left behind in every repository:
// quarantined packs, lock files, temporary files, half of a pack. Call it before any door opens.
func (r *Repositories) Recover(ctx context.Context) error {
	entries, err := os.ReadDir(r.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list repositories: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		path := filepath.Join(r.Dir, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), ".new-"), strings.HasPrefix(entry.Name(), ".removed-"):
			errs = append(errs, os.RemoveAll(path))
		case strings.HasSuffix(entry.Name(), repositorySuffix):
			errs = append(errs, tidy(path))
		}
	}
	return errors.Join(errs...)
}

// tidy removes what nobody uses when no push is under way.
func tidy(repository string) error {
	errs := []error{refs.Store{Dir: repository}.Unlock()}
	for _, pattern := range []string{quarantineDir + "/" + quarantinePrefix + "*", "objects/pack/*.tmp", "objects/pack/tmp_*", "objects/tmp_*"} {
		paths, err := filepath.Glob(filepath.Join(repository, pattern))
		errs = append(errs, err)
		for _, path := range paths {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	errs = append(errs, removeLoneIndexes(filepath.Join(repository, "objects", "pack")))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("tidy %s: %w", filepath.Base(repository), err)
	}
	return nil
}

// removeLoneIndexes removes the indexes whose pack has not come yet or has gone.
func removeLoneIndexes(dir string) error {
	indexes, err := filepath.Glob(filepath.Join(dir, "pack-*.idx"))
	errs := []error{err}
	for _, index := range indexes {
		if _, err := os.Stat(strings.TrimSuffix(index, ".idx") + ".pack"); errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, os.Remove(index))
		}
	}
	return errors.Join(errs...)
}

// Refs lists the App's branches and tags by name; hidden refs are left out.
func (r *Repositories) Refs(ctx context.Context, app models.ID) ([]Ref, error) {
	all, err := r.allRefs(app)
	if err != nil {
		return nil, err
	}
	var public []Ref
	for _, ref := range all {
		if !hidden(ref.Name) {
			public = append(public, Ref{ref.Name, ref.ID.String()})
		}
	}
	return public, nil
}

func (r *Repositories) allRefs(app models.ID) ([]refs.Ref, error) {
	store, err := r.refs(app)
	if err != nil {
		return nil, err
	}
	return store.List()
}

// Ref returns the object that name leads to, or models.ZeroObject when there is
// no such ref.
func (r *Repositories) Ref(ctx context.Context, app models.ID, name string) (string, error) {
	if err := refs.CheckName(name); err != nil {
		return "", models.Errorf(models.Invalid, "%s", err)
	}
	store, err := r.refs(app)
	if err != nil {
		return "", err
	}
	id, err := store.Get(name)
	return id.String(), err
}

// UpdateRefs moves the refs of every update whose Err is nil and whose Old is
// the ref's present value, durably, and leaves the verdict in Err: a
// models.Error, Conflict when the ref has moved meanwhile, NotFound when the
// object is gone. With atomic, all move or none. It returns an error only when
// it could not try.
func (r *Repositories) UpdateRefs(ctx context.Context, app models.ID, updates []*models.RefUpdate, atomic bool) error {
	store, err := r.refs(app)
	if err != nil {
		return err
	}
	moves := make([]*refs.Update, len(updates))
	for i, update := range updates {
		moves[i] = parseUpdate(update)
	}
	defer r.lock(app)()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.checkPresent(app, moves...); err != nil {
		return err
	}
	if err := store.Apply(moves, atomic); err != nil {
		return fmt.Errorf("update refs: %w", err)
	}
	for i, update := range updates {
		if update.Err == nil {
			update.Err = r.verdict(app, moves[i])
		}
	}
	return nil
}

// checkPresent refuses to lead refs to objects that are not there, or no more.
// The caller holds the App's lock, so that they stay.
func (r *Repositories) checkPresent(app models.ID, moves ...*refs.Update) error {
	db, err := r.openObjects(app)
	if err != nil {
		return err
	}
	for _, move := range moves {
		if move.Err == nil && !move.New.IsZero() && !db.Has(move.New) {
			move.Err = fmt.Errorf("%w: %s", objectdb.ErrNotFound, move.New)
		}
	}
	return db.Close()
}

func parseUpdate(update *models.RefUpdate) *refs.Update {
	move := &refs.Update{Name: update.Name, Err: update.Err}
	var oldErr, newErr error
	move.Old, oldErr = object.ParseID(update.Old)
	move.New, newErr = object.ParseID(update.New)
	if move.Err == nil {
		move.Err = errors.Join(oldErr, newErr)
	}
	return move
}

// verdict gives the store's answer a meaning for the pusher.
func (r *Repositories) verdict(app models.ID, move *refs.Update) error {
	switch {
	case move.Err == nil:
		return nil
	case errors.Is(move.Err, refs.ErrStale), errors.Is(move.Err, refs.ErrAtomic), errors.Is(move.Err, refs.ErrTwice), errors.Is(move.Err, refs.ErrNesting):
		return models.Errorf(models.Conflict, "%w", move.Err)
	case errors.Is(move.Err, refs.ErrLocked):
		return models.Errorf(models.Unavailable, "%w", move.Err)
	case errors.Is(move.Err, objectdb.ErrNotFound):
		return models.Errorf(models.NotFound, "%w", move.Err)
	case refs.CheckName(move.Name) != nil:
		return models.Errorf(models.Invalid, "%w", move.Err)
	}
	r.Log.Error("ref not updated", "app", app, "ref", move.Name, "error", move.Err)
	return &models.Error{Code: models.Internal, Message: "the ref could not be written", Cause: move.Err}
}

// objects opens the App's objects for reading, under its lock: packs are not
// swapped meanwhile. The caller must Close them.
func (r *Repositories) objects(app models.ID, quarantine ...string) (*objectdb.DB, error) {
	defer r.lock(app)()
	return r.openObjects(app, quarantine...)
}

// openObjects is objects for who holds the App's lock.
func (r *Repositories) openObjects(app models.ID, quarantine ...string) (*objectdb.DB, error) {
	if err := r.require(app); err != nil {
		return nil, err
	}
	db, err := objectdb.Open(append(quarantine, filepath.Join(r.path(app), "objects"))...)
	if err != nil {
		return nil, fmt.Errorf("open objects: %w", err)
	}
	return db, nil
}

func (r *Repositories) refs(app models.ID) (refs.Store, error) {
	return refs.Store{Dir: r.path(app)}, r.require(app)
}

func (r *Repositories) require(app models.ID) error {
	if r.Exists(app) {
		return nil
	}
	return models.Errorf(models.NotFound, "app %s has no repository", app)
}

func (r *Repositories) path(app models.ID) string {
	return filepath.Join(r.Dir, app.String()+repositorySuffix)
}

func (r *Repositories) packDir(app models.ID) string {
	return filepath.Join(r.path(app), "objects", "pack")
}
