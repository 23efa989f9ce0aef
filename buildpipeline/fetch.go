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
	"strings"
	"sync"
	"syscall"
	"time"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/skypanel/sky/models"
	"google.golang.org/protobuf/proto"
)

// fetchGuard keeps a Dockerfile's ADD of a URL from reaching what a step could
// not: the engine itself fetches it, from its own network, and follows where it is
// led. So Sky fetches it first, within the bounds of builds, and then lets the
// engine have only what has the same digest.
type fetchGuard struct {
	gateway.Client
	fetch func(ctx context.Context, url string) (digest.Digest, error)
	mu    sync.Mutex
	known map[string]digest.Digest
}

// Solve implements gateway.Client.
func (g *fetchGuard) Solve(ctx context.Context, request gateway.SolveRequest) (*gateway.Result, error) {
	if request.Definition != nil {
		pinned, err := pin(request.Definition, func(url string) (digest.Digest, error) { return g.digest(ctx, url) })
		if err != nil {
			return nil, err
		}
		request.Definition = pinned
	}
	return g.Client.Solve(ctx, request)
}

func (g *fetchGuard) digest(ctx context.Context, url string) (digest.Digest, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if sum, known := g.known[url]; known {
		return sum, nil
	}
	sum, err := g.fetch(ctx, url)
	if err == nil {
		g.known[url] = sum
	}
	return sum, err
}

// pin gives every URL in a build's definition the digest of its contents. What
// depends on a changed operation refers to it by its digest, and changes too.
func pin(definition *pb.Definition, sum func(url string) (digest.Digest, error)) (*pb.Definition, error) {
	moved := map[string]string{}
	pinned := &pb.Definition{Metadata: map[string]*pb.OpMetadata{}}
	for _, text := range definition.Def {
		was := digest.FromBytes(text).String()
		operation := &pb.Op{}
		if err := proto.Unmarshal(text, operation); err != nil {
			return nil, fmt.Errorf("read the build's definition: %w", err)
		}
		changed, err := pinSource(operation.GetSource(), sum)
		if err != nil {
			return nil, err
		}
		for _, input := range operation.Inputs {
			if now := moved[input.Digest]; now != "" {
				input.Digest, changed = now, true
			}
		}
		now := was
		if changed {
			if text, err = (proto.MarshalOptions{Deterministic: true}).Marshal(operation); err != nil {
				return nil, fmt.Errorf("write the build's definition: %w", err)
			}
			now = digest.FromBytes(text).String()
			moved[was] = now
		}
		pinned.Def = append(pinned.Def, text)
		pinned.Metadata[now] = definition.Metadata[was]
	}
	if len(moved) == 0 {
		return definition, nil
	}
	pinned.Source = movedSource(definition.Source, moved)
	return pinned, nil
}

// movedSource says where in the Dockerfile the operations come from.
func movedSource(source *pb.Source, moved map[string]string) *pb.Source {
	if source == nil {
		return nil
	}
	locations := map[string]*pb.Locations{}
	for was, place := range source.Locations {
		if now := moved[was]; now != "" {
			was = now
		}
		locations[was] = place
	}
	return &pb.Source{Locations: locations, Infos: source.Infos}
}

func pinSource(source *pb.SourceOp, sum func(url string) (digest.Digest, error)) (bool, error) {
	url := source.GetIdentifier()
	switch {
	case strings.HasPrefix(url, "git://"):
		return false, models.Errorf(models.Failed, "ADD of a git repository is not possible here: %.200s", url).WithField("Dockerfile").
			WithRemedy("let a RUN clone it, add it as a submodule, or the operator allows all: --build-allow all")
	case !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://"):
		return false, nil
	case source.Attrs[pb.AttrHTTPChecksum] != "":
		return false, nil // who knows it learns nothing
	}
	known, err := sum(url)
	if err != nil {
		return false, err
	}
	if source.Attrs == nil {
		source.Attrs = map[string]string{}
	}
	source.Attrs[pb.AttrHTTPChecksum] = known.String()
	return true, nil
}

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
