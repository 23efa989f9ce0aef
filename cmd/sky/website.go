package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/skypanel/sky/platform"
)

// ownCertificate is the value of --tls-cert that asks for one by the installation's
// own authority.
const ownCertificate = "self"

// checkTLS says what is wrong with the flags of TLS.
func (c *serverConfig) checkTLS() error {
	switch {
	case c.tlsCert == ownCertificate && c.tlsKey != "":
		return usagef("--tls-key is for a certificate from a file: leave it out with --tls-cert self")
	case c.tlsCert != ownCertificate && (c.tlsCert == "") != (c.tlsKey == ""):
		return usagef("--tls-cert and --tls-key go together: pass both files, or --tls-cert self")
	case c.agentCA != "" && c.tlsCert == ownCertificate:
		return usagef("--agent-ca is for a certificate from elsewhere: leave it out with --tls-cert self")
	}
	return nil
}

// readAgentCA returns the authority that nodes are to trust, or nil.
func (c *serverConfig) readAgentCA(own *platform.Authority) ([]byte, error) {
	if c.tlsCert == ownCertificate {
		return own.Certificate(), nil
	}
	return readCertificates("agent-ca", c.agentCA)
}

// website returns the configuration of the API's TLS, or nil where it speaks none.
func (c *serverConfig) website(own *platform.Authority, log *slog.Logger) (*tls.Config, error) {
	var certificate func() (*tls.Certificate, error)
	switch c.tlsCert {
	case "":
		return nil, nil
	case ownCertificate:
		certificate = renewing(func() (*tls.Certificate, time.Time, error) { return own.Website(c.hosts()) })
	default:
		files := &certificateFiles{cert: c.tlsCert, key: c.tlsKey, log: log}
		if _, err := files.get(); err != nil {
			return nil, fmt.Errorf("--tls-cert: %w", err)
		}
		certificate = files.get
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
	}, nil
}

// openWebsite prepares the API's TLS, and returns the authority that nodes are to trust.
func (c *controlPlane) openWebsite(own *platform.Authority) (agentCA []byte, err error) {
	if c.website, err = c.config.website(own, c.log); err != nil {
		return nil, err
	}
	return c.config.readAgentCA(own)
}

// secured speaks TLS with who connects, where there is a certificate: HTTP/1.1, as
// agents' links and followed logs are.
func (c *controlPlane) secured(listener net.Listener) net.Listener {
	if c.website == nil {
		return listener
	}
	return tls.NewListener(listener, c.website)
}

// hosts are the names and addresses at which the API is reached.
func (c *serverConfig) hosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if public, err := url.Parse(c.publicURL); err == nil {
		hosts = append(hosts, public.Hostname())
	}
	if host, _, err := net.SplitHostPort(c.http); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// renewing makes a certificate anew when its time has come.
func renewing(make func() (*tls.Certificate, time.Time, error)) func() (*tls.Certificate, error) {
	var mu sync.Mutex
	var held *tls.Certificate
	var until time.Time
	return func() (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(until) {
			return held, nil
		}
		var err error
		held, until, err = make()
		return held, err
	}
}

// certificateFiles is a certificate that somebody renews in its files.
type certificateFiles struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	held    *tls.Certificate
	changed time.Time
}

// get reads the files again when the certificate's has changed. While they do not fit
// each other, as between the two writes of a renewal, the former pair serves.
func (f *certificateFiles) get() (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.cert)
	if err == nil && info.ModTime().Equal(f.changed) {
		return f.held, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil && f.held != nil {
		f.log.Warn("the new certificate cannot be used; the former one serves", "file", f.cert, "error", err)
		return f.held, nil
	}
	if err != nil {
		return nil, err
	}
	f.held = &pair
	if info != nil {
		f.changed = info.ModTime()
	}
	return f.held, nil
}
