package gitserver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/models"
)

func TestRepositoriesComeAndGo(t *testing.T) {
	f := newFixture(t)
	app := f.app("demo")
	ctx := t.Context()
	assert.True(t, f.repos.Exists(app.ID))
	require.NoError(t, f.repos.Create(ctx, app.ID), "again")
	f.git(f.bare(app), "fsck")
	require.NoError(t, f.repos.Remove(ctx, app.ID))
	require.NoError(t, f.repos.Remove(ctx, app.ID), "again")
	assert.False(t, f.repos.Exists(app.ID))
	_, err := f.repos.Ref(ctx, app.ID, "refs/heads/main")
	assert.True(t, models.IsCode(err, models.NotFound), err)
	_, err = f.repos.Tree(ctx, app.ID, models.ZeroObject)
	assert.True(t, models.IsCode(err, models.NotFound), err)
}

func TestRecoverRemovesWhatAKilledProcessLeft(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	left := []string{"quarantine/push-1/pack/incoming-1.tmp", "refs/heads/main.lock", "packed-refs.lock", "objects/pack/incoming-2.tmp", "objects/pack/tmp_pack_x"}
	for _, name := range left {
		path := filepath.Join(f.bare(app), name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	f.commit(dir, "a", "a")
	f.gitFails(dir, "push", f.sshURL("demo"), "main")
	require.NoError(t, f.repos.Recover(t.Context()))
	for _, name := range left {
		assert.NoFileExists(t, filepath.Join(f.bare(app), name))
	}
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	f.sound(app)
}

func TestHistory(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	first := f.git(dir, "rev-parse", "main")
	second := f.commit(dir, "a", "a")
	f.git(dir, "tag", "-am", "note", "v1")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main", "v1")
	for _, c := range []struct {
		ancestor, descendant string
		want                 bool
	}{{first, second, true}, {second, first, false}, {first, first, true}, {models.ZeroObject, first, true}} {
		got, err := f.repos.IsAncestor(t.Context(), app.ID, c.ancestor, c.descendant)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, "%s of %s", c.ancestor, c.descendant)
	}
	commit, err := f.repos.Commit(t.Context(), app.ID, f.git(dir, "rev-parse", "v1"))
	require.NoError(t, err)
	assert.Equal(t, models.Commit{ID: second, Subject: "change a", Author: "t <t@example.invalid>", Message: "change a\n"}, commit)
	_, err = f.repos.Commit(t.Context(), app.ID, strings.Repeat("1", 40))
	assert.True(t, models.IsCode(err, models.NotFound), err)
	_, err = f.repos.Commit(t.Context(), app.ID, "HEAD;id") // A19
	assert.True(t, models.IsCode(err, models.Invalid), err)
}

func TestUpdateRefs(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	one := f.git(dir, "rev-parse", "main")
	two := f.commit(dir, "a", "a")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	f.git(f.bare(app), "pack-refs", "--all")
	update := func(name, before, after string) *models.RefUpdate {
		return &models.RefUpdate{Name: name, Old: before, New: after}
	}
	apply := func(atomic bool, updates ...*models.RefUpdate) []string {
		t.Helper()
		require.NoError(t, f.repos.UpdateRefs(t.Context(), app.ID, updates, atomic))
		verdicts := make([]string, len(updates))
		for i, u := range updates {
			if u.Err != nil {
				verdicts[i] = u.Err.Error()
			}
		}
		return verdicts
	}
	zero := models.ZeroObject
	assert.Equal(t, []string{"fetch first"}, apply(false, update("refs/heads/main", one, two)))
	assert.Equal(t, []string{"", "fetch first"}, apply(false, update("refs/heads/a", zero, one), update("refs/heads/main", zero, one)))
	assert.Equal(t, []string{"atomic push failure", "fetch first"}, apply(true, update("refs/heads/b", zero, one), update("refs/heads/main", zero, one)))
	assert.Equal(t, zero, f.refOf(app, "refs/heads/b"))
	assert.Contains(t, apply(false, update("refs/heads/a/b", zero, one))[0], "cannot lie inside another")
	assert.Contains(t, apply(true, update("refs/heads/a", one, zero), update("refs/heads/a/b", zero, one))[1], "cannot lie inside another")
	assert.Equal(t, []string{""}, apply(false, update("refs/heads/a", one, zero)))
	assert.Equal(t, []string{""}, apply(false, update("refs/heads/a/b", zero, one)))
	assert.Equal(t, []string{"", "multiple updates for one ref"}, apply(false, update("refs/heads/x", zero, one), update("refs/heads/x", zero, two)))
	assert.Equal(t, []string{""}, apply(false, update("refs/heads/main", two, zero)), "a packed ref")
	assert.Contains(t, apply(false, update("refs/heads/../../hooks/x", zero, one))[0], "funny refname") // B10
	names := f.git(f.bare(app), "for-each-ref", "--format=%(refname)")
	assert.Equal(t, "refs/heads/a/b\nrefs/heads/x", names)
}

func TestKeepHoldsTheLastTwenty(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	tip := f.git(dir, "rev-parse", "main")
	for i := range 25 {
		require.NoError(t, f.repos.Keep(t.Context(), app.ID, fmt.Sprint("push", i), tip))
	}
	require.NoError(t, f.repos.Keep(t.Context(), app.ID, "push24", tip), "again")
	kept := strings.Fields(f.git(f.bare(app), "for-each-ref", "--format=%(refname)", "refs/sky/"))
	assert.Len(t, kept, 20)
	require.NoError(t, f.repos.Unkeep(t.Context(), app.ID, "push24"))
	require.NoError(t, f.repos.Unkeep(t.Context(), app.ID, "push24"), "again")
	public, err := f.repos.Refs(t.Context(), app.ID)
	require.NoError(t, err)
	require.Len(t, public, 1)
	assert.Equal(t, "refs/heads/main", public[0].Name)
}

func TestRefNamesOfAttackersAreRefused(t *testing.T) { // A5 A7 B10
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main:refs/heads/fix#12")
	for _, name := range []string{"refs/replace/x", "refs/internal/x", "refs/sky/keep/x", "refs/notes/x", "refs/heads/-x", "refs/heads/--exec=id"} {
		cmd := f.command(dir, "push", f.sshURL("demo"), "main:"+name)
		assert.Error(t, cmd.Run(), name)
	}
	assert.Equal(t, "refs/heads/fix#12", f.git(f.bare(app), "for-each-ref", "--format=%(refname)"))
}
