package gitserver

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/refs"
	"github.com/skypanel/sky/models"
)

const (
	hiddenPrefix = "refs/sky/"
	keepPrefix   = hiddenPrefix + "keep/"
	keepMost     = 20
)

// hidden reports whether pushers neither see nor write the ref.
func hidden(name string) bool { return strings.HasPrefix(name, hiddenPrefix) }

// Keep holds oid and all it reaches under the hidden name, so that a failed
// push need not be uploaded again. Only the last 20 names are held: an older
// one gives way. An object that is not there is models.NotFound.
func (r *Repositories) Keep(ctx context.Context, app models.ID, name, oid string) error {
	id, err := object.ParseID(oid)
	if err != nil {
		return models.Errorf(models.Invalid, "%s", err)
	}
	store, err := r.refs(app)
	if err != nil {
		return err
	}
	defer r.lock(app)()
	moves := r.surplus(store, keepPrefix+name)
	old, err := store.Get(keepPrefix + name)
	if err != nil {
		return fmt.Errorf("keep objects: %w", err)
	}
	keep := &refs.Update{Name: keepPrefix + name, Old: old, New: id}
	if err := r.checkPresent(app, keep); err != nil {
		return fmt.Errorf("keep objects: %w", err)
	}
	if err := store.Apply(append(moves, keep), false); err != nil {
		return fmt.Errorf("keep objects: %w", err)
	}
	if keep.Err != nil {
		return fmt.Errorf("keep objects: %w", r.verdict(app, keep))
	}
	return nil
}

// surplus deletes the oldest keeps, so that there is room for one more.
func (r *Repositories) surplus(store refs.Store, except string) []*refs.Update {
	all, err := store.List()
	if err != nil {
		return nil // Keep meets the same error
	}
	type keep struct {
		refs.Ref
		since time.Time
	}
	var keeps []keep
	for _, ref := range all {
		if strings.HasPrefix(ref.Name, keepPrefix) && ref.Name != except {
			keeps = append(keeps, keep{ref, modified(filepath.Join(store.Dir, ref.Name))})
		}
	}
	slices.SortStableFunc(keeps, func(a, b keep) int { return b.since.Compare(a.since) })
	var moves []*refs.Update
	for i := keepMost - 1; i < len(keeps); i++ {
		moves = append(moves, &refs.Update{Name: keeps[i].Name, Old: keeps[i].ID})
	}
	return moves
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Unkeep lets go of what Keep held under name. It does nothing when there is
// no such name.
func (r *Repositories) Unkeep(ctx context.Context, app models.ID, name string) error {
	store, err := r.refs(app)
	if err != nil {
		return err
	}
	defer r.lock(app)()
	old, err := store.Get(keepPrefix + name)
	if err != nil || old.IsZero() {
		return err
	}
	release := &refs.Update{Name: keepPrefix + name, Old: old}
	if err := store.Apply([]*refs.Update{release}, false); err != nil {
		return fmt.Errorf("let go of objects: %w", err)
	}
	return release.Err
}
