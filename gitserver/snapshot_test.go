package gitserver_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/models"
)

// TestSnapshotWhilePushesGoOn: the refs are those of the first step; the objects
// are all there were up to the second, whatever happens to the repository.
func TestSnapshotWhilePushesGoOn(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	app, dir := f.app("demo"), f.work("w")
	first := f.grow(dir, f.sshURL("demo"), "main", 2)
	side := f.grow(dir, f.sshURL("demo"), "side", 1)
	f.git(f.bare(app), "pack-refs", "--all")
	require.NoError(t, f.repos.Keep(ctx, app.ID, "build-1", side))

	snapshot, err := f.repos.Freeze(ctx)
	require.NoError(t, err)
	second := f.grow(dir, f.sshURL("demo"), "main", 1)
	f.git(dir, "push", "-q", f.sshURL("demo"), ":side")
	f.age(f.packs(app)...)
	before := len(f.packs(app))
	require.NoError(t, f.repos.Consolidate(ctx, app.ID))
	assert.Len(t, f.packs(app), before, "no object goes until Thaw")
	young := f.app("young")
	f.git(dir, "push", "-q", f.sshURL("young"), "main")
	require.NoError(t, f.repos.Create(ctx, young.ID))
	require.NoError(t, snapshot.Objects(ctx, app.ID))
	require.NoError(t, snapshot.Objects(ctx, young.ID))
	require.True(t, models.IsCode(snapshot.Objects(ctx, models.NewID()), models.NotFound))
	snapshot.Thaw()
	snapshot.Thaw()
	f.consolidate(app)
	require.NoError(t, f.repos.Remove(ctx, app.ID))

	copied := filepath.Join(snapshot.Dir(), app.ID.String()+".git")
	f.git(copied, "fsck", "--full", "--strict")
	assert.Equal(t, first, f.git(copied, "rev-parse", "refs/heads/main"))
	assert.Equal(t, side, f.git(copied, "rev-parse", "refs/heads/side"))
	assert.Equal(t, side, f.git(copied, "rev-parse", "refs/sky/keep/build-1"))
	f.git(copied, "cat-file", "-e", second)
	empty := filepath.Join(snapshot.Dir(), young.ID.String()+".git")
	assert.Empty(t, f.git(empty, "for-each-ref"))
	f.git(empty, "cat-file", "-e", second)

	require.NoError(t, snapshot.Discard())
	_, err = os.Stat(snapshot.Dir())
	assert.True(t, os.IsNotExist(err))
}

// TestRecoverRemovesASnapshotThatAKilledProcessLeft along with the rest.
func TestRecoverRemovesASnapshotThatAKilledProcessLeft(t *testing.T) {
	f := newFixture(t)
	f.app("demo")
	snapshot, err := f.repos.Freeze(t.Context())
	require.NoError(t, err)
	require.NoError(t, f.repos.Recover(t.Context()))
	_, err = os.Stat(snapshot.Dir())
	assert.True(t, os.IsNotExist(err))
	snapshot.Thaw()
}
