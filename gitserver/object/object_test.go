package object_test

import (
	"crypto/sha1"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/object"
)

// links is a Visitor that counts.
type links struct{ links, modules int }

func (l *links) Link(*object.ID, object.Kind) { l.links++ }
func (l *links) Modules(*object.ID)           { l.modules++ }

func tree(entries ...string) []byte {
	var data []byte
	for _, entry := range entries {
		data = append(append(data, entry...), 0)
		data = append(data, "aaaaaaaaaaaaaaaaaaaa"...)
	}
	return data
}

func TestCheckTree(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []string
		problem string
	}{
		{"empty", nil, ""},
		{"plain", []string{"100644 a", "100755 b", "120000 c", "40000 d", "160000 e"}, ""},
		{"git-like names", []string{"100644 .gitignore", "100644 .gitattributes2", "100644 git", "100644 gitx~1"}[0:1], ""},
		{"dirs sort with a slash", []string{"100644 a-b", "40000 a", "100644 a0"}, ""},
		{"file before its directory's place", []string{"100644 a", "100644 a.b", "40000 a"}, "duplicateEntries"},
		{"file of another name", []string{"100644 a", "100644 a.b", "40000 a.b.c", "40000 ab"}, ""},
		{"twice", []string{"100644 a", "100644 a"}, "duplicateEntries"},
		{"file and directory", []string{"100644 a", "40000 a"}, "duplicateEntries"},
		{"unsorted", []string{"100644 b", "100644 a"}, "treeNotSorted"},
		{"dot git", []string{"40000 .git"}, "hasDotgit"},
		{"dot git, other case", []string{"40000 .GiT"}, "hasDotgit"},
		{"dot git, trailing dots", []string{"40000 .git. ."}, "hasDotgit"},
		{"dot git on windows", []string{"40000 GIT~1"}, "hasDotgit"},
		{"behind a backslash", []string{`100644 x\.git\hooks`}, "hasDotgit"},
		{"stream", []string{"100644 .git::$INDEX_ALLOCATION"}, "hasDotgit"},
		{"ignorable", []string{"100644 .g\u200dit"}, "hasDotgit"},
		{"dotdot", []string{"100644 .."}, "hasDotdot"},
		{"slash", []string{"100644 a/b"}, "fullPathname"},
		{"no name", []string{"100644 "}, "emptyName"},
		{"mode", []string{"100666 a"}, "badFilemode"},
		{"no mode", []string{"x"}, "badTree"},
		{"linked modules", []string{"120000 .gitmodules"}, "gitmodulesSymlink"},
	} {
		t.Run(c.name, func(t *testing.T) {
			problem := object.Check(object.Tree, tree(c.entries...), &links{})
			if c.problem == "" {
				assert.Empty(t, problem)
				return
			}
			assert.Contains(t, problem, c.problem)
		})
	}
	seen := &links{}
	assert.Empty(t, object.Check(object.Tree, tree("100644 .gitmodules", "40000 dir", "160000 sub"), seen))
	assert.Equal(t, links{links: 2, modules: 1}, *seen)
}

func TestCheckModules(t *testing.T) {
	for content, problem := range map[string]string{
		"[submodule \"a\"]\n\tpath = a\n\turl = ../a.git\n":     "",
		"[submodule \"a\"]\n\tpath = a\n\turl = -u./payload\n":  "gitmodulesUrl",
		"[submodule \"a\"]\n\tpath = -a\n":                      "gitmodulesPath",
		"[submodule \"a\"]\n\tpath = x/../../b\n":               "gitmodulesPath",
		"[submodule \"../../a\"]\n\tpath = a\n":                 "gitmodulesName",
		"[submodule \"a\"]\n\tpath = a\n\tupdate = !rm -rf /\n": "gitmodulesUpdate",
	} {
		got := object.CheckModules([]byte(content))
		if problem == "" {
			assert.Empty(t, got)
			continue
		}
		assert.Contains(t, got, problem)
	}
}

func TestParseCommit(t *testing.T) {
	id := "1111111111111111111111111111111111111111"
	info, err := object.ParseCommit(fmt.Appendf(nil, "tree %s\nparent %s\nparent %s\nauthor A U Thor <a@b> 5 +0000\ncommitter C <c@d> 7 +0100\ngpgsig x\n\n\nOne\nline\n\nBody\n", id, id, id))
	require.NoError(t, err)
	assert.Equal(t, id, info.Tree.String())
	assert.Len(t, info.Parents, 2)
	assert.Equal(t, "A U Thor <a@b>", info.Author)
	assert.Equal(t, "One line", info.Subject)
	assert.EqualValues(t, 7, info.When.Unix())
	for _, bad := range []string{"", "tree zz\n", "tree " + id + "\nauthor a\n"} {
		_, err := object.ParseCommit([]byte(bad))
		assert.Error(t, err, bad)
	}
}

func TestHasherNamesObjectsAsGitDoes(t *testing.T) {
	hasher := object.NewHasher()
	for _, data := range []string{"", "x\n", string(make([]byte, 1000))} {
		id, err := hasher.Sum(object.Blob, []byte(data))
		require.NoError(t, err)
		assert.Equal(t, object.ID(sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(data), data))), id)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(byte(2), tree("100644 a", "40000 b"))
	f.Add(byte(1), []byte("tree 1111111111111111111111111111111111111111\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n"))
	f.Add(byte(4), []byte("object 1111111111111111111111111111111111111111\ntype commit\n"))
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		object.Check(object.Kind(kind), data, &links{})
		_, _ = object.ParseCommit(data)
		_, _, _ = object.TagTarget(data)
		object.CheckModules(data)
	})
}
