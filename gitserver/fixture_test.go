package gitserver_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/models"
)

func TestMain(m *testing.M) {
	if program := children[os.Getenv(childEnv)]; program != nil {
		if err := program(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const testToken = "sky_pat_test"

// receiver is a platform that accepts everything, unless a hook says otherwise.
type receiver struct {
	repositories *gitserver.Repositories

	mu        sync.Mutex
	keys      map[string]models.Actor
	apps      map[string]models.App
	forbidden map[string]bool
	pushes    []*models.Push
	hook      func(ctx context.Context, push *models.Push) bool
}

func (r *receiver) ActorByKey(_ context.Context, fingerprint string) (models.Actor, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	actor, ok := r.keys[fingerprint]
	if !ok {
		return actor, models.Errorf(models.Unauthorized, "unknown key")
	}
	return actor, nil
}

func (r *receiver) ActorByToken(_ context.Context, token string) (models.Actor, error) {
	if token != testToken {
		return models.Actor{}, models.Errorf(models.Unauthorized, "unknown token")
	}
	return models.Actor{Name: "alice", Via: "token test"}, nil
}

func (r *receiver) Authorize(_ context.Context, actor models.Actor, app string, access gitserver.Access) (models.App, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.apps[app]
	if !ok || r.forbidden[app] {
		return models.App{}, models.Errorf(models.NotFound, "no such app")
	}
	if actor.Name == "reader" && access == gitserver.Write {
		return models.App{}, models.Errorf(models.Forbidden, "you may read %s, not push to it", app)
	}
	return found, nil
}

func (r *receiver) Receive(ctx context.Context, push *models.Push) {
	r.mu.Lock()
	r.pushes = append(r.pushes, push)
	hook := r.hook
	r.mu.Unlock()
	if hook != nil && !hook(ctx, push) {
		return
	}
	if err := r.repositories.UpdateRefs(ctx, push.App.ID, push.Updates, push.Atomic); err != nil {
		for _, update := range push.Updates {
			update.Err = err
		}
	}
}

// on sets what happens before refs move; the refs move if it returns true.
func (r *receiver) on(hook func(ctx context.Context, push *models.Push) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = hook
}

func (r *receiver) received() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pushes)
}

// fixture is both doors, open, and a home for git clients.
type fixture struct {
	t        *testing.T
	dir      string
	receiver *receiver
	repos    *gitserver.Repositories
	ssh      *gitserver.SSH
	addr     string
	web      *httptest.Server
	log      *logBuffer
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(data)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newFixture(t *testing.T, configure ...func(*gitserver.Door)) *fixture {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs a git client")
	}
	f := &fixture{t: t, dir: t.TempDir(), log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	f.repos = &gitserver.Repositories{Dir: filepath.Join(f.dir, "repositories"), Log: log}
	f.receiver = &receiver{repositories: f.repos, keys: map[string]models.Actor{}, apps: map[string]models.App{}, forbidden: map[string]bool{}}
	door := gitserver.Door{Repositories: f.repos, Receiver: f.receiver, Log: log}
	for _, change := range configure {
		change(&door)
	}
	keys, err := gitserver.LoadHostKeys(sharedHostKeys(t))
	require.NoError(t, err)
	f.ssh = &gitserver.SSH{Door: door, HostKeys: keys}
	f.web = httptest.NewServer(&gitserver.HTTP{Door: door})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f.addr = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- f.ssh.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, f.ssh.Shutdown(ctx))
		require.NoError(t, <-served)
		f.web.Close()
		if t.Failed() {
			t.Log(f.log.String())
		}
	})
	f.addKey("id", "alice")
	return f
}

// under returns the fixture for a subtest.
func (f *fixture) under(t *testing.T) *fixture {
	sub := *f
	sub.t = t
	return &sub
}

var hostKeys = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "sky-hostkeys-") })

func sharedHostKeys(t *testing.T) string {
	t.Helper()
	dir, err := hostKeys()
	require.NoError(t, err)
	return dir
}

// addKey makes a client key that belongs to the named actor.
func (f *fixture) addKey(file, actor string) gossh.Signer {
	f.t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(f.t, err)
	block, err := gossh.MarshalPrivateKey(key, actor)
	require.NoError(f.t, err)
	require.NoError(f.t, os.WriteFile(filepath.Join(f.dir, file), pem.EncodeToMemory(block), 0o600))
	signer, err := gossh.NewSignerFromKey(key)
	require.NoError(f.t, err)
	f.receiver.mu.Lock()
	defer f.receiver.mu.Unlock()
	f.receiver.keys[gossh.FingerprintSHA256(signer.PublicKey())] = models.Actor{Name: actor}
	return signer
}

// app makes an App with an empty repository.
func (f *fixture) app(name string) models.App {
	f.t.Helper()
	app := models.App{ID: models.NewID(), Name: name, DeployBranch: "main"}
	require.NoError(f.t, f.repos.Create(f.t.Context(), app.ID))
	f.receiver.mu.Lock()
	defer f.receiver.mu.Unlock()
	f.receiver.apps[name] = app
	return app
}

func (f *fixture) sshURL(app string) string { return fmt.Sprintf("ssh://git@%s/%s.git", f.addr, app) }

func (f *fixture) httpURL(app string) string {
	return strings.Replace(f.web.URL, "http://", "http://any:"+testToken+"@", 1) + "/" + app + ".git"
}

func (f *fixture) bare(app models.App) string {
	return filepath.Join(f.repos.Dir, app.ID.String()+".git")
}

func (f *fixture) env() []string {
	ssh := fmt.Sprintf("ssh -i %s/id -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR", f.dir)
	return append(os.Environ(), "GIT_SSH_COMMAND="+ssh, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"HOME="+f.dir, "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.invalid", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.invalid",
		"GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000", "GIT_CONFIG_COUNT=2",
		"GIT_CONFIG_KEY_0=init.defaultBranch", "GIT_CONFIG_VALUE_0=main", "GIT_CONFIG_KEY_1=gc.auto", "GIT_CONFIG_VALUE_1=0")
}

func (f *fixture) command(dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(f.t.Context(), "git", args...)
	cmd.Dir, cmd.Env = dir, f.env()
	return cmd
}

// git runs a git client that must succeed, and returns what it printed.
func (f *fixture) git(dir string, args ...string) string {
	f.t.Helper()
	out, err := f.command(dir, args...).CombinedOutput()
	require.NoError(f.t, err, "git %s\n%s\n%s", strings.Join(args, " "), out, f.log)
	return strings.TrimSpace(string(out))
}

// gitFails runs a git client that must fail, and returns what it printed.
func (f *fixture) gitFails(dir string, args ...string) string {
	f.t.Helper()
	out, err := f.command(dir, args...).CombinedOutput()
	require.Error(f.t, err, "git %s\n%s", strings.Join(args, " "), out)
	return string(out)
}

// work makes a working tree with one commit.
func (f *fixture) work(name string) string {
	f.t.Helper()
	dir := filepath.Join(f.dir, name)
	f.git(f.dir, "init", "-q", dir)
	lines := &strings.Builder{}
	for i := range 500 {
		fmt.Fprintf(lines, "line %d of a file that is worth a delta\n", i)
	}
	f.commit(dir, "file", lines.String())
	return dir
}

func (f *fixture) commit(dir, file, content string) string {
	f.t.Helper()
	path := filepath.Join(dir, file)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(f.t, os.WriteFile(path, []byte(content), 0o644))
	f.git(dir, "add", "-A")
	f.git(dir, "commit", "-qm", "change "+file, "--allow-empty")
	return f.git(dir, "rev-parse", "HEAD")
}

func (f *fixture) refOf(app models.App, name string) string {
	f.t.Helper()
	id, err := f.repos.Ref(f.t.Context(), app.ID, name)
	require.NoError(f.t, err)
	return id
}

// sound proves with stock git that a repository is whole, and that nothing of a
// push is left beside it.
func (f *fixture) sound(app models.App) {
	f.t.Helper()
	f.git(f.bare(app), "fsck", "--full", "--strict")
	left, err := filepath.Glob(filepath.Join(f.bare(app), "quarantine", "*"))
	require.NoError(f.t, err)
	require.Empty(f.t, left)
	indexes, err := filepath.Glob(filepath.Join(f.bare(app), "objects/pack/*.idx"))
	require.NoError(f.t, err)
	for _, index := range indexes {
		again := filepath.Join(f.t.TempDir(), "again.idx")
		f.git(f.dir, "index-pack", "-o", again, strings.TrimSuffix(index, ".idx")+".pack")
		ours, err := os.ReadFile(index)
		require.NoError(f.t, err)
		theirs, err := os.ReadFile(again)
		require.NoError(f.t, err)
		require.True(f.t, bytes.Equal(ours, theirs), "index differs from git's")
	}
}

var _ io.Writer = (*logBuffer)(nil)
