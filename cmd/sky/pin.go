package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/durable"
)

// maxAuthority bounds what is read of an authority.
const maxAuthority = 64 << 10

// pinnedClient returns the client by which an agent speaks with its control plane. It
// trusts the authority that the join token pins, and no other; without a pin it trusts
// whom the system does. The authority is kept beside the credential.
func pinnedClient(ctx context.Context, config *agentConfig) (*http.Client, error) {
	path := filepath.Join(config.dataDir, "control-plane-ca.pem")
	_, pin := protocol.SplitJoinToken(config.token)
	authority, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the control plane's authority: %w", err)
	}
	if pin != "" && protocol.Pin(authority) != pin {
		if authority, err = fetchAuthority(ctx, config.server, pin); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(config.dataDir, 0o700); err != nil {
			return nil, fmt.Errorf("keep the control plane's authority: %w", err)
		}
		if err := durable.WriteFile(path, authority); err != nil {
			return nil, fmt.Errorf("keep the control plane's authority: %w", err)
		}
	}
	if len(authority) == 0 {
		return http.DefaultClient, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate: remove it and join again", path)
	}
	return &http.Client{Transport: transportOf(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12})}, nil
}

// fetchAuthority asks whoever answers at the address for its authority, and believes
// the one that has the pin.
func fetchAuthority(ctx context.Context, server, pin string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(server, "/")+protocol.AuthorityPath, nil)
	if err != nil {
		return nil, usagef("--server %q is not an address such as https://10.0.0.1:8443", server)
	}
	unverified := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} //nolint:gosec // the pin is what is verified
	client := &http.Client{Transport: transportOf(unverified)}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the control plane's authority: %w", err)
	}
	defer answer.Body.Close()
	authority, err := io.ReadAll(io.LimitReader(answer.Body, maxAuthority))
	if err != nil {
		return nil, fmt.Errorf("fetch the control plane's authority: %w", err)
	}
	if answer.StatusCode != http.StatusOK || protocol.Pin(authority) != pin {
		return nil, fmt.Errorf("whoever answers at %s is not the control plane that the join token is of: check --server, or ask an admin for another token", server)
	}
	return authority, nil
}

// transportOf is the default transport but for its TLS.
func transportOf(config *tls.Config) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	return transport
}
