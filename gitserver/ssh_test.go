package gitserver_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/models"
)

func (f *fixture) dial(user string, auth ...gossh.AuthMethod) (*gossh.Client, error) {
	return gossh.Dial("tcp", f.addr, &gossh.ClientConfig{User: user, Auth: auth, HostKeyCallback: gossh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
}

func (f *fixture) client(signer gossh.Signer) *gossh.Client {
	f.t.Helper()
	client, err := f.dial("git", gossh.PublicKeys(signer))
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = client.Close() })
	return client
}

// says runs a command that the server must refuse, and returns its words.
func says(t *testing.T, client *gossh.Client, command string) string {
	t.Helper()
	session, err := client.NewSession()
	require.NoError(t, err)
	defer session.Close()
	var words bytes.Buffer
	session.Stderr = &words
	require.Error(t, session.Run(command))
	return words.String()
}

func TestSSHRunsTwoProgramsOnly(t *testing.T) { // B5 B6 C7
	f := newFixture(t)
	f.app("demo")
	client := f.client(f.addKey("other", "bob"))
	for _, command := range []string{
		"id", "env -i sh", "git-upload-archive 'demo.git'", "git-lfs-authenticate demo.git upload", "git-upload-pack", "sh -c id", "git-receive-packs 'demo'",
	} {
		assert.Equal(t, "sky: this server speaks git only\n", says(t, client, command), command)
	}
	missing := says(t, client, "git-upload-pack 'missing.git'")
	for _, path := range []string{"../../other.git", "%2e%2e", "//", "a\x00b", "~root", "/etc/passwd", "", "demo.git'; id; '", "--upload-pack=id", "DEMO"} {
		assert.Equal(t, missing, says(t, client, "git-upload-pack '"+path+"'"), path)
	}
	session, err := client.NewSession()
	require.NoError(t, err)
	var words bytes.Buffer
	session.Stderr = &words
	require.NoError(t, session.Shell())
	require.Error(t, session.Wait())
	assert.Equal(t, "Hi bob! You've authenticated; Sky speaks git only.\n", words.String())
}

func TestSSHRefusesWhatIsNotGit(t *testing.T) { // C7
	f := newFixture(t)
	client := f.client(f.addKey("other", "bob"))
	session, err := client.NewSession()
	require.NoError(t, err)
	defer session.Close()
	assert.Error(t, session.RequestPty("xterm", 24, 80, nil))
	assert.Error(t, session.RequestSubsystem("sftp"))
	assert.Error(t, session.Setenv("LD_PRELOAD", "x"))
	assert.NoError(t, session.Setenv("GIT_PROTOCOL", "version=2"))
	assert.Error(t, session.Setenv("GIT_PROTOCOL", strings.Repeat("x", 10_000)))
	for _, kind := range []string{"auth-agent-req@openssh.com", "x11-req"} {
		ok, err := session.SendRequest(kind, true, nil)
		require.NoError(t, err)
		assert.False(t, ok, kind)
	}
	// A wrapped length, which ends a plain gliderlabs server.
	ok, err := session.SendRequest("pty-req", true, []byte{0xff, 0xff, 0xff, 0xff, 0, 0})
	require.NoError(t, err)
	assert.False(t, ok)
	_, err = client.Dial("tcp", "127.0.0.1:1")
	assert.Error(t, err)
	_, err = client.Listen("tcp", "127.0.0.1:0")
	assert.Error(t, err)
}

func TestSSHBoundsChannels(t *testing.T) {
	f := newFixture(t)
	client := f.client(f.addKey("other", "bob"))
	for range 10 {
		session, err := client.NewSession()
		require.NoError(t, err)
		defer session.Close()
	}
	_, err := client.NewSession()
	assert.ErrorContains(t, err, "too many channels")
}

func TestSSHKnowsGitUserAndKeysOnly(t *testing.T) { // C8 C10
	f := newFixture(t)
	signer := f.addKey("other", "bob")
	_, err := f.dial("root", gossh.PublicKeys(signer))
	assert.Error(t, err)
	_, err = f.dial("git", gossh.Password("x"))
	assert.Error(t, err)
	_, err = f.dial("git", gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil }))
	assert.Error(t, err)
}

func TestSSHIdentityIsTheVerifiedKey(t *testing.T) { // C5
	f := newFixture(t)
	alice := f.addKey("a", "alice")
	f.addKey("m", "mallory")
	// Stock ssh has the public half of alice's key only: it asks whether the key
	// would do, cannot sign, and proves mallory's.
	public := filepath.Join(f.dir, "alice.pub")
	require.NoError(t, os.WriteFile(public, gossh.MarshalAuthorizedKey(alice.PublicKey()), 0o600))
	host, port, err := net.SplitHostPort(f.addr)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "ssh", "-v", "-T", "-F", "none", "-p", port, "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-o", "IdentityFile="+public,
		"-o", "IdentityFile="+filepath.Join(f.dir, "m"), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "git@"+host)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Contains(t, string(out), "Server accepts key: "+public)
	assert.Contains(t, string(out), "Hi mallory!")
}

func TestSSHKeyDeletedDuringThePushIsRefused(t *testing.T) { // C9
	f := newFixture(t)
	app, dir := f.app("demo"), f.work("w")
	f.receiver.on(func(context.Context, *models.Push) bool {
		f.receiver.mu.Lock()
		defer f.receiver.mu.Unlock()
		clear(f.receiver.keys)
		return true
	})
	f.git(dir, "push", "-q", f.sshURL("demo"), "main:refs/heads/one")
	f.gitFails(dir, "push", f.sshURL("demo"), "main:refs/heads/two")
	assert.Equal(t, models.ZeroObject, f.refOf(app, "refs/heads/two"))
}

func TestSSHReaderMayNotPush(t *testing.T) { // B7
	f := newFixture(t)
	f.app("demo")
	client := f.client(f.addKey("r", "reader"))
	assert.Equal(t, "sky: you may read demo, not push to it\n", says(t, client, "git-receive-pack 'demo.git'"))
}

func TestSSHClosesStalledHandshakes(t *testing.T) { // C6
	f := newFixture(t)
	keys, err := gitserver.LoadHostKeys(t.TempDir())
	require.NoError(t, err)
	door := &gitserver.SSH{Door: f.ssh.Door, HostKeys: keys, HandshakeTimeout: 50 * time.Millisecond, MaxConnsPerAddr: 3}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- door.Serve(listener) }()
	for range 5 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = new(bytes.Buffer).ReadFrom(conn)
		assert.False(t, isTimeout(err), "the server must hang up")
	}
	require.NoError(t, door.Shutdown(t.Context()))
	require.NoError(t, <-served)
	require.NoError(t, door.Shutdown(t.Context()), "a second shutdown does nothing")
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

func TestShutdownWaitsForSessionsThenCutsThem(t *testing.T) {
	f := newFixture(t)
	f.app("demo")
	dir := f.work("w")
	started, ended := make(chan struct{}), make(chan struct{})
	f.receiver.on(func(ctx context.Context, _ *models.Push) bool {
		close(started)
		<-ctx.Done()
		close(ended)
		return false
	})
	cmd := f.command(dir, "push", "-q", f.sshURL("demo"), "main")
	require.NoError(t, cmd.Start())
	<-started
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, f.ssh.Shutdown(ctx), context.Canceled)
	<-ended
	assert.Error(t, cmd.Wait())
}

func TestHostKeysAreMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	first, err := gitserver.LoadHostKeys(dir)
	require.NoError(t, err)
	again, err := gitserver.LoadHostKeys(dir)
	require.NoError(t, err)
	require.Len(t, first, 2)
	for i := range first {
		assert.Equal(t, first[i].PublicKey().Marshal(), again[i].PublicKey().Marshal())
	}
}
