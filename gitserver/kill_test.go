package gitserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/models"
)

// The environment by which a test starts itself as another program.
const (
	childEnv = "SKY_TEST_CHILD"
	dirEnv   = "SKY_TEST_DIR"
	appEnv   = "SKY_TEST_APP"
	keyEnv   = "SKY_TEST_KEY"
)

// children are what the test binary is when it is started by a test. They live
// until they are killed.
var children = map[string]func() error{"serve": serveChild, "consolidate": consolidateChild}

func childRepositories() (*gitserver.Repositories, models.ID, error) {
	app, err := models.ParseID(os.Getenv(appEnv))
	return &gitserver.Repositories{Dir: filepath.Join(os.Getenv(dirEnv), "repositories"), Log: slog.New(slog.DiscardHandler)}, app, err
}

// serveChild opens the SSH door to one App, for one key, and prints its address.
func serveChild() error {
	repos, app, err := childRepositories()
	if err != nil {
		return err
	}
	platform := &receiver{
		repositories: repos, keys: map[string]models.Actor{os.Getenv(keyEnv): {Name: "alice"}},
		apps: map[string]models.App{"demo": {ID: app, Name: "demo", DeployBranch: "main"}},
	}
	keys, err := gitserver.LoadHostKeys(os.Getenv(dirEnv))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	door := gitserver.SSH{Door: gitserver.Door{Repositories: repos, Receiver: platform, Log: repos.Log}, HostKeys: keys}
	return door.Serve(listener)
}

// consolidateChild consolidates when it is told to.
func consolidateChild() error {
	repos, app, err := childRepositories()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadByte(); err != nil {
		return err
	}
	if err := repos.Consolidate(context.Background(), app); err != nil {
		return err
	}
	fmt.Println("done")
	return nil
}

// child is a program that a test started.
type child struct {
	*exec.Cmd
	in   io.WriteCloser
	line string // the first that it printed
}

func (f *fixture) child(program, dir string, app models.App, key gossh.PublicKey) *child {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+program, dirEnv+"="+dir, appEnv+"="+app.ID.String(), keyEnv+"="+gossh.FingerprintSHA256(key))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(f.t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(f.t, err)
	require.NoError(f.t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(f.t, err)
	return &child{Cmd: cmd, in: in, line: strings.TrimSpace(line)}
}

// kill ends the child as a power cut would.
func (c *child) kill() {
	_ = c.Process.Kill()
	_ = c.Wait()
}

// noise is a commit whose pack is a few megabytes.
func (f *fixture) noise(dir string) string {
	data := make([]byte, 3<<20)
	random := rand.New(rand.NewPCG(3, 4))
	for i := range data {
		data[i] = byte(random.Uint32())
	}
	return f.commit(dir, "noise", string(data))
}

// incoming returns how many bytes of packs wait in quarantine.
func (f *fixture) incoming(app models.App) (bytes int64) {
	packs, _ := filepath.Glob(filepath.Join(f.bare(app), "quarantine/*/pack/*"))
	for _, pack := range packs {
		if info, err := os.Stat(pack); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

func (f *fixture) eventually(condition func() bool, what string) {
	f.t.Helper()
	require.Eventually(f.t, condition, 20*time.Second, 2*time.Millisecond, what)
}

func TestKilledServerLeavesNothingThatRecoverDoesNotRemove(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.git(dir, "push", "-q", f.sshURL("demo"), "main")
	tip := f.noise(dir)
	request := f.pushBytes(dir, tip, "refs/heads/noise", "HEAD~1")
	signer := f.addKey("child", "alice")
	server := f.child("serve", f.dir, app, signer.PublicKey())
	push := f.rawPush(server.line, signer, "demo")
	push.send(request[:2<<20])
	f.eventually(func() bool { return f.incoming(app) > 1<<20 }, "half the pack is there")
	server.kill()

	require.NotZero(t, f.incoming(app))
	require.NoError(t, f.repos.Recover(t.Context()))
	f.sound(app)
	assert.Len(t, f.packs(app), 1)
	assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/noise"))
	f.git(dir, "push", "-q", f.sshURL("demo"), "HEAD:noise")
	assert.Equal(t, tip, f.refOf(app, "refs/heads/noise"))
	f.sound(app)
}

func TestClientKilledInMidUploadLeavesNothing(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	request := f.pushBytes(dir, f.noise(dir), "refs/heads/main")
	half := func() bool { return f.incoming(app) > 1<<20 }
	gone := func() bool {
		left, err := os.ReadDir(filepath.Join(f.bare(app), "quarantine"))
		return err == nil && len(left) == 0
	}
	t.Run("ssh", func(t *testing.T) {
		push := f.under(t).rawPush(f.addr, f.addKey("raw", "bob"), "demo")
		push.send(request[:2<<20])
		f.eventually(half, "half the pack is there")
		require.NoError(t, push.client.Close())
		f.eventually(gone, "the quarantine is removed")
	})
	t.Run("ssh, channel only", func(t *testing.T) { // Ctrl-C under ControlMaster
		push := f.under(t).rawPush(f.addr, f.addKey("raw", "bob"), "demo")
		push.send(request[:2<<20])
		f.eventually(half, "half the pack is there")
		require.NoError(t, push.session.Close())
		f.eventually(gone, "the quarantine is removed")
	})
	t.Run("http", func(t *testing.T) {
		body, in := io.Pipe()
		post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.web.URL+"/demo.git/git-receive-pack", body)
		require.NoError(t, err)
		post.SetBasicAuth("any", testToken)
		post.Header.Set("Content-Type", "application/x-git-receive-pack-request")
		ended := make(chan error, 1)
		go func() {
			answer, err := f.web.Client().Do(post)
			if err == nil {
				_ = answer.Body.Close()
			}
			ended <- err
		}()
		_, err = in.Write(request[:2<<20])
		require.NoError(t, err)
		f.eventually(half, "half the pack is there")
		require.NoError(t, in.CloseWithError(io.ErrClosedPipe)) // ends the connection
		require.Error(t, <-ended)
		f.eventually(gone, "the quarantine is removed")
	})
	t.Run("stock git", func(t *testing.T) {
		f := f.under(t)
		// An ssh that stops in the middle of what git sends.
		cmd := f.command(dir, "push", "-q", f.sshURL("demo"), "main")
		script := filepath.Join(f.dir, "stall")
		require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n( head -c 2000000; exec sleep 1000 ) | "+sshOf(cmd)+" \"$@\"\n"), 0o700))
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND="+script, "GIT_SSH_VARIANT=ssh")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		require.NoError(t, cmd.Start())
		f.eventually(half, "half the pack is there")
		require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
		_ = cmd.Wait()
		f.eventually(gone, "the quarantine is removed")
	})
	assert.Zero(t, f.receiver.received())
	assert.Empty(t, f.packs(app))
	f.sound(app)
}

// sshOf returns the ssh that a command would use.
func sshOf(cmd *exec.Cmd) (command string) {
	for _, variable := range cmd.Env {
		if ssh, ok := strings.CutPrefix(variable, "GIT_SSH_COMMAND="); ok {
			command = ssh
		}
	}
	return command
}

func TestConsolidateMayBeKilledAtAnyPoint(t *testing.T) {
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.noise(dir)
	f.grow(dir, f.sshURL("demo"), "main", 5)
	f.grow(dir, f.sshURL("demo"), "side", 2)
	f.git(dir, "push", "-q", f.sshURL("demo"), ":side")
	f.age(f.packs(app)...)
	tip := f.refOf(app, "refs/heads/main")
	signer := f.addKey("child", "alice")
	kept := filepath.Join(f.dir, "kept")
	require.NoError(t, os.Rename(f.repos.Dir, kept))
	done := 0
	for i := range 20 {
		require.NoError(t, os.RemoveAll(f.repos.Dir))
		f.copyRepositories(kept)
		child := f.child("consolidate", f.dir, app, signer.PublicKey())
		_, err := child.in.Write([]byte{'\n'})
		require.NoError(t, err)
		<-time.After(time.Duration(i*i) * 500 * time.Microsecond)
		child.kill()
		if child.ProcessState.Success() {
			done++
		}
		require.NoError(t, f.repos.Recover(t.Context()))
		f.sound(app)
		require.Equal(t, tip, f.refOf(app, "refs/heads/main"))
		f.consolidate(app)
		require.Equal(t, tip, f.git(f.bare(app), "rev-parse", "main"))
		indexes, err := filepath.Glob(filepath.Join(f.bare(app), "objects/pack/*.idx"))
		require.NoError(t, err)
		require.Len(t, indexes, len(f.packs(app)))
	}
	t.Logf("%d of 20 had ended before they were killed", done)
}

// copyRepositories copies with times, which say what is old.
func (f *fixture) copyRepositories(from string) {
	f.t.Helper()
	out, err := exec.CommandContext(f.t.Context(), "cp", "-a", from, f.repos.Dir).CombinedOutput()
	require.NoError(f.t, err, string(out))
}
