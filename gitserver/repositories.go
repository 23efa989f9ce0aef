package gitserver

import (
	"context"
	"log/slog"

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
}

// Ref is a name and the object that it leads to.
type Ref struct {
	Name   string
	Object string
}

// Create makes the App's empty repository, durably. It does nothing when
// there is one.
func (r *Repositories) Create(ctx context.Context, app models.ID) error { panic("unwritten") }

// Remove deletes the App's repository with all it holds. It does nothing when
// there is none.
func (r *Repositories) Remove(ctx context.Context, app models.ID) error { panic("unwritten") }

// Exists reports whether the App has a repository.
func (r *Repositories) Exists(app models.ID) bool { panic("unwritten") }

// Recover removes what a killed process left behind in every repository:
// quarantined packs, lock files, temporary files. Call it before any door opens.
func (r *Repositories) Recover(ctx context.Context) error { panic("unwritten") }

// Refs lists the App's branches and tags by name; hidden refs are left out.
func (r *Repositories) Refs(ctx context.Context, app models.ID) ([]Ref, error) { panic("unwritten") }

// Ref returns the object that name leads to, or models.ZeroObject when there is
// no such ref.
func (r *Repositories) Ref(ctx context.Context, app models.ID, name string) (string, error) {
	panic("unwritten")
}

// UpdateRefs moves the refs of every update whose Err is nil and whose Old is
// the ref's present value, durably, and leaves the verdict in Err. With atomic,
// all move or none. It returns an error only when it could not try.
func (r *Repositories) UpdateRefs(ctx context.Context, app models.ID, updates []*models.RefUpdate, atomic bool) error {
	panic("unwritten")
}

// IsAncestor reports whether ancestor can be reached from descendant, so that
// moving a branch from one to the other is a fast-forward. A commit is its own
// ancestor, and ZeroObject is everybody's.
func (r *Repositories) IsAncestor(ctx context.Context, app models.ID, ancestor, descendant string) (bool, error) {
	panic("unwritten")
}

// Commit describes the commit oid. A tag is followed to its commit. An unknown
// object is models.NotFound.
func (r *Repositories) Commit(ctx context.Context, app models.ID, oid string) (models.Commit, error) {
	panic("unwritten")
}

// Keep holds oid and all it reaches under the hidden name, so that a failed
// push need not be uploaded again. Only the last 20 names are held: an older
// one gives way.
func (r *Repositories) Keep(ctx context.Context, app models.ID, name, oid string) error {
	panic("unwritten")
}

// Unkeep lets go of what Keep held under name. It does nothing when there is
// no such name.
func (r *Repositories) Unkeep(ctx context.Context, app models.ID, name string) error {
	panic("unwritten")
}

// Tree opens the files of one commit. The caller must Close it.
func (r *Repositories) Tree(ctx context.Context, app models.ID, commit string) (*Tree, error) {
	panic("unwritten")
}
