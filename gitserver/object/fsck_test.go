package object_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/object"
)

const (
	someID = "1111111111111111111111111111111111111111"
	person = "A U Thor <a@example.invalid> 1700000000 +0000\n"
)

// specimen is one object; problem is what Check calls it, "" when it and git
// fsck accept it.
type specimen struct {
	kind    object.Kind
	data    string
	problem string
}

func specimens() map[string]specimen {
	commit := func(lines ...string) string { return strings.Join(lines, "") + "\nmessage\n" }
	return map[string]specimen{
		"commit":                   {object.Commit, commit("tree "+someID+"\n", "author "+person, "committer "+person), ""},
		"merge":                    {object.Commit, commit("tree "+someID+"\n", "parent "+strings.Repeat("3", 40)+"\n", "parent "+strings.Repeat("2", 40)+"\n", "author "+person, "committer "+person), ""},
		"signed":                   {object.Commit, commit("tree "+someID+"\n", "author "+person, "committer "+person, "gpgsig x\n y\n"), ""},
		"commit without tree":      {object.Commit, commit("author "+person, "committer "+person), "missingTree"},
		"parent before tree":       {object.Commit, commit("parent "+someID+"\n", "tree "+someID+"\n", "author "+person, "committer "+person), "missingTree"},
		"short parent":             {object.Commit, commit("tree "+someID+"\n", "parent "+someID[1:]+"\n", "author "+person, "committer "+person), "badParentSha1"},
		"commit without author":    {object.Commit, commit("tree "+someID+"\n", "committer "+person), "missingAuthor"},
		"commit without end":       {object.Commit, commit("tree "+someID+"\n", "author "+person), "missingCommitter"},
		"nul in a commit":          {object.Commit, commit("tree "+someID+"\n", "author "+person, "committer "+person, "x \x00\n"), "nulInHeader"},
		"tag":                      {object.Tag, "object " + someID + "\ntype commit\ntag v1\ntagger " + person + "\nx\n", ""},
		"tag without object":       {object.Tag, "type commit\ntag v1\ntagger " + person + "\nx\n", "missingObject"},
		"tag of another type":      {object.Tag, "object " + someID + "\ntype thing\ntag v1\ntagger " + person + "\nx\n", "badType"},
		"tree":                     {object.Tree, string(tree("100644 a", "100755 b", "120000 c")), ""},
		"unsorted tree":            {object.Tree, string(tree("100644 b", "100644 a")), "treeNotSorted"},
		"tree with a name twice":   {object.Tree, string(tree("100644 a", "100644 a")), "duplicateEntries"},
		"a directory a file hides": {object.Tree, string(tree("100644 a", "100644 a.b", "40000 a")), "duplicateEntries"},
		"truncated tree":           {object.Tree, "100644 a\x00short", "badTree"},
		"tree with .git":           {object.Tree, string(tree("40000 .git")), "hasDotgit"},
		"tree with git~1":          {object.Tree, string(tree("40000 git~1")), "hasDotgit"},
		"tree with ..":             {object.Tree, string(tree("40000 ..")), "hasDotdot"},
		"tree with .":              {object.Tree, string(tree("40000 .")), "hasDot"},
		"tree with a slash":        {object.Tree, string(tree("100644 a/b")), "fullPathname"},
		"tree with an empty name":  {object.Tree, string(tree("100644 ")), "emptyName"},
		"tree of no object":        {object.Tree, "100644 a\x00" + string(make([]byte, 20)), "nullSha1"},
		"linked .gitmodules":       {object.Tree, string(tree("120000 .gitmodules")), "gitmodulesSymlink"},
	}
}

func TestCheckAgreesWithGitFsck(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git to compare with")
	}
	for name, s := range specimens() {
		t.Run(name, func(t *testing.T) {
			ours := object.Check(s.kind, []byte(s.data), &links{})
			if s.problem == "" {
				assert.Empty(t, ours)
			} else {
				assert.True(t, strings.HasPrefix(ours, s.problem+":"), ours)
			}
			theirs := fsck(t, s)
			assert.Equal(t, s.problem != "", theirs != "", theirs)
		})
	}
}

// fsck returns what stock git says of an object, but for what it links to.
func fsck(t *testing.T, s specimen) string {
	t.Helper()
	dir := t.TempDir()
	git := func(stdin string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
		out, _ := cmd.CombinedOutput() // it fails for the links, which nobody has
		return string(out)
	}
	git("", "init", "-q", "--bare", ".")
	require.Len(t, strings.TrimSpace(git(s.data, "hash-object", "--literally", "-t", s.kind.String(), "-w", "--stdin")), 40)
	var told []string
	for line := range strings.Lines(git("", "fsck", "--strict", "--no-dangling")) {
		bad := strings.HasPrefix(line, "error") || strings.HasPrefix(line, "warning in ")
		if bad && !strings.HasSuffix(line, "broken links\n") {
			told = append(told, line)
		}
	}
	return strings.Join(told, "")
}

func TestIDs(t *testing.T) {
	id, err := object.ParseID(strings.ToUpper("abcdef") + someID[6:])
	require.NoError(t, err)
	assert.Equal(t, "abcdef"+someID[6:], id.String())
	for _, bad := range []string{"", "HEAD", someID[1:], someID + "1", strings.Repeat("g", 40), " " + someID[1:]} {
		_, err := object.ParseID(bad)
		assert.Error(t, err, bad)
	}
	assert.True(t, object.Zero.IsZero())
	assert.Negative(t, object.Zero.Compare(id))
}

func TestKinds(t *testing.T) {
	for _, kind := range []object.Kind{object.Commit, object.Tree, object.Blob, object.Tag} {
		parsed, ok := object.ParseKind(kind.String())
		assert.True(t, ok && parsed == kind && kind.Whole(), kind)
	}
	for _, kind := range []object.Kind{0, 5, object.OfsDelta, object.RefDelta, 8, 255} {
		_, ok := object.ParseKind(kind.String())
		assert.False(t, ok || kind.Whole(), fmt.Sprint(uint8(kind)))
	}
}

func TestTagTarget(t *testing.T) {
	id, kind, err := object.TagTarget([]byte("object " + someID + "\ntype tree\ntag x\n"))
	require.NoError(t, err)
	assert.Equal(t, someID, id.String())
	assert.Equal(t, object.Tree, kind)
	_, _, err = object.TagTarget([]byte("object " + someID + "\ntype none\n"))
	assert.Error(t, err)
}
