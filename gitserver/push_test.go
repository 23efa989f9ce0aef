package gitserver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/models"
)

// doors runs a test through both doors.
func doors(t *testing.T, test func(t *testing.T, f *fixture, url func(string) string)) {
	t.Run("ssh", func(t *testing.T) { f := newFixture(t); test(t, f, f.sshURL) })
	t.Run("http", func(t *testing.T) { f := newFixture(t); test(t, f, f.httpURL) })
}

func TestPushMovesRefsAndStoresWhatStockGitWould(t *testing.T) {
	doors(t, func(t *testing.T, f *fixture, url func(string) string) {
		app, dir := f.app("demo"), f.work("w")
		first := f.git(dir, "rev-parse", "HEAD")
		f.git(dir, "push", "-q", url("demo"), "main")
		assert.Equal(t, first, f.refOf(app, "refs/heads/main"))

		content, err := os.ReadFile(filepath.Join(dir, "file"))
		require.NoError(t, err)
		second := f.commit(dir, "file", string(content)+"more\n")
		f.git(dir, "push", "-q", url("demo"), "main") // thin: the base is not sent
		assert.Equal(t, second, f.refOf(app, "refs/heads/main"))

		assert.Contains(t, f.git(dir, "push", url("demo"), "main"), "Everything up-to-date")
		f.git(dir, "tag", "-am", "one", "v1")
		f.git(dir, "push", "-q", url("demo"), "main:side", "v1")
		assert.Equal(t, second, f.refOf(app, "refs/heads/side"))
		f.git(dir, "push", "-q", url("demo"), ":side")
		assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/side"))
		f.sound(app)
	})
}

func TestPushReportsEachVerdict(t *testing.T) {
	doors(t, func(t *testing.T, f *fixture, url func(string) string) {
		app, dir := f.app("demo"), f.work("w")
		out := f.gitFails(dir, "push", url("demo"), "main:good", "main:refs/sky/x", "main:refs/heads/a.b")
		assert.Contains(t, out, "only branches and tags can be pushed")
		assert.NotEqual(t, models.ZeroObject, f.refOf(app, "refs/heads/good"))
		assert.NotEqual(t, models.ZeroObject, f.refOf(app, "refs/heads/a.b"))

		out = f.gitFails(dir, "push", "--atomic", url("demo"), "main:other", "main:refs/sky/x")
		assert.Contains(t, out, "atomic push failure")
		assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/other"))

		f.git(dir, "push", "-q", url("demo"), "main")
		assert.Contains(t, f.gitFails(dir, "push", url("demo"), ":main"), "main is the branch that deploys and cannot be deleted")
		blob := f.git(dir, "hash-object", "-w", "file")
		assert.Contains(t, f.gitFails(dir, "push", url("demo"), blob+":refs/heads/blob"), "must lead to a commit")
		assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/blob"))
		f.sound(app)
	})
}

func TestPushShowsTheReceiversErrors(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.receiver.on(func(_ context.Context, push *models.Push) bool {
		push.Updates[0].Err = models.Errorf(models.Failed, "build failed:\nno start command")
		return false
	})
	out := f.gitFails(dir, "push", f.sshURL("demo"), "main")
	assert.Contains(t, out, "(build failed: no start command)")
	f.receiver.on(func(_ context.Context, push *models.Push) bool {
		push.Updates[0].Err = fmt.Errorf("secret of the database")
		return false
	})
	out = f.gitFails(dir, "push", f.sshURL("demo"), "main")
	assert.Contains(t, out, "(internal error)")
	assert.NotContains(t, out, "secret")
	assert.Contains(t, f.log.String(), "secret of the database")
	assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/main"))
}

func TestFailedPushKeepsItsObjectsForTheRetry(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.receiver.on(func(ctx context.Context, push *models.Push) bool {
		assert.NoError(t, f.repos.Keep(ctx, app.ID, "failed", push.Updates[0].New))
		push.Updates[0].Err = models.Errorf(models.Failed, "build failed")
		return false
	})
	f.gitFails(dir, "push", f.sshURL("demo"), "main")
	f.receiver.on(nil)
	cmd := f.command(dir, "push", f.sshURL("demo"), "main")
	cmd.Env = append(cmd.Env, "GIT_TRACE_PACKET=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err)
	assert.Contains(t, string(out), ".have")
	assert.NotContains(t, string(out), "Writing objects")
	assert.NotContains(t, f.git(dir, "ls-remote", f.sshURL("demo")), "sky")
	f.sound(app)
}

func TestPushOptionsAndQuietReachTheReceiver(t *testing.T) {
	doors(t, func(t *testing.T, f *fixture, url func(string) string) {
		f.app("demo")
		dir := f.work("w")
		f.git(dir, "push", "-q", "-o", "no-deploy", "-o", "a=b c", url("demo"), "main")
		require.Len(t, f.receiver.pushes, 1)
		assert.Equal(t, []string{"no-deploy", "a=b c"}, f.receiver.pushes[0].Options)
	})
}

func TestForcedPushOfAnotherHistory(t *testing.T) {
	f := newFixture(t)
	app, dir, other := f.app("demo"), f.work("w"), f.work("other")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main:side")
	f.git(other, "commit", "-q", "--amend", "-m", "another beginning")
	f.gitFails(other, "push", f.sshURL("demo"), "main:side")
	f.git(other, "push", "-q", "-f", f.sshURL("demo"), "main:side")
	assert.Equal(t, f.git(other, "rev-parse", "main"), f.refOf(app, "refs/heads/side"))
	f.sound(app)
}

func TestOutputArrivesWholeAndSilenceIsBridged(t *testing.T) {
	f := newFixture(t, func(d *gitserver.Door) { d.KeepAlive = 5 * time.Millisecond })
	f.app("demo")
	dir := f.work("w")
	long := strings.Repeat("x", 300_000)
	f.receiver.on(func(ctx context.Context, push *models.Push) bool {
		for i := range 20_000 {
			fmt.Fprintf(push.Out, "line %d end\n", i)
		}
		fmt.Fprintln(push.Out, long)
		select { // many keep-alive intervals of silence
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
		}
		return true
	})
	// Into a file: a pipe that ssh made non-blocking lets git lose long lines.
	terminal, err := os.Create(filepath.Join(f.dir, "terminal"))
	require.NoError(t, err)
	defer terminal.Close()
	cmd := f.command(dir, "push", f.sshURL("demo"), "main")
	cmd.Stderr = terminal
	require.NoError(t, cmd.Run())
	data, err := os.ReadFile(terminal.Name())
	require.NoError(t, err)
	out := string(data)
	assert.Equal(t, 20_000, strings.Count(out, " end"))
	assert.Contains(t, out, "line 19999 end")
	assert.Equal(t, 300_000, strings.Count(out, "x"), "every byte of the long line")
	assert.Contains(t, out, "main -> main")
}

func TestEightRacingPushesHaveOneWinner(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	tree := f.git(dir, "rev-parse", "main^{tree}")
	results := make(chan error)
	for i := range 8 {
		commit := f.git(dir, "commit-tree", tree, "-p", "main", "-m", fmt.Sprint("racer ", i))
		go func() { results <- f.command(dir, "push", "-q", f.sshURL("demo"), commit+":refs/heads/main").Run() }()
	}
	won := 0
	for range 8 {
		if <-results == nil {
			won++
		}
	}
	assert.Equal(t, 1, won)
	f.sound(app)
}

func TestKilledClientLeavesNothing(t *testing.T) {
	f := newFixture(t)
	app := f.app("demo")
	started, ended := make(chan struct{}), make(chan error, 1)
	f.receiver.on(func(ctx context.Context, push *models.Push) bool {
		close(started)
		<-ctx.Done()
		ended <- ctx.Err()
		return false
	})
	cmd := f.command(f.work("w"), "push", "-q", f.sshURL("demo"), "main")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	<-started
	require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)) // git and its ssh
	_ = cmd.Wait()
	assert.ErrorIs(t, <-ended, context.Canceled)
	assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/main"))
}

func TestShallowPushIsRefusedUnlessTheHistoryIsKnown(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.commit(dir, "b", "b")
	shallow := filepath.Join(f.dir, "shallow")
	f.git(f.dir, "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	assert.Contains(t, f.gitFails(shallow, "push", f.sshURL("demo"), "main"), "git fetch --unshallow")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	next := f.commit(shallow, "c", "c")
	f.git(shallow, "push", "-q", f.sshURL("demo"), "main")
	assert.Equal(t, next, f.refOf(app, "refs/heads/main"))
	f.sound(app)
}

func TestDoorsTellMissingAndForbiddenAppsAlike(t *testing.T) {
	doors(t, func(t *testing.T, f *fixture, url func(string) string) {
		f.app("secret")
		f.receiver.forbidden["secret"] = true
		dir := f.work("w")
		hide := func(out, name string) string { return strings.ReplaceAll(out, name, "APP") }
		missing := hide(f.gitFails(dir, "push", url("nothing"), "main"), "nothing")
		assert.Equal(t, missing, hide(f.gitFails(dir, "push", url("secret"), "main"), "secret"))
		assert.Zero(t, f.receiver.received())
	})
}

func TestHostileSubmodulesAreRefused(t *testing.T) { // B2
	f := newFixture(t)
	f.app("demo")
	dir := f.work("w")
	f.commit(dir, ".gitmodules", "[submodule \"a\"]\n\tpath = a\n\turl = -u./payload\n")
	assert.Contains(t, f.gitFails(dir, "push", f.sshURL("demo"), "main"), "gitmodulesUrl")
	assert.Zero(t, f.receiver.received())
}

func TestRefusedPackLeavesNothingAndTellsWhy(t *testing.T) {
	for name, door := range map[string]func(*fixture) string{"ssh": func(f *fixture) string { return f.sshURL("demo") }, "http": func(f *fixture) string { return f.httpURL("demo") }} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(d *gitserver.Door) { d.Limits.Pack.ObjectBytes = 1 << 20 })
			app, dir := f.app("demo"), f.work("w")
			noise := make([]byte, 6<<20)
			random := rand.New(rand.NewPCG(1, 2))
			for i := range noise {
				noise[i] = byte(random.Uint32())
			}
			f.commit(dir, "big", string(noise))
			out := f.gitFails(dir, "push", door(f), "main")
			assert.Contains(t, out, "limit exceeded: an object of 6291456 bytes, 1048576 are allowed")
			packs, err := filepath.Glob(filepath.Join(f.bare(app), "objects/pack/*"))
			require.NoError(t, err)
			assert.Empty(t, packs)
			f.sound(app)
		})
	}
}

func TestDifferentObjectFormatIsRefused(t *testing.T) {
	f := newFixture(t)
	f.app("demo")
	dir := filepath.Join(f.dir, "sha256")
	f.git(f.dir, "init", "-q", "--object-format=sha256", dir)
	f.commit(dir, "a", "a")
	f.gitFails(dir, "push", f.sshURL("demo"), "main")
	assert.Zero(t, f.receiver.received())
}
