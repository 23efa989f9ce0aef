package platform

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

const (
	authorityLife = 20 * 365 * 24 * time.Hour
	// peerLife is how long a Node's certificate is good for: an outage of the control
	// plane may last half of it.
	peerLife = 30 * 24 * time.Hour
	// clockSkew is how far a Node's clock may be behind.
	clockSkew = 2 * time.Hour
)

// Authority certifies Nodes for one another. Its key is a file that only Sky reads.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// OpenAuthority reads the authority at path, and makes one where there is none.
func OpenAuthority(path string) (*Authority, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return newAuthority(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the nodes' authority: %w", err)
	}
	authority, err := parseAuthority(text)
	if err != nil {
		return nil, fmt.Errorf("the nodes' authority %s is damaged: restore it from your backup: %w", path, err)
	}
	return authority, nil
}

func parseAuthority(text []byte) (*Authority, error) {
	certificate, rest := pem.Decode(text)
	if certificate == nil {
		return nil, errors.New("no certificate")
	}
	key, _ := pem.Decode(rest)
	if key == nil {
		return nil, errors.New("no key")
	}
	a := &Authority{}
	var err error
	if a.certificate, err = x509.ParseCertificate(certificate.Bytes); err != nil {
		return nil, err
	}
	a.key, err = x509.ParseECPrivateKey(key.Bytes)
	return a, err
}

func newAuthority(path string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the nodes' authority: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Sky nodes"}, NotBefore: time.Now().Add(-clockSkew), NotAfter: time.Now().Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	made, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the nodes' authority: %w", err)
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the nodes' authority: %w", err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})...)
	if err := writeSecret(path, text); err != nil {
		return nil, err
	}
	return parseAuthority(text)
}

func serial() *big.Int {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails, by its documentation
	return new(big.Int).SetBytes(random)
}

// certify makes a certificate for a Node, of the key that a request holds; what else
// the request says counts for nothing.
func (a *Authority) certify(node models.ID, request *x509.CertificateRequest) ([]byte, error) {
	made, err := a.sign(node.String(), []string{protocol.PeerName(node.String())}, request.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("certify a node: %w", err)
	}
	return made, nil
}

// sign makes a certificate for either end of a connection.
func (a *Authority) sign(subject string, hosts []string, key any) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: subject},
		NotBefore: time.Now().Add(-clockSkew), NotAfter: time.Now().Add(peerLife), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return x509.CreateCertificate(rand.Reader, template, a.certificate, key, a.key)
}

// Certificate is the authority's own, in PEM.
func (a *Authority) Certificate() []byte { return []byte(inPEM(a.certificate.Raw)) }

// Website returns a certificate for a website of these names and addresses, and when
// it is to be made anew.
func (a *Authority) Website(hosts []string) (*tls.Certificate, time.Time, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("make a website's key: %w", err)
	}
	made, err := a.sign(hosts[0], hosts, &key.PublicKey)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("certify a website: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{made}, PrivateKey: key}, time.Now().Add(peerLife / 2), nil
}

// controlPlaneName is the name of every control plane in its certificate.
const controlPlaneName = "control-plane.sky"

// ControlPlane returns either end's configuration of a connection between control
// planes, with a certificate of a key made for it. Nodes are refused.
func (a *Authority) ControlPlane() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a control plane's key: %w", err)
	}
	made, err := a.sign(controlPlaneName, []string{controlPlaneName}, &key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("certify a control plane: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{made}, PrivateKey: key}},
		RootCAs: pool, ServerName: controlPlaneName, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			return state.PeerCertificates[0].VerifyHostname(controlPlaneName)
		},
	}, nil
}

// CertifyNode certifies an agent's key as its Node's, for other Nodes. It returns
// the certificate and the authority's, in PEM.
func (p *Platform) CertifyNode(ctx context.Context, authorization, request string) (certificate, authority string, err error) {
	node, err := p.AuthenticateAgent(ctx, authorization)
	if err != nil {
		return "", "", err
	}
	wrong := models.Errorf(models.Invalid, "that is no certificate request").WithField("request").WithRemedy("send a PKCS #10 request in PEM")
	block, _ := pem.Decode([]byte(request))
	if block == nil || p.Authority == nil {
		return "", "", wrong
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || parsed.CheckSignature() != nil {
		return "", "", wrong
	}
	if _, elliptic := parsed.PublicKey.(*ecdsa.PublicKey); !elliptic {
		return "", "", wrong
	}
	made, err := p.Authority.certify(node, parsed)
	if err != nil {
		return "", "", err
	}
	return inPEM(made), inPEM(p.Authority.certificate.Raw), nil
}

func inPEM(certificate []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}
