package refs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/refs"
)

// bed is a store, its repository and stock git to compare with.
type bed struct {
	refs.Store
	t   *testing.T
	ids []object.ID // of commits that exist
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git to compare with")
	}
	b := &bed{Store: refs.Store{Dir: t.TempDir()}, t: t}
	b.git("init", "-q", "--bare", ".")
	tree := b.git("hash-object", "-t", "tree", "-w", "/dev/null")
	for i := range 3 {
		id, err := object.ParseID(b.git("commit-tree", tree, "-m", fmt.Sprint(i)))
		require.NoError(t, err)
		b.ids = append(b.ids, id)
	}
	return b
}

func (b *bed) git(args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), "git", args...)
	cmd.Dir = b.Dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@x", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@x")
	out, err := cmd.CombinedOutput()
	require.NoError(b.t, err, string(out))
	return strings.TrimSpace(string(out))
}

// apply returns the verdicts as words.
func (b *bed) apply(atomic bool, updates ...*refs.Update) []error {
	b.t.Helper()
	require.NoError(b.t, b.Apply(updates, atomic))
	verdicts := make([]error, len(updates))
	for i, u := range updates {
		verdicts[i] = u.Err
	}
	b.agrees()
	return verdicts
}

// agrees proves that git sees the same refs, and that no lock is left.
func (b *bed) agrees() {
	b.t.Helper()
	all, err := b.List()
	require.NoError(b.t, err)
	lines := make([]string, len(all))
	for i, ref := range all {
		lines[i] = ref.ID.String() + " " + ref.Name
		id, err := b.Get(ref.Name)
		require.NoError(b.t, err)
		require.Equal(b.t, ref.ID, id)
	}
	require.Equal(b.t, b.git("for-each-ref", "--format=%(objectname) %(refname)"), strings.Join(lines, "\n"))
	require.Empty(b.t, b.locks())
}

func (b *bed) locks() (locks []string) {
	b.t.Helper()
	require.NoError(b.t, filepath.WalkDir(b.Dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".lock") {
			locks = append(locks, path)
		}
		return err
	}))
	return locks
}

func (b *bed) move(name string, before, after int) *refs.Update {
	return &refs.Update{Name: "refs/heads/" + name, Old: b.id(before), New: b.id(after)}
}

// id is the i-th commit, or none for -1.
func (b *bed) id(i int) object.ID {
	if i < 0 {
		return object.Zero
	}
	return b.ids[i]
}

const none = -1

func TestCompareAndSwap(t *testing.T) {
	for _, packed := range []bool{false, true} {
		t.Run(fmt.Sprintf("packed=%v", packed), func(t *testing.T) {
			b := newBed(t)
			require.Equal(t, []error{nil}, b.apply(false, b.move("main", none, 0)))
			if packed {
				b.git("pack-refs", "--all")
			}
			for _, stale := range []*refs.Update{b.move("main", none, 1), b.move("main", 1, 2), b.move("main", 1, none), b.move("other", 0, 1), b.move("other", 0, none)} {
				assert.ErrorIs(t, b.apply(false, stale)[0], refs.ErrStale, stale)
			}
			assert.Equal(t, []error{nil}, b.apply(false, b.move("main", 0, 1)))
			assert.Equal(t, []error{nil}, b.apply(false, b.move("main", 1, none)))
			assert.Equal(t, []error{nil}, b.apply(false, b.move("main", none, none)), "the absence of what is absent")
			id, err := b.Get("refs/heads/main")
			require.NoError(t, err)
			assert.True(t, id.IsZero())
		})
	}
}

func TestAtomicIsAllOrNothing(t *testing.T) {
	b := newBed(t)
	b.apply(false, b.move("a", none, 0), b.move("b", none, 0), b.move("c", none, 0))
	before := b.git("for-each-ref")
	for name, bad := range map[string]struct {
		update *refs.Update
		want   error
	}{
		"stale":   {b.move("c", 1, 2), refs.ErrStale},
		"nested":  {b.move("a/x", none, 1), refs.ErrNesting},
		"twice":   {b.move("a", 0, 2), refs.ErrTwice},
		"refused": {&refs.Update{Name: "refs/heads/c", Old: b.id(0), New: b.id(1), Err: errDenied}, errDenied},
	} {
		verdicts := b.apply(true, b.move("a", 0, 1), b.move("b", 0, none), b.move("new", none, 1), bad.update)
		assert.Equal(t, []error{refs.ErrAtomic, refs.ErrAtomic, refs.ErrAtomic}, verdicts[:3], name)
		assert.ErrorIs(t, verdicts[3], bad.want, name)
		assert.Equal(t, before, b.git("for-each-ref"), name)
	}
	assert.Equal(t, []error{nil, nil, nil}, b.apply(true, b.move("a", 0, 1), b.move("b", 0, none), b.move("new", none, 1)))
	verdicts := b.apply(false, b.move("a", 0, 2), b.move("c", 0, 1))
	assert.ErrorIs(t, verdicts[0], refs.ErrStale)
	assert.NoError(t, verdicts[1], "each for itself")
}

var errDenied = errors.New("denied")

func TestNamesCannotNest(t *testing.T) {
	for _, packed := range []bool{false, true} {
		b := newBed(t)
		b.apply(false, b.move("dir/ref", none, 0), b.move("file", none, 0))
		if packed {
			b.git("pack-refs", "--all")
		}
		assert.ErrorIs(t, b.apply(false, b.move("dir", none, 1))[0], refs.ErrNesting)
		assert.ErrorIs(t, b.apply(false, b.move("file/ref", none, 1))[0], refs.ErrNesting)
		assert.ErrorIs(t, b.apply(false, b.move("file/a/b/c", none, 1))[0], refs.ErrNesting)
		verdicts := b.apply(false, b.move("x", none, 1), b.move("x/y", none, 1))
		assert.NoError(t, verdicts[0])
		assert.ErrorIs(t, verdicts[1], refs.ErrNesting, "within one push")
		assert.Equal(t, []error{nil}, b.apply(false, b.move("dir-2", none, 1)), "not a prefix of parts")
		b.apply(false, b.move("dir/ref", 0, none), b.move("file", 0, none))
		assert.Equal(t, []error{nil, nil}, b.apply(false, b.move("dir", none, 1), b.move("file/ref", none, 1)), "once they are gone")
	}
}

func TestDeletionFromPackedRefs(t *testing.T) {
	b := newBed(t)
	b.apply(false, b.move("a", none, 0), b.move("b", none, 1), b.move("c", none, 2))
	b.git("tag", "-am", "annotated", "v1", b.ids[0].String())
	b.git("tag", "-am", "annotated", "v2", b.ids[1].String())
	b.git("pack-refs", "--all")
	b.apply(false, b.move("a", 0, 2)) // loose over packed
	tag, err := b.Get("refs/tags/v1")
	require.NoError(t, err)
	verdicts := b.apply(true, b.move("a", 2, none), b.move("c", 2, none), &refs.Update{Name: "refs/tags/v1", Old: tag})
	assert.Equal(t, []error{nil, nil, nil}, verdicts)
	assert.Equal(t, "refs/heads/b\nrefs/tags/v2", b.git("for-each-ref", "--format=%(refname)"), "a does not come back")
	packed, err := os.ReadFile(filepath.Join(b.Dir, "packed-refs"))
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(packed), "\n^"), "the peeled line of v1 went with it")
	assert.True(t, strings.HasPrefix(string(packed), "# pack-refs"))
}

func TestLocksOfOthersAreRespected(t *testing.T) {
	b := newBed(t)
	b.apply(false, b.move("a", none, 0), b.move("b", none, 0))
	b.git("pack-refs", "--all")
	lock := filepath.Join(b.Dir, "refs/heads/a.lock")
	hold := func(path string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	hold(lock)
	moves := []*refs.Update{b.move("a", 0, 1), b.move("b", 0, 1)}
	require.NoError(t, b.Apply(moves, true))
	assert.Equal(t, refs.ErrLocked, moves[0].Err)
	assert.Equal(t, refs.ErrAtomic, moves[1].Err)
	require.FileExists(t, lock, "it is not ours to remove")

	packed := filepath.Join(b.Dir, "packed-refs.lock")
	hold(packed)
	deletion := b.move("b", 0, none)
	require.NoError(t, b.Apply([]*refs.Update{deletion}, false))
	assert.ErrorIs(t, deletion.Err, refs.ErrLocked)
	require.NoError(t, b.Unlock())
	b.agrees()
	assert.Equal(t, []error{nil, nil}, b.apply(true, b.move("a", 0, 1), b.move("b", 0, none)))
	require.NoError(t, b.Unlock(), "with nothing to do")
}

func TestConcurrentWritersOfOtherProcesses(t *testing.T) {
	b := newBed(t)
	b.apply(false, b.move("main", none, 0))
	results := make([]error, 16)
	var racing sync.WaitGroup
	for i := range results {
		racing.Go(func() {
			update := b.move("main", 0, 1+i%2)
			if err := b.Apply([]*refs.Update{update}, false); err != nil {
				results[i] = err
				return
			}
			results[i] = update.Err
		})
	}
	racing.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
			continue
		}
		assert.True(t, errors.Is(err, refs.ErrStale) || errors.Is(err, refs.ErrLocked), err)
	}
	assert.Equal(t, 1, won)
	b.agrees()
}

func TestReadersSeeEachRefBeforeOrAfter(t *testing.T) {
	b := newBed(t)
	b.apply(false, b.move("main", none, 0), b.move("other", none, 0))
	b.git("pack-refs", "--all")
	done := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				all, err := b.List()
				assert.NoError(t, err)
				assert.Len(t, all, 2)
			}
		}
	})
	for i := range 100 {
		update := b.move("main", i%2, (i+1)%2)
		require.NoError(t, b.Apply([]*refs.Update{update}, false))
		require.NoError(t, update.Err)
	}
	close(done)
	reading.Wait()
}

func TestDamageIsAnErrorNotAnAbsence(t *testing.T) {
	b := newBed(t)
	b.apply(false, b.move("main", none, 0))
	path := filepath.Join(b.Dir, "refs/heads/main")
	for _, content := range []string{"", "not an id\n", b.ids[0].String()[:39] + "\n"} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := b.Get("refs/heads/main")
		assert.Error(t, err, content)
		_, err = b.List()
		assert.Error(t, err, content)
		assert.Error(t, b.Apply([]*refs.Update{b.move("other", none, 0)}, false))
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(filepath.Join(b.Dir, "packed-refs"), []byte("# pack-refs\ngarbage\n"+b.ids[1].String()+" refs/heads/main\n^zz\n"), 0o600))
	id, err := b.Get("refs/heads/main")
	require.NoError(t, err)
	assert.Equal(t, b.ids[1], id)
}

func TestRefsAreDurableBeforeTheyAreReported(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil || os.Getenv("SKY_REFS_TRACED") != "" {
		tracedMove(t)
		return
	}
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-y", "-o", trace, "-e", "trace=fsync,renameat,rename,openat", os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "SKY_REFS_TRACED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("cannot trace: %v %s", err, out)
	}
	data, err := os.ReadFile(trace)
	require.NoError(t, err)
	lines := strings.Split(string(data), "\n")
	at := func(parts ...string) int {
		return slices.IndexFunc(lines, func(line string) bool {
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) })
		})
	}
	steps := []int{
		at("openat(", "durable.lock", "O_EXCL"), at("fsync(", "durable.lock"), at("rename", "durable.lock"), at("fsync(", "/refs/heads/deep>"),
	}
	assert.NotContains(t, steps, -1)
	assert.IsIncreasing(t, steps)
	assert.NotEqual(t, -1, at("fsync(", "/refs/heads>"), "the new directory's name")
}

func tracedMove(t *testing.T) {
	b := newBed(t)
	require.Equal(t, []error{nil}, b.apply(false, b.move("deep/durable", none, 0)))
	info, err := os.Stat(filepath.Join(b.Dir, "refs/heads/deep/durable"))
	require.NoError(t, err)
	assert.EqualValues(t, 41, info.Size())
	assert.EqualValues(t, 1, info.Sys().(*syscall.Stat_t).Nlink)
}

func TestCheckNameAgreesWithGit(t *testing.T) {
	b := newBed(t)
	names := []string{
		"refs/heads/main", "refs/heads/a/b", "refs/heads/fix#12", "refs/heads/ü", "refs/heads/a.b", "refs/heads/a-", "refs/heads/{a}", "refs/tags/v1.0", "refs/heads/a@b",
		"refs/heads/", "refs/heads//a", "refs/heads/a/", "refs/heads/.a", "refs/heads/a.", "refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/a..b", "refs/heads/a@{b",
		"refs/heads/a b", "refs/heads/a~", "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?", "refs/heads/a*", "refs/heads/a[", `refs/heads/a\b`, "refs/heads/a\x7f", "refs/heads/a\tb", "/refs/heads/a",
	}
	for _, name := range names {
		err := exec.CommandContext(t.Context(), "git", "check-ref-format", name).Run()
		assert.Equal(t, err == nil, refs.CheckName(name) == nil, name)
	}
	for _, stricter := range []string{"refs/heads", "HEAD", "heads/main", "refs/heads/-x", "refs/heads/HEAD", "refs/heads/@", "refs/heads/" + strings.Repeat("x", 1024), "refs/../x/y"} {
		assert.Error(t, refs.CheckName(stricter), stricter)
	}
	b.agrees()
}

func FuzzCheckName(f *testing.F) {
	f.Add("refs/heads/main")
	f.Add("refs/heads/../../hooks/x")
	f.Fuzz(func(t *testing.T, name string) {
		if refs.CheckName(name) != nil {
			return
		}
		if clean := filepath.Clean("/repo/" + name); clean != "/repo/"+name || strings.ContainsAny(name, "\x00\n\r ") || strings.HasSuffix(name, ".lock") {
			t.Fatalf("%q is accepted", name)
		}
	})
}
