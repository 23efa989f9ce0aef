package gitserver_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/skypanel/sky/models"
)

// packs lists an App's packs.
func (f *fixture) packs(app models.App) []string {
	f.t.Helper()
	packs, err := filepath.Glob(filepath.Join(f.bare(app), "objects/pack/*.pack"))
	require.NoError(f.t, err)
	return packs
}

// grow pushes n commits, one at a time.
func (f *fixture) grow(dir, url, branch string, n int) (tip string) {
	f.t.Helper()
	for i := range n {
		content, err := os.ReadFile(filepath.Join(dir, "file"))
		require.NoError(f.t, err)
		tip = f.commit(dir, "file", fmt.Sprintf("%sgrown %d %s\n", content, i, branch))
		f.git(dir, "push", "-q", url, "HEAD:"+branch)
	}
	return tip
}

// age makes packs look older than garbage may get.
func (f *fixture) age(packs ...string) {
	f.t.Helper()
	then := time.Now().AddDate(0, -1, 0)
	for _, pack := range packs {
		require.NoError(f.t, os.Chtimes(pack, then, then))
	}
}

func (f *fixture) consolidate(app models.App) {
	f.t.Helper()
	require.NoError(f.t, f.repos.Consolidate(f.t.Context(), app.ID))
	f.sound(app)
}

func (f *fixture) has(app models.App, id string) bool {
	return f.command(f.bare(app), "cat-file", "-e", id).Run() == nil
}

func TestConsolidateMakesOnePackOfMany(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	tip := f.grow(dir, f.sshURL("demo"), "main", 6)
	f.git(dir, "tag", "-am", "one", "v1", "HEAD~2")
	f.git(dir, "push", "-q", f.sshURL("demo"), "v1")
	side := f.grow(dir, f.sshURL("demo"), "side", 1)
	require.NoError(t, f.repos.Keep(t.Context(), app.ID, "x", side))
	f.git(dir, "push", "-q", f.sshURL("demo"), ":side")
	tree, err := f.repos.Tree(t.Context(), app.ID, tip)
	require.NoError(t, err)
	defer tree.Close()
	all := f.git(f.bare(app), "rev-list", "--all", "--objects", "--no-object-names")
	require.Len(t, f.packs(app), 8)

	f.consolidate(app)
	require.Len(t, f.packs(app), 1)
	assert.Equal(t, all, f.git(f.bare(app), "rev-list", "--all", "--objects", "--no-object-names"))
	content, err := tree.ReadFile("file")
	require.NoError(t, err, "of a tree that was opened before")
	assert.Contains(t, string(content), "grown 5 main")
	f.git(f.dir, "clone", "-q", f.sshURL("demo"), "copy")
	assert.Equal(t, tip, f.git(filepath.Join(f.dir, "copy"), "rev-parse", "HEAD"))

	before := f.packs(app)
	f.consolidate(app)
	assert.Equal(t, before, f.packs(app), "again")
	f.grow(dir, f.sshURL("demo"), "main", 1)
	f.consolidate(app)
	assert.Len(t, f.packs(app), 1)
}

func TestConsolidateKeepsDeltasOfManyPushes(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.grow(dir, f.sshURL("demo"), "main", 10)
	f.consolidate(app)
	verbose := f.git(f.bare(app), "verify-pack", "-v", f.packs(app)[0])
	whole := 0
	for line := range strings.Lines(verbose) {
		if fields := strings.Fields(line); len(fields) == 5 && fields[1] == "blob" {
			whole++
		}
	}
	assert.Equal(t, 1, whole, "of eleven versions of one file:\n%s", verbose)
}

func TestConsolidateIfDueWaitsForFiftyPacks(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	due := func() int {
		require.NoError(t, f.repos.ConsolidateIfDue(t.Context(), app.ID))
		return len(f.packs(app))
	}
	lonely := func(i int) {
		blob := f.command(f.bare(app), "hash-object", "-w", "--stdin")
		blob.Stdin = strings.NewReader(fmt.Sprint("blob ", i))
		id, err := blob.Output()
		require.NoError(t, err)
		pack := f.command(f.bare(app), "pack-objects", "-q", "objects/pack/pack")
		pack.Stdin = strings.NewReader(string(id))
		require.NoError(t, pack.Run())
	}
	for i := range 49 {
		lonely(i)
	}
	assert.Equal(t, 50, due(), "not yet")
	lonely(49)
	assert.Equal(t, 51, due(), "young garbage stays")
	f.age(f.packs(app)...)
	assert.Equal(t, 51, due(), "nothing has come since the last time")
	f.consolidate(app)
	assert.Len(t, f.packs(app), 1)
}

func TestConsolidateOfNothing(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.consolidate(app)
	f.git(dir, "push", "-q", f.sshURL("demo"), "main:side")
	f.git(dir, "push", "-q", f.sshURL("demo"), ":side")
	f.consolidate(app)
	require.Len(t, f.packs(app), 1, "young garbage")
	f.age(f.packs(app)...)
	f.consolidate(app)
	assert.Empty(t, f.packs(app))
	err := f.repos.Consolidate(t.Context(), models.NewID())
	assert.True(t, models.IsCode(err, models.NotFound), err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	require.ErrorIs(t, f.repos.Consolidate(ctx, app.ID), context.Canceled)
	f.sound(app)
}

func TestGarbageGoesWhenItIsOldAndNothingYoungNeedsIt(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	first := f.packs(app)
	old := f.grow(dir, f.sshURL("demo"), "side", 1)
	f.age(f.packs(app)...)
	young := f.grow(dir, f.sshURL("demo"), "side", 1) // builds on old
	f.git(dir, "push", "-q", f.sshURL("demo"), ":side")
	f.consolidate(app)
	assert.True(t, f.has(app, old), "what a young object needs")
	assert.True(t, f.has(app, young))
	f.age(f.packs(app)...)
	f.consolidate(app)
	assert.False(t, f.has(app, old))
	assert.False(t, f.has(app, young))
	assert.Equal(t, first, f.packs(app), "the first push's pack, made anew")

	update := &models.RefUpdate{Name: "refs/heads/side", Old: models.ZeroObject, New: young}
	require.NoError(t, f.repos.UpdateRefs(t.Context(), app.ID, []*models.RefUpdate{update}, false))
	assert.True(t, models.IsCode(update.Err, models.NotFound), update.Err)
	err := f.repos.Keep(t.Context(), app.ID, "x", young)
	assert.True(t, models.IsCode(err, models.NotFound), err)
	f.git(dir, "push", "-q", f.sshURL("demo"), "HEAD:side")
	f.sound(app)
}

func TestGarbageThatIsPushedAgainIsYoung(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main:side")
	f.git(dir, "push", "-q", f.sshURL("demo"), ":side")
	f.age(f.packs(app)...)
	f.receiver.on(func(_ context.Context, push *models.Push) bool {
		push.Updates[0].Err = models.Errorf(models.Failed, "build failed")
		return false
	})
	f.gitFails(dir, "push", f.sshURL("demo"), "main:side")
	require.Len(t, f.packs(app), 1)
	f.consolidate(app)
	assert.Len(t, f.packs(app), 1)
}

func TestNoGarbageGoesDuringAPush(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	base := f.grow(dir, f.sshURL("demo"), "side", 1)
	next := f.commit(dir, "other", "o")

	push := f.rawPush(f.addr, f.addKey("raw", "bob"), "demo") // is offered base
	f.git(dir, "push", "-q", f.sshURL("demo"), ":side")
	f.age(f.packs(app)...)
	require.NoError(t, f.repos.Consolidate(t.Context(), app.ID))
	assert.True(t, f.has(app, base), "somebody may need it")
	push.send(f.pushBytes(dir, next, "refs/heads/next", base))
	assert.Contains(t, push.rest(), "ok refs/heads/next")
	assert.Equal(t, next, f.refOf(app, "refs/heads/next"))
	f.consolidate(app)
	assert.Len(t, f.packs(app), 1)
}

func TestConsolidateAmongPushesAndReaders(t *testing.T) {
	f := newFixture(t)
	app := f.app("demo")
	dirs := []string{f.work("a"), f.work("b"), f.work("c")}
	f.git(dirs[0], "push", "-q", f.sshURL("demo"), "main")
	tip := f.git(dirs[0], "rev-parse", "main")
	pushing := make(chan struct{})
	var busy, pushers errgroup.Group
	for i, dir := range dirs {
		pushers.Go(func() error {
			for n := range 8 {
				name := fmt.Sprintf("b%d-%d", i, n%2)
				if err := os.WriteFile(filepath.Join(dir, "file"), fmt.Appendf(nil, "%s %d", name, n), 0o600); err != nil {
					return err
				}
				for _, args := range [][]string{{"commit", "-qam", name}, {"push", "-qf", f.sshURL("demo"), "HEAD:" + name}, {"push", "-q", f.sshURL("demo"), ":" + name}} {
					if out, err := f.command(dir, args...).CombinedOutput(); err != nil {
						return fmt.Errorf("%v: %s", args, out)
					}
				}
			}
			return nil
		})
	}
	go func() { _ = pushers.Wait(); close(pushing) }()
	busy.Go(func() error { return until(pushing, func() error { return f.repos.Consolidate(t.Context(), app.ID) }) })
	busy.Go(func() error {
		return until(pushing, func() error {
			packs, err := filepath.Glob(filepath.Join(f.bare(app), "objects/pack/*.pack"))
			for _, pack := range packs {
				_ = os.Chtimes(pack, time.Unix(1, 0), time.Unix(1, 0)) // all garbage is old
			}
			return err
		})
	})
	busy.Go(func() error {
		return until(pushing, func() error {
			tree, err := f.repos.Tree(t.Context(), app.ID, tip)
			if err != nil {
				return err
			}
			defer tree.Close()
			_, err = tree.ReadFile("file")
			return err
		})
	})
	require.NoError(t, pushers.Wait())
	require.NoError(t, busy.Wait())
	f.age(f.packs(app)...)
	f.consolidate(app)
	assert.Len(t, f.packs(app), 1)
}

// until repeats what it must until done is closed.
func until(done <-chan struct{}, what func() error) error {
	for {
		select {
		case <-done:
			return nil
		default:
			if err := what(); err != nil {
				return err
			}
		}
	}
}

func TestRefusedPackIsNotStoredBesideADeletion(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main:side")
	f.commit(dir, "b", "b")
	f.commit(dir, "c", "c")
	shallow := filepath.Join(f.dir, "shallow")
	f.git(f.dir, "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	assert.Contains(t, f.gitFails(shallow, "push", f.sshURL("demo"), "main", ":side"), "git fetch --unshallow")
	assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/side"))
	assert.Len(t, f.packs(app), 1, "a pack without its history")
}
