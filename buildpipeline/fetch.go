package buildpipeline

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/skypanel/sky/models"
)

// errOutOfReach refuses a connection.
var errOutOfReach = errors.New("builds may not reach that address")

// fetcher returns how URLs are fetched within routes; most bounds their bytes.
func fetcher(routes []route, extraCA []byte, most int64) func(context.Context, string) (digest.Digest, error) {
	dialer := &net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !allows(routes, to) {
			return fmt.Errorf("%w: %s", errOutOfReach, address)
		}
		return nil
	}}
	transport := &http.Transport{DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 30 * time.Second, DisableKeepAlives: true}
	if pool, err := x509.SystemCertPool(); err == nil && extraCA != nil {
		pool.AppendCertsFromPEM(extraCA)
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	client := &http.Client{Transport: transport}
	return func(ctx context.Context, url string) (digest.Digest, error) {
		sum, err := fetchDigest(ctx, client, url, most)
		if err != nil {
			return "", models.Errorf(models.Failed, "ADD %.200s: %w", url, err).WithField("Dockerfile").
				WithRemedy("is the URL right? Private networks are out of builds' reach, unless the operator allows them: --build-allow")
		}
		return sum, nil
	}
}

func fetchDigest(ctx context.Context, client *http.Client, url string, most int64) (digest.Digest, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("the server answers %s", answer.Status)
	}
	body := io.Reader(answer.Body)
	if most > 0 {
		body = io.LimitReader(body, most+1)
	}
	hash := sha256.New()
	read, err := io.Copy(hash, body)
	if err != nil {
		return "", err
	}
	if most > 0 && read > most {
		return "", fmt.Errorf("it is larger than %d MB", most>>20)
	}
	return digest.NewDigest(digest.SHA256, hash), nil
}
