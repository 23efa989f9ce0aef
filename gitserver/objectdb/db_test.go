package objectdb_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
)

// bed is a bare repository of stock git's making.
type bed struct {
	t   *testing.T
	dir string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git to compare with")
	}
	b := &bed{t: t, dir: t.TempDir()}
	b.git("", "init", "-q", "--bare", ".")
	return b
}

func (b *bed) git(stdin string, args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = b.dir, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@x", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@x")
	out, err := cmd.Output()
	require.NoError(b.t, err, strings.Join(args, " "))
	return string(out)
}

func (b *bed) blob(content string) object.ID {
	b.t.Helper()
	return b.id(b.git(content, "hash-object", "-w", "--stdin"))
}

func (b *bed) id(hex string) object.ID {
	b.t.Helper()
	id, err := object.ParseID(strings.TrimSpace(hex))
	require.NoError(b.t, err)
	return id
}

// pack packs the objects, as git does, and removes what was loose.
func (b *bed) pack(ids ...object.ID) string {
	b.t.Helper()
	list := &strings.Builder{}
	for _, id := range ids {
		fmt.Fprintln(list, id)
	}
	name := b.git(list.String(), "pack-objects", "-q", "--depth=200", "--window=10", "objects/pack/pack")
	b.git("", "prune-packed", "-q")
	return filepath.Join(b.dir, "objects/pack/pack-"+strings.TrimSpace(name))
}

// versions are blobs that make a long delta chain.
func (b *bed) versions(n int) []object.ID {
	b.t.Helper()
	lines := make([]string, 300)
	for i := range lines {
		lines[i] = fmt.Sprint(i, i*i*7919)
	}
	ids := make([]object.ID, n)
	for i := range ids { // each is most like its neighbours
		lines[2*i] = fmt.Sprint("version ", i*i*104729)
		ids[i] = b.blob(strings.Join(lines, "\n"))
	}
	return ids
}

func (b *bed) open() *objectdb.DB {
	b.t.Helper()
	db, err := objectdb.Open(filepath.Join(b.dir, "objects"))
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, db.Close()) })
	return db
}

// agrees proves that the DB and git tell the same of every object.
func (b *bed) agrees(db *objectdb.DB) (objects int) {
	b.t.Helper()
	list := b.git("", "cat-file", "--batch-all-objects", "--batch-check")
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		id := b.id(fields[0])
		kind, data, err := db.Read(id)
		require.NoError(b.t, err)
		require.Equal(b.t, fields[1], kind.String())
		require.Equal(b.t, fields[2], strconv.Itoa(len(data)))
		named, err := object.NewHasher().Sum(kind, data)
		require.NoError(b.t, err)
		require.Equal(b.t, id, named)
		kind, size, err := db.Stat(id)
		require.NoError(b.t, err)
		require.Equal(b.t, fields[1:3], []string{kind.String(), strconv.FormatInt(size, 10)})
		require.True(b.t, db.Has(id))
		objects++
	}
	return objects
}

func TestReadsWhatGitWrote(t *testing.T) {
	b := newBed(t)
	ids := b.versions(120)
	tree := b.id(b.git(fmt.Sprintf("100644 blob %s\tfile\n", ids[0]), "mktree"))
	commit := b.id(b.git("", "commit-tree", tree.String(), "-m", "one"))
	b.git("", "update-ref", "refs/heads/main", commit.String())
	b.git("", "tag", "-am", "two", "v1", "main")
	tag := b.id(b.git("", "rev-parse", "v1"))
	assert.Equal(t, 123, b.agrees(b.open()), "loose")
	base := b.pack(append(ids, tree, commit, tag)...)
	depth := b.git("", "verify-pack", "-s", "-v", base+".idx")
	require.Contains(t, depth, "chain length = 50:", "the chain is long")
	db := b.open()
	assert.Equal(t, 123, b.agrees(db), "packed")
	b.blob("loose beside packed")
	assert.Equal(t, 124, b.agrees(b.open()))
	_, err := db.ReadKind(ids[0], object.Tree)
	assert.ErrorContains(t, err, "is a blob, not a tree")
}

func TestMissing(t *testing.T) {
	b := newBed(t)
	b.pack(b.versions(3)...)
	db := b.open()
	for _, id := range []object.ID{object.Zero, {0xff, 0xff}, {1}} {
		assert.False(t, db.Has(id))
		_, _, err := db.Read(id)
		assert.ErrorIs(t, err, objectdb.ErrNotFound)
		_, _, err = db.Stat(id)
		assert.ErrorIs(t, err, objectdb.ErrNotFound)
		_, ok := db.Locate(id)
		assert.False(t, ok)
	}
	empty, err := objectdb.Open(filepath.Join(b.dir, "nothing"))
	require.NoError(t, err)
	assert.False(t, empty.Has(object.Zero))
	require.NoError(t, empty.Close())
}

func TestManyPacks(t *testing.T) {
	b := newBed(t)
	for i := range 60 {
		b.pack(b.blob(fmt.Sprint("content ", i)), b.blob("in all of them"))
	}
	db := b.open()
	assert.Len(t, db.Packs(), 60)
	assert.Equal(t, 61, b.agrees(db))
	for _, pack := range db.Packs() {
		count := 0
		for range pack.Objects() {
			count++
		}
		assert.Positive(t, count)
		require.NoError(t, os.Remove(pack.Path))
	}
	for i := range 60 { // the open DB outlives the files
		id, err := object.NewHasher().Sum(object.Blob, []byte(fmt.Sprint("content ", i)))
		require.NoError(t, err)
		data, err := db.ReadKind(id, object.Blob)
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint("content ", i), string(data))
	}
	assert.Empty(t, b.open().Packs(), "an index without a pack is none")
}

func TestReadsFromManyGoroutines(t *testing.T) {
	b := newBed(t)
	ids := b.versions(60)
	b.pack(ids...)
	db := b.open()
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for _, id := range ids {
				kind, data, err := db.Read(id)
				assert.NoError(t, err)
				named, err := object.NewHasher().Sum(kind, data)
				assert.NoError(t, err)
				assert.Equal(t, id, named)
			}
		})
	}
	readers.Wait()
}

func TestPlaces(t *testing.T) {
	b := newBed(t)
	ids := b.versions(30)
	b.pack(ids...)
	db := b.open()
	var total int64
	for _, id := range ids {
		place, ok := db.Locate(id)
		require.True(t, ok)
		back, ok := db.IDAt(place)
		require.True(t, ok)
		assert.Equal(t, id, back)
		stored, err := db.Stored(place)
		require.NoError(t, err)
		total += int64(stored.Len) + stored.Deflated.Size()
		if !stored.Kind.Whole() {
			_, ok := db.IDAt(stored.Base)
			assert.True(t, ok, "the base is an entry")
		}
	}
	info, err := os.Stat(db.Packs()[0].Path)
	require.NoError(t, err)
	assert.Equal(t, info.Size(), total+12+object.Size, "every byte belongs to an entry")
	_, ok := db.IDAt(objectdb.Place{Offset: 13})
	assert.False(t, ok)
}

// survives reads everything that a damaged repository claims to have. Wrong
// answers are git's own business (fsck); a panic or a hang is ours.
func (b *bed) survives(ids []object.ID) (failed int) {
	b.t.Helper()
	db, err := objectdb.Open(filepath.Join(b.dir, "objects"))
	if err != nil {
		return len(ids)
	}
	defer db.Close()
	for _, id := range ids {
		_, _, statErr := db.Stat(id)
		_, _, err := db.Read(id)
		if place, ok := db.Locate(id); ok {
			if stored, err := db.Stored(place); err == nil {
				db.IDAt(stored.Base)
			}
		}
		if err != nil || statErr != nil {
			failed++
		}
	}
	return failed
}

func TestDamagedFilesAreErrors(t *testing.T) {
	b := newBed(t)
	ids := b.versions(20)
	base := b.pack(ids...)
	random := rand.New(rand.NewPCG(5, 6))
	for _, suffix := range []string{".pack", ".idx"} {
		path := base + suffix
		require.NoError(t, os.Chmod(path, 0o600))
		sound, err := os.ReadFile(path)
		require.NoError(t, err)
		damage := func(what string, data []byte) int {
			require.NoError(t, os.Remove(path), what)
			require.NoError(t, os.WriteFile(path, data, 0o600))
			return b.survives(ids)
		}
		for _, size := range []int{0, 1, 12, 100, 1071, 1072, 1100, len(sound) / 2, len(sound) - 21} {
			assert.Positive(t, damage("cut", sound[:min(size, len(sound))]), "%s cut to %d", suffix, size)
		}
		assert.Positive(t, damage("zeros", make([]byte, len(sound))))
		assert.Positive(t, damage("ones", bytes.Repeat([]byte{0xff}, len(sound))))
		for range 500 {
			data := bytes.Clone(sound)
			for range 1 + random.IntN(4) {
				data[random.IntN(len(data))] = byte(random.Uint32())
			}
			damage("flipped", data)
		}
		assert.Zero(t, damage("sound again", sound))
	}
}

func TestDamagedLooseObjectsAreErrors(t *testing.T) {
	b := newBed(t)
	id := b.blob("content")
	path := filepath.Join(b.dir, "objects", id.String()[:2], id.String()[2:])
	sound, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, data := range [][]byte{nil, []byte("x"), sound[:len(sound)-5], append([]byte{0x78, 0x9c}, make([]byte, 20)...)} {
		require.NoError(t, os.Remove(path))
		require.NoError(t, os.WriteFile(path, data, 0o600))
		_, _, err := b.open().Read(id)
		assert.Error(t, err)
		assert.NotErrorIs(t, err, objectdb.ErrNotFound)
	}
}
