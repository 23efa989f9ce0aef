package gitserver_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/stretchr/testify/require"
	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// rawPush is a push over SSH that a test sends byte by byte.
type rawPush struct {
	f       *fixture
	client  *gossh.Client
	in      io.WriteCloser
	out     *bufio.Reader
	session *gossh.Session
}

// rawPush begins a push and reads the advertisement.
func (f *fixture) rawPush(addr string, signer gossh.Signer, app string) *rawPush {
	f.t.Helper()
	client, err := gossh.Dial("tcp", addr, &gossh.ClientConfig{User: "git", Auth: []gossh.AuthMethod{gossh.PublicKeys(signer)}, HostKeyCallback: gossh.InsecureIgnoreHostKey()})
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = client.Close() })
	session, err := client.NewSession()
	require.NoError(f.t, err)
	p := &rawPush{f: f, client: client, session: session}
	p.in, err = session.StdinPipe()
	require.NoError(f.t, err)
	out, err := session.StdoutPipe()
	require.NoError(f.t, err)
	p.out = bufio.NewReader(out)
	require.NoError(f.t, session.Start("git-receive-pack '"+app+".git'"))
	packets := pktline.NewReader(p.out)
	for kind := pktline.Data; kind != pktline.Flush; {
		kind, _, err = packets.Next()
		require.NoError(f.t, err)
	}
	return p
}

func (p *rawPush) send(data []byte) {
	p.f.t.Helper()
	_, err := p.in.Write(data)
	require.NoError(p.f.t, err)
}

// rest returns what the server answers until it ends.
func (p *rawPush) rest() string {
	p.f.t.Helper()
	answer, err := io.ReadAll(p.out)
	require.NoError(p.f.t, err)
	return string(answer)
}

// pushBytes is a request to create a ref at id, with a thin pack on haves.
func (f *fixture) pushBytes(dir, id, ref string, haves ...string) []byte {
	f.t.Helper()
	request := pktline.Append(nil, "%s %s %s\x00report-status\n", models.ZeroObject, id, ref)
	return append(pktline.AppendFlush(request), f.packBytes(dir, id, haves...)...)
}

func (f *fixture) packBytes(dir, id string, haves ...string) []byte {
	f.t.Helper()
	revisions := &strings.Builder{}
	fmt.Fprintln(revisions, id)
	for _, have := range haves {
		fmt.Fprintln(revisions, "^"+have)
	}
	cmd := f.command(dir, "pack-objects", "-q", "--revs", "--thin", "--stdout")
	cmd.Stdin = strings.NewReader(revisions.String())
	var pack bytes.Buffer
	cmd.Stdout = &pack
	require.NoError(f.t, cmd.Run())
	return pack.Bytes()
}
