package platform

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func newTestAuthority(t *testing.T) *Authority {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nodes.pem")
	_, err := OpenAuthority(path)
	require.NoError(t, err)
	again, err := OpenAuthority(path)
	require.NoError(t, err)
	return again
}

// nodeCertificate certifies a key whose request asks for more than a node gets.
func nodeCertificate(t *testing.T, a *Authority, node models.ID) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	wish, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{controlPlaneName}}, key)
	require.NoError(t, err)
	request, err := x509.ParseCertificateRequest(wish)
	require.NoError(t, err)
	made, err := a.certify(node, request)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(made)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{made}, PrivateKey: key, Leaf: leaf}
}

// TestClocksMayDiffer: a node whose clock is an hour off accepts the others.
func TestClocksMayDiffer(t *testing.T) {
	a, node := newTestAuthority(t), models.NewID()
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	leaf := nodeCertificate(t, a, node).Leaf
	for _, skew := range []time.Duration{-time.Hour, 0, time.Hour} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: protocol.PeerName(node.String()), CurrentTime: time.Now().Add(skew)})
		require.NoError(t, err, skew)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: controlPlaneName})
	require.Error(t, err, "what a request asks for")
	created, now := time.Now().Add(-time.Minute), time.Now()
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		at := within(created.Add(skew), created, now)
		require.False(t, at.Before(created) || at.After(now), "nobody pays for a clock that is wrong")
	}
}

// TestCredentialsOutliveClocks: of control planes that follow one another, clocks
// may differ by an hour.
func TestCredentialsOutliveClocks(t *testing.T) {
	s := newStage(t)
	node := s.local(t).ID
	for made, good := range map[time.Duration]bool{time.Hour: true, -time.Hour: true, -AgentTokenLife - time.Hour: false} {
		token, err := s.agentToken(node, time.Now().Add(made))
		require.NoError(t, err)
		_, err = s.AuthenticateAgent(t.Context(), "Bearer "+token)
		require.Equal(t, good, err == nil, "%s: %v", made, err)
	}
}

// shake returns what a control plane says to a client with this configuration.
func shake(t *testing.T, a *Authority, client *tls.Config) error {
	t.Helper()
	server, err := a.ControlPlane()
	require.NoError(t, err)
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() {
		conn := tls.Client(there, client)
		_ = conn.Handshake()
		_, _ = conn.Read(make([]byte, 1)) // the alert, if any
	}()
	return tls.Server(here, server).Handshake()
}

func TestControlPlanesKnowEachOther(t *testing.T) {
	a := newTestAuthority(t)
	another, err := a.ControlPlane()
	require.NoError(t, err)
	require.NoError(t, shake(t, a, another))
	foreign, err := newTestAuthority(t).ControlPlane()
	require.NoError(t, err)
	foreign.InsecureSkipVerify = true //nolint:gosec // the other end is what is tested
	require.Error(t, shake(t, a, foreign))
	node := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{nodeCertificate(t, a, models.NewID())}} //nolint:gosec // as above
	require.ErrorContains(t, shake(t, a, node), controlPlaneName, "a node is no control plane")
}

func TestWebsiteCertificate(t *testing.T) {
	a := newTestAuthority(t)
	made, renew, err := a.Website([]string{"10.0.0.5", "sky.example.com"})
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(made.Certificate[0])
	require.NoError(t, err)
	require.True(t, renew.Before(leaf.NotAfter))
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(a.Certificate()))
	for _, host := range []string{"10.0.0.5", "sky.example.com"} {
		_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host})
		require.NoError(t, err)
	}
}
