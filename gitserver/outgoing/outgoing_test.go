package outgoing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/gitserver/outgoing"
)

// history is a repository with a random history, and stock git to compare with.
type history struct {
	t       *testing.T
	dir     string
	random  *rand.Rand
	commits []string
}

func newHistory(t *testing.T, commits int) *history {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git to compare with")
	}
	h := &history{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(7, uint64(commits)))}
	h.git("", "init", "-q", "--bare", ".")
	for range commits {
		h.grow()
	}
	return h
}

func (h *history) git(stdin string, args ...string) string {
	h.t.Helper()
	return strings.TrimSpace(string(h.run(h.dir, []byte(stdin), args...)))
}

func (h *history) run(dir string, stdin []byte, args ...string) []byte {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	date := fmt.Sprintf("%d +0000", 1_700_000_000+len(h.commits)/2) // some at the same second
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@x",
		"GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@x", "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
	out, err := cmd.Output()
	require.NoError(h.t, err, strings.Join(args, " "))
	return out
}

// grow adds a commit with up to two parents, of which one may be old.
func (h *history) grow() {
	h.t.Helper()
	lines := &strings.Builder{}
	for i := range 100 {
		fmt.Fprintln(lines, i, i*7919)
	}
	fmt.Fprintln(lines, "version", len(h.commits))
	blob := h.git(lines.String(), "hash-object", "-w", "--stdin")
	inner := h.git(fmt.Sprintf("100644 blob %s\tf%d\n", blob, h.random.IntN(3)), "mktree")
	tree := h.git(fmt.Sprintf("100644 blob %s\ta\n040000 tree %s\tdir\n160000 commit %s\tsub\n", blob, inner, strings.Repeat("1", 40)), "mktree", "--missing")
	args := []string{"commit-tree", tree, "-m", fmt.Sprint("commit ", len(h.commits))}
	if n := len(h.commits); n > 0 {
		args = append(args, "-p", h.commits[n-1-h.random.IntN(min(n, 3))])
		if other := h.commits[h.random.IntN(n)]; h.random.IntN(3) == 0 && !slices.Contains(args, other) {
			args = append(args, "-p", other)
		}
	}
	h.commits = append(h.commits, h.git("", args...))
	h.git("", "update-ref", "refs/heads/b"+fmt.Sprint(len(h.commits)), h.commits[len(h.commits)-1])
}

// packEach stores every commit as a push would: a thin pack, completed.
func (h *history) packEach() {
	h.t.Helper()
	stored := filepath.Join(h.t.TempDir(), "stored")
	h.run(h.dir, nil, "init", "-q", "--bare", stored)
	var have []string
	for i, commit := range h.commits {
		pack := h.run(h.dir, []byte(commit+"\n"+strings.Join(have, "\n")+"\n"), "pack-objects", "-q", "--revs", "--thin", "--stdout")
		name := strings.Fields(string(h.run(stored, pack, "index-pack", "--stdin", "--fix-thin")))[1]
		when := time.Unix(int64(1_700_000_000+i), 0)
		require.NoError(h.t, os.Chtimes(filepath.Join(stored, "objects/pack/pack-"+name+".pack"), when, when))
		h.run(stored, nil, "update-ref", "refs/heads/b"+fmt.Sprint(i), commit)
		have = append(have, "^"+commit)
	}
	h.dir = stored
}

func (h *history) open() *objectdb.DB {
	h.t.Helper()
	db, err := objectdb.Open(filepath.Join(h.dir, "objects"))
	require.NoError(h.t, err)
	h.t.Cleanup(func() { require.NoError(h.t, db.Close()) })
	return db
}

func (h *history) ids(names ...string) []object.ID {
	h.t.Helper()
	ids := make([]object.ID, len(names))
	for i, name := range names {
		id, err := object.ParseID(name)
		require.NoError(h.t, err)
		ids[i] = id
	}
	return ids
}

// lacking is what git says that a client lacks.
func (h *history) lacking(wants, haves []string) []string {
	h.t.Helper()
	args := append([]string{"rev-list", "--objects", "--no-object-names"}, wants...)
	for _, have := range haves {
		args = append(args, "^"+have)
	}
	return strings.Fields(h.git("", args...))
}

func names(ids []object.ID) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = id.String()
	}
	return names
}

func TestSelectAllIsWhatGitReaches(t *testing.T) {
	h := newHistory(t, 30)
	db := h.open()
	for _, want := range h.commits {
		got, err := outgoing.Select(t.Context(), db, outgoing.Query{Wants: h.ids(want)})
		require.NoError(t, err)
		require.ElementsMatch(t, h.lacking([]string{want}, nil), names(got))
	}
}

func TestSelectSendsEnoughAndLittleMore(t *testing.T) {
	h := newHistory(t, 40)
	db := h.open()
	pick := func(most int) []string {
		var picked []string
		for range 1 + h.random.IntN(most) {
			picked = append(picked, h.commits[h.random.IntN(len(h.commits))])
		}
		return picked
	}
	sent, needed := 0, 0
	for range 60 {
		wants, haves := pick(2), pick(3)
		got, err := outgoing.Select(t.Context(), db, outgoing.Query{Wants: h.ids(wants...), Haves: h.ids(haves...)})
		require.NoError(t, err)
		all := map[string]bool{}
		for _, name := range names(got) {
			require.False(t, all[name], "twice")
			all[name] = true
		}
		lacking := h.lacking(wants, haves)
		for _, name := range lacking {
			require.True(t, all[name], "%v ^%v lacks %s", wants, haves, name)
		}
		sent, needed = sent+len(got), needed+len(lacking)
	}
	assert.LessOrEqual(t, sent, needed+needed/10, "of what git would send")
}

func TestSelectOfTagsTreesAndBlobs(t *testing.T) {
	h := newHistory(t, 2)
	h.git("", "-c", "user.name=t", "-c", "user.email=t@x", "tag", "-am", "inner", "inner", h.commits[1])
	h.git("", "tag", "-am", "outer", "outer", "inner")
	db := h.open()
	for _, name := range []string{"outer", h.commits[0] + "^{tree}", h.commits[0] + ":a", h.commits[0] + ":dir"} {
		id := h.git("", "rev-parse", name)
		got, err := outgoing.Select(t.Context(), db, outgoing.Query{Wants: h.ids(id)})
		require.NoError(t, err)
		assert.ElementsMatch(t, h.lacking([]string{id}, nil), names(got), name)
	}
}

func TestSelectStopsAtGrafts(t *testing.T) {
	h := newHistory(t, 10)
	tip := h.ids(h.commits[9])
	got, err := outgoing.Select(t.Context(), h.open(), outgoing.Query{Wants: tip, Grafts: map[object.ID]bool{tip[0]: true}})
	require.NoError(t, err)
	tree := strings.Fields(h.git("", "rev-list", "--objects", "--no-object-names", "--no-walk", h.commits[9]))
	assert.ElementsMatch(t, tree, names(got))
	deeper, err := outgoing.Select(t.Context(), h.open(), outgoing.Query{Wants: tip, Haves: tip})
	require.NoError(t, err)
	assert.Empty(t, deeper, "it has all")
	parents := h.ids(strings.Fields(h.git("", "rev-list", "--parents", "-n1", h.commits[9]))[1:]...)
	deeper, err = outgoing.Select(t.Context(), h.open(), outgoing.Query{Wants: parents, Haves: tip, ClientGrafts: map[object.ID]bool{tip[0]: true}})
	require.NoError(t, err)
	for _, parent := range parents {
		assert.Contains(t, deeper, parent, "which its boundary hides")
	}
}

func TestSelectOfWhatIsMissing(t *testing.T) {
	h := newHistory(t, 1)
	_, err := outgoing.Select(t.Context(), h.open(), outgoing.Query{Wants: []object.ID{{1}}})
	assert.ErrorIs(t, err, objectdb.ErrNotFound)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = outgoing.Select(ctx, h.open(), outgoing.Query{Wants: h.ids(h.commits...)})
	assert.ErrorIs(t, err, context.Canceled)
}

// received indexes a pack with git, and returns what verify-pack says of it.
func (h *history) received(pack []byte) string {
	h.t.Helper()
	dir := h.t.TempDir()
	h.run(dir, nil, "init", "-q", "--bare", ".")
	h.run(dir, pack, "index-pack", "--stdin")
	found, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.idx"))
	require.NoError(h.t, err)
	require.Len(h.t, found, 1)
	return string(h.run(dir, nil, "verify-pack", "-v", found[0]))
}

func TestWriteSendsWhatGitCanIndex(t *testing.T) {
	for _, store := range []string{"loose", "one pack", "a pack for each push"} {
		for _, ofsDelta := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, ofs-delta=%v", store, ofsDelta), func(t *testing.T) {
				h := newHistory(t, 12)
				switch store {
				case "one pack":
					h.git("", "repack", "-adq")
				case "a pack for each push":
					h.packEach()
				}
				db := h.open()
				all, err := outgoing.Select(t.Context(), db, outgoing.Query{Wants: h.ids(h.commits...)})
				require.NoError(t, err)
				var pack bytes.Buffer
				require.NoError(t, outgoing.Write(t.Context(), &pack, db, all, ofsDelta))
				verbose := h.received(pack.Bytes())
				for _, id := range all {
					assert.Contains(t, verbose, id.String())
				}
				if store != "loose" {
					assert.Contains(t, verbose, "chain length", "deltas are sent as such")
				}
			})
		}
	}
}

func TestWriteSendsNoDeltaWithoutItsBase(t *testing.T) {
	h := newHistory(t, 12)
	h.packEach()
	db := h.open()
	all, err := outgoing.Select(t.Context(), db, outgoing.Query{Wants: h.ids(h.commits...)})
	require.NoError(t, err)
	for range 20 {
		h.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		some := all[:1+h.random.IntN(len(all))]
		var pack bytes.Buffer
		require.NoError(t, outgoing.Write(t.Context(), &pack, db, some, true))
		verbose := h.received(pack.Bytes())
		assert.Contains(t, verbose, some[0].String())
	}
}

// brokenPipe takes n bytes.
type brokenPipe struct{ n int }

func (b *brokenPipe) Write(data []byte) (int, error) {
	if b.n -= len(data); b.n < 0 {
		return 0, errBroken
	}
	return len(data), nil
}

var errBroken = errors.New("broken pipe")

func TestWriteEndsEarly(t *testing.T) {
	h := newHistory(t, 5)
	db := h.open()
	all, err := outgoing.Select(t.Context(), db, outgoing.Query{Wants: h.ids(h.commits...)})
	require.NoError(t, err)
	for _, n := range []int{0, 500} {
		require.ErrorIs(t, outgoing.Write(t.Context(), &brokenPipe{n}, db, all, true), errBroken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, outgoing.Write(ctx, &bytes.Buffer{}, db, all, true), context.Canceled)
	require.ErrorIs(t, outgoing.Write(t.Context(), &bytes.Buffer{}, db, []object.ID{{1}}, true), objectdb.ErrNotFound)
}
