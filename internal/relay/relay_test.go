package relay_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skypanel/sky/internal/relay"
	"github.com/skypanel/sky/platform"
	"github.com/stretchr/testify/require"
)

// plane is one control plane: a relay, and a door behind which each connection gets
// the plane's name, the client's address, and then what it said.
type plane struct {
	*relay.Relay
	door  string // where clients come
	relay string // where other planes come
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func newPlane(t *testing.T, name string, authority *platform.Authority, leader *atomic.Value) plane {
	t.Helper()
	others, clients := listen(t), listen(t)
	p := plane{
		Relay: &relay.Relay{
			Leader: func() string { return leader.Load().(string) }, TLS: authority.ControlPlane, Log: slog.New(slog.DiscardHandler),
		},
		door: clients.Addr().String(), relay: others.Addr().String(),
	}
	door := p.Door(t.Context(), "echo", clients)
	t.Cleanup(func() { _ = door.Close() })
	go func() { _ = p.Serve(others) }()
	go func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, name+" "+conn.RemoteAddr().String()+"\n")
				_, _ = io.Copy(conn, conn) // until the client closes its half
			}()
		}
	}()
	return p
}

func authority(t *testing.T) *platform.Authority {
	t.Helper()
	made, err := platform.OpenAuthority(filepath.Join(t.TempDir(), "nodes.pem"))
	require.NoError(t, err)
	return made
}

func nobody() *atomic.Value {
	leader := &atomic.Value{}
	leader.Store("")
	return leader
}

// ask says something at a door, and returns all that is answered to the client.
func ask(t *testing.T, door string) (answer, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", door)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, "hello")
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(text), conn.LocalAddr().String()
}

func TestEveryDoorLeadsToTheLeader(t *testing.T) {
	ca, leader := authority(t), nobody()
	a, b := newPlane(t, "a", ca, leader), newPlane(t, "b", ca, leader)
	early := make(chan string)
	go func() {
		answer, address := ask(t, b.door) // before anybody leads
		early <- answer
		early <- address
	}()
	a.Lead()
	leader.Store(a.relay)
	require.Equal(t, <-early, "a "+<-early+"\nhello")
	for _, p := range []plane{a, b} {
		answer, address := ask(t, p.door)
		require.Equal(t, "a "+address+"\nhello", answer)
	}
}

func TestOnlyControlPlanesHandOn(t *testing.T) {
	ca, leader := authority(t), nobody()
	a := newPlane(t, "a", ca, leader)
	a.Lead()
	for name, config := range map[string]func() *tls.Config{
		"no certificate": func() *tls.Config { return &tls.Config{} },
		"another installation's": func() *tls.Config {
			other, err := authority(t).ControlPlane()
			require.NoError(t, err)
			return other
		},
		"one of its own making": func() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}} },
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			c.InsecureSkipVerify, c.NextProtos = true, []string{"echo"} //nolint:gosec // the other end is what is tested
			c.VerifyConnection = nil
			conn, err := tls.Dial("tcp", a.relay, c)
			if err == nil {
				defer conn.Close()
				_, err = io.ReadAll(conn) // TLS 1.3 tells a client late
			}
			require.Error(t, err)
		})
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"control-plane.sky"}, NotAfter: time.Now().Add(time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{made}, PrivateKey: key}
}

// TestLeaderIsNotBelievedByItsAddress: whoever answers at the leader's address proves
// to be a control plane before a client's word reaches it.
func TestLeaderIsNotBelievedByItsAddress(t *testing.T) {
	impostor, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}, NextProtos: []string{"echo"}})
	require.NoError(t, err)
	defer impostor.Close()
	heard := make(chan error, 100)
	go func() {
		for {
			conn, err := impostor.Accept()
			if err != nil {
				return
			}
			heard <- conn.(*tls.Conn).Handshake()
		}
	}()
	leader := nobody()
	leader.Store(impostor.Addr().String())
	b := newPlane(t, "b", authority(t), leader)
	conn, err := net.Dial("tcp", b.door)
	require.NoError(t, err)
	defer conn.Close()
	require.Error(t, <-heard)
}

func TestClosedDoor(t *testing.T) {
	r := &relay.Relay{Leader: func() string { return "" }, TLS: authority(t).ControlPlane, Log: slog.New(slog.DiscardHandler)}
	door := r.Door(t.Context(), "echo", listen(t))
	r.Lead()
	conn, err := net.Dial("tcp", door.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, door.Close())
	_, err = door.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = conn.Read(make([]byte, 1))
	require.Error(t, err)
}
