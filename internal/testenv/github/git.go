package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// git runs the stock program in the repositories below dir.
type git struct {
	dir  string
	life context.Context
}

// zero is the id of no commit.
const zero = "0000000000000000000000000000000000000000"

// run runs git in a bare repository with more environment, and returns what it
// printed.
func (g *git) run(repo string, env []string, args ...string) (string, error) {
	command := exec.CommandContext(g.life, "git", args...)
	command.Dir = repo
	command.Env = append(gitEnv(), env...)
	var output, problems bytes.Buffer
	command.Stdout, command.Stderr = &output, &problems
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(problems.Bytes()))
	}
	return strings.TrimRight(output.String(), "\n"), nil
}

// gitEnv keeps the machine's and the user's settings out.
func gitEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "HOME=" + os.DevNull, "LC_ALL=C"}
}

// create makes a bare repository that serves what GitHub's do.
func (g *git) create(repo string) error {
	if err := os.MkdirAll(repo, 0o755); err != nil {
		return err
	}
	if _, err := g.run(repo, nil, "init", "--quiet", "--bare", "--initial-branch=main", "."); err != nil {
		return err
	}
	for _, setting := range []string{"uploadpack.allowFilter", "uploadpack.allowTipSHA1InWant", "uploadpack.allowReachableSHA1InWant"} {
		if _, err := g.run(repo, nil, "config", setting, "true"); err != nil {
			return err
		}
	}
	return nil
}

// resolve returns the commit that a name stands for, "" when there is none.
func (g *git) resolve(repo, name string, env ...string) string {
	if name == "" || strings.HasPrefix(name, "-") {
		return ""
	}
	for _, full := range []string{"refs/heads/" + name, "refs/tags/" + name, name} {
		if sha, err := g.run(repo, env, "rev-parse", "--verify", "--quiet", full+"^{commit}"); err == nil {
			return sha
		}
	}
	return ""
}

// ref is one ref and the object it names.
type ref struct{ name, sha string }

// refs lists refs below a prefix such as refs/heads/, in order of their names.
func (g *git) refs(repo, prefix string) ([]ref, error) {
	listed, err := g.run(repo, nil, "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	var found []ref
	for line := range strings.Lines(listed) {
		sha, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(name, prefix) {
			found = append(found, ref{name: name, sha: sha})
		}
	}
	return found, nil
}

func (g *git) contains(repo, ancestor, of string, env []string) bool {
	_, err := g.run(repo, env, "merge-base", "--is-ancestor", ancestor, of)
	return err == nil
}

// commit is one to be made.
type commit struct {
	Commit
	author *account
	at     time.Time
}

// write makes a commit on parent ("" is none) and returns its id.
func (g *git) write(repo, parent string, c commit, env []string) (string, error) {
	scratch, err := os.MkdirTemp("", "sky-github-commit-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	env = append([]string{"GIT_INDEX_FILE=" + filepath.Join(scratch, "index")}, env...)
	tree, err := g.tree(repo, scratch, parent, c.Commit, env)
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", tree, "-m", c.Message}
	if parent != "" {
		args = append(args, "-p", parent)
	}
	return g.run(repo, append(env, identity(c.author, c.at)...), args...)
}

// tree builds the tree of a commit: its directory, or its files laid over those
// of the parent.
func (g *git) tree(repo, scratch, parent string, c Commit, env []string) (string, error) {
	work := c.Dir
	if work == "" {
		work = filepath.Join(scratch, "files")
		if err := layOut(work, c.Files); err != nil {
			return "", err
		}
	}
	work, err := filepath.Abs(work)
	if err != nil {
		return "", err
	}
	env = append([]string{"GIT_DIR=" + repo, "GIT_WORK_TREE=" + work}, env...)
	begin := []string{"read-tree", "--empty"}
	if parent != "" && c.Dir == "" {
		begin = []string{"read-tree", parent}
	}
	if _, err := g.run(repo, env, begin...); err != nil {
		return "", err
	}
	if _, err := g.run(repo, env, "-C", work, "add", "--force", "--ignore-removal", "."); err != nil {
		return "", err
	}
	for _, path := range c.Remove {
		if _, err := g.run(repo, env, "update-index", "--force-remove", "--", path); err != nil {
			return "", err
		}
	}
	return g.run(repo, env, "write-tree")
}

func layOut(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if !filepath.IsLocal(name) {
			return fmt.Errorf("%q is no path of a file in a repository", name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func identity(a *account, at time.Time) []string {
	stamp := strconv.FormatInt(at.Unix(), 10) + " +0000"
	return []string{
		"GIT_AUTHOR_NAME=" + a.Login, "GIT_AUTHOR_EMAIL=" + a.email(), "GIT_AUTHOR_DATE=" + stamp,
		"GIT_COMMITTER_NAME=" + a.Login, "GIT_COMMITTER_EMAIL=" + a.email(), "GIT_COMMITTER_DATE=" + stamp,
	}
}

// quarantine returns the environment in which new objects go to a directory that
// nobody is served from.
func (g *git) quarantine(repo string) ([]string, error) {
	return []string{
		"GIT_OBJECT_DIRECTORY=" + hidden(repo),
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + filepath.Join(repo, "objects"),
	}, os.MkdirAll(hidden(repo), 0o755)
}

func hidden(repo string) string { return repo + ".hidden" }

// reveal moves the quarantined objects to where they are served from.
func (g *git) reveal(repo string) error {
	from := hidden(repo)
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(repo, "objects", name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.Rename(path, to)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, os.RemoveAll(from))
}
