package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/durable"
)

const (
	// certifyAgain is the pause after the control plane gave no certificate.
	certifyAgain = 5 * time.Second
	maxAnswer    = 64 << 10
)

// errNoIdentity says that the control plane has not said yet who this Node is.
var errNoIdentity = errors.New("this node has no certificate yet")

// identity is how this Node proves itself to others: a key that never leaves it,
// and a certificate of the control plane's, kept on the disk, so that a Node that
// restarts while the control plane is away goes on.
type identity struct {
	config Config
	path   string
	held   atomic.Pointer[heldIdentity]
}

// heldIdentity is what is kept, and what TLS makes of it.
type heldIdentity struct {
	Key         []byte `json:"key"` // PEM, as are the others
	Certificate []byte `json:"certificate"`
	Authority   []byte `json:"authority"`

	pair tls.Certificate
	pool *x509.CertPool
}

// openIdentity reads what a former start kept. One that is not there, or not
// readable, is asked for again.
func openIdentity(config Config) *identity {
	i := &identity{config: config, path: filepath.Join(config.DataDir, "identity.json")}
	text, err := os.ReadFile(i.path)
	if err != nil {
		return i
	}
	held := &heldIdentity{}
	if json.Unmarshal(text, held) == nil && held.prepare() == nil {
		i.held.Store(held)
	}
	return i
}

func (h *heldIdentity) prepare() (err error) {
	if h.pair, err = tls.X509KeyPair(h.Certificate, h.Key); err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	if h.pair.Leaf, err = x509.ParseCertificate(h.pair.Certificate[0]); err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	h.pool = x509.NewCertPool()
	if !h.pool.AppendCertsFromPEM(h.Authority) {
		return errors.New("read the control plane's certificate: there is none")
	}
	return nil
}

// due is when the certificate is to be renewed: at half of its life.
func (h *heldIdentity) due() time.Time {
	leaf := h.pair.Leaf
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 2)
}

// keep renews the certificate in time, until ctx ends. trouble is told why there is
// none.
func (i *identity) keep(ctx context.Context, trouble func(error)) {
	for {
		pause := certifyAgain
		held := i.held.Load()
		if held != nil {
			pause = max(time.Until(held.due()), 0)
		}
		if held == nil || pause == 0 {
			err := i.renew(ctx)
			if held == nil && err != nil {
				trouble(err)
			}
			pause = certifyAgain
			if err == nil {
				continue
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// renew has a fresh key certified.
func (i *identity) renew(ctx context.Context) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: i.config.NodeID}}, key)
	if err != nil {
		return fmt.Errorf("make certificate request: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	answer, err := i.ask(ctx, protocol.CertificateRequest{Request: string(inPEM("CERTIFICATE REQUEST", request))})
	if err != nil {
		return err
	}
	held := &heldIdentity{Key: inPEM("PRIVATE KEY", encoded), Certificate: []byte(answer.Certificate), Authority: []byte(answer.Authority)}
	if err := held.prepare(); err != nil {
		return err
	}
	text, err := json.Marshal(held)
	if err != nil {
		return fmt.Errorf("encode identity: %w", err)
	}
	i.held.Store(held)
	if err := durable.WriteFile(i.path, text); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep identity: %w", err)
	}
	return nil
}

func inPEM(kind string, bytes []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
}

// ask has the control plane certify a key as this Node's.
func (i *identity) ask(ctx context.Context, request protocol.CertificateRequest) (answer protocol.CertificateAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	token, err := i.config.Token(ctx)
	if err != nil {
		return answer, fmt.Errorf("get token: %w", err)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("encode certificate request: %w", err)
	}
	address := strings.TrimSuffix(httpAddress(i.config.ServerURL), "/") + protocol.CertificatePath
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return answer, fmt.Errorf("ask for a certificate: %w", err)
	}
	asked.Header.Set("Authorization", "Bearer "+token)
	asked.Header.Set("Content-Type", "application/json")
	client := i.config.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	response, err := client.Do(asked)
	if err != nil {
		return answer, fmt.Errorf("ask for a certificate: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("ask for a certificate: the control plane answered %s", response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer); err != nil {
		return answer, fmt.Errorf("read the certificate: %w", err)
	}
	return answer, nil
}

// client is how this Node connects to another.
func (i *identity) client(node string) (*tls.Config, error) {
	held := i.held.Load()
	if held == nil {
		return nil, errNoIdentity
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: held.pool, ServerName: protocol.PeerName(node), Certificates: []tls.Certificate{held.pair},
	}, nil
}

// server is how others connect to this Node.
func (i *identity) server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			held := i.held.Load()
			if held == nil {
				return nil, errNoIdentity
			}
			return &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{held.pair},
				ClientCAs: held.pool, ClientAuth: tls.RequireAndVerifyClientCert,
			}, nil
		},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNoIdentity },
	}
}
