package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/models"
)

// Remote is a repository on another server, reached by smart HTTP.
type Remote struct {
	// URL is where git clones it from, such as https://github.com/acme/shop.git.
	URL string
	// Token is the password; empty asks as nobody.
	Token string
	// Client dials. It decides which addresses may be reached and whom to trust.
	Client *http.Client
}

// Fetcher brings commits from other servers into Apps' repositories. What comes
// goes through the limits and the checks of a push.
type Fetcher struct {
	Repositories *Repositories
	Limits       Limits
}

const (
	// maxAdvertisement bounds the list of refs that a server may send.
	maxAdvertisement = 64 << 20
	// maxFetchTime bounds one fetch, however fast the server sends.
	maxFetchTime = 30 * time.Minute
	// maxFetchHaves is how many of its own tips a fetch offers.
	maxFetchHaves = 256
	// fetchedName is what holds the newest fetched commit until a ref does.
	fetchedName = "fetched"
)

// Head returns what the remote's ref leads to, or models.ZeroObject where there
// is no such ref. Its errors are Fetch's.
func (f *Fetcher) Head(ctx context.Context, remote Remote, ref string) (string, error) {
	s, err := f.open(ctx, remote)
	if err != nil {
		return "", err
	}
	return s.heads[ref].String(), nil
}

// Fetch brings what the remote's ref, or a whole commit name, leads to into the
// App's repository, with all its history, and returns its name. Only what is missing is sent; a commit
// that is there already costs one request. It blocks until the objects are
// durable and held. Errors are models.Errors: NotFound where there is no such
// ref or repository, Unauthorized where the token is no good, Forbidden where it
// may not read the repository, Invalid where a
// limit or a check refuses what came, Unavailable where the server does not
// answer as one.
func (f *Fetcher) Fetch(ctx context.Context, app models.ID, remote Remote, ref string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxFetchTime)
	defer cancel()
	defer f.Repositories.pushing(app)()
	s, err := f.open(ctx, remote)
	if err != nil {
		return "", err
	}
	head, known := s.heads[ref]
	if plumbing.IsHash(ref) {
		head, known = plumbing.NewHash(ref), true
	}
	if !known {
		return "", models.Errorf(models.NotFound, "the repository has no %s", ref)
	}
	if err := f.bring(ctx, s, app, head); err != nil {
		return "", err
	}
	return head.String(), f.Repositories.Keep(ctx, app, fetchedName, head.String())
}

// bring makes sure that the App's repository holds a commit of the remote's.
func (f *Fetcher) bring(ctx context.Context, s *fetching, app models.ID, want plumbing.Hash) error {
	db, err := f.Repositories.objects(app)
	if err != nil {
		return err
	}
	defer db.Close()
	if db.Has(object.ID(want)) {
		return nil // and all that it links to: the store is closed under links
	}
	quarantine, err := f.Repositories.quarantine(app)
	if err != nil {
		return err
	}
	defer quarantine.discard(f.Repositories.Log)
	haves, err := f.haves(app)
	if err != nil {
		return err
	}
	stream, err := s.pack(ctx, want, haves)
	if err != nil {
		return err
	}
	defer stream.Close()
	indexer := packfile.Indexer{Dir: quarantine.packDir(), Store: db, Limits: f.Limits.withDefaults().Pack}
	pack, err := indexer.Index(ctx, stream)
	if err != nil {
		return refusedPack(err)
	}
	return f.adopt(app, quarantine, pack, want)
}

// adopt stores a verified pack if it holds the commit that was asked for.
func (f *Fetcher) adopt(app models.ID, quarantine *quarantine, pack *packfile.Pack, want plumbing.Hash) error {
	db, err := f.Repositories.objects(app, quarantine.dir)
	if err != nil {
		return err
	}
	defer db.Close()
	if pack != nil {
		if err := checkModules(db, pack.Modules); err != nil {
			return refusedPack(err)
		}
	}
	if _, _, err := findCommit(db, want.String()); err != nil {
		return models.Errorf(models.Unavailable, "the server did not send the commit %s", want)
	}
	defer f.Repositories.lock(app)()
	return quarantine.adopt(pack)
}

// haves are the tips of the App's refs, hidden ones included.
func (f *Fetcher) haves(app models.ID) ([]plumbing.Hash, error) {
	all, err := f.Repositories.allRefs(app)
	if err != nil {
		return nil, err
	}
	haves := make([]plumbing.Hash, 0, min(len(all), maxFetchHaves))
	for _, ref := range all[:min(len(all), maxFetchHaves)] {
		haves = append(haves, plumbing.Hash(ref.ID))
	}
	return haves, nil
}

// fetching is a conversation with a remote.
type fetching struct {
	session transport.UploadPackSession
	heads   map[string]plumbing.Hash
	offered *capability.List
}

// open asks the remote for its refs.
func (f *Fetcher) open(ctx context.Context, remote Remote) (*fetching, error) {
	endpoint, err := transport.NewEndpoint(remote.URL)
	if err != nil || (endpoint.Protocol != "https" && endpoint.Protocol != "http") {
		return nil, models.Errorf(models.Invalid, "%q is not an address to fetch from", remote.URL)
	}
	var auth transport.AuthMethod
	if remote.Token != "" {
		auth = &githttp.BasicAuth{Username: "x-access-token", Password: remote.Token}
	}
	session, err := githttp.NewClient(f.bounded(remote.Client)).NewUploadPackSession(endpoint, auth)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	advertised, err := session.AdvertisedReferencesContext(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return &fetching{heads: map[string]plumbing.Hash{}}, nil
	}
	if err != nil {
		return nil, remoteError(ctx, err)
	}
	return &fetching{session: session, heads: advertised.References, offered: advertised.Capabilities}, nil
}

// bounded is a client whose answers neither stall nor go on for ever.
func (f *Fetcher) bounded(client *http.Client) *http.Client {
	limits := f.Limits.withDefaults()
	wrapped := *client
	through := client.Transport
	if through == nil {
		through = http.DefaultTransport
	}
	wrapped.Transport = boundedTransport{through, limits.Pack.Bytes + maxAdvertisement, limits.MinRate}
	wrapped.CheckRedirect = sameServer
	wrapped.Timeout = 0 // a large pack takes its time; maxFetchTime and MinRate bound it
	return &wrapped
}

// maxRedirects is how many redirects are followed, such as of a repository that
// has another name.
const maxRedirects = 5

// sameServer follows no redirect to elsewhere: whoever may be fetched from is
// decided before.
func sameServer(next *http.Request, before []*http.Request) error {
	first := before[0].URL
	if len(before) > maxRedirects || next.URL.Host != first.Host || next.URL.Scheme != first.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// pack asks for a commit with all that the haves do not reach.
func (s *fetching) pack(ctx context.Context, want plumbing.Hash, haves []plumbing.Hash) (io.ReadCloser, error) {
	request := packp.NewUploadPackRequestFromCapabilities(s.offered)
	request.Wants, request.Haves = []plumbing.Hash{want}, haves
	answer, err := s.session.UploadPack(ctx, request)
	if err != nil {
		return nil, remoteError(ctx, err)
	}
	kind := sideband.Sideband64k
	switch {
	case request.Capabilities.Supports(capability.Sideband64k):
	case request.Capabilities.Supports(capability.Sideband):
		kind = sideband.Sideband
	default:
		return answer, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{sideband.NewDemuxer(kind, answer), answer}, nil
}

// boundedTransport bounds how long and how slow an answer may be.
type boundedTransport struct {
	http.RoundTripper
	bytes int64
	rate  int64
}

// RoundTrip implements http.RoundTripper.
func (t boundedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	most := t.bytes
	if request.Method == http.MethodGet {
		most = maxAdvertisement
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{newPacedReader(&cappedReader{answer.Body, most}, t.rate), answer.Body}
	return answer, nil
}

// cappedReader fails, rather than ends, where the cap is reached.
type cappedReader struct {
	source io.Reader
	left   int64
}

// Read implements io.Reader.
func (c *cappedReader) Read(buf []byte) (int, error) {
	if c.left <= 0 {
		return 0, &packfile.LimitError{What: "the size of what the server sends"}
	}
	n, err := c.source.Read(buf[:min(int64(len(buf)), c.left)])
	c.left -= int64(n)
	return n, err
}

// remoteError gives a remote's refusal a meaning. What the server said is left
// out of the words: it may repeat what it was sent.
func remoteError(ctx context.Context, err error) error {
	var limit *packfile.LimitError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &limit):
		return models.Errorf(models.Invalid, "%s", limit)
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return models.Errorf(models.Unauthorized, "the git server does not accept the token").
			WithRemedy("connect again: sky github connect")
	case errors.Is(err, transport.ErrAuthorizationFailed): // the token may be good for other repositories
		return models.Errorf(models.Forbidden, "the git server does not let the token read the repository")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return models.Errorf(models.NotFound, "the git server has no such repository, or does not show it")
	}
	return &models.Error{Code: models.Unavailable, Message: "the git server does not answer", Cause: err}
}

// refusedPack is an error about a pack, as a user may read it. Bytes that are no
// pack are a broken line rather than the repository's fault.
func refusedPack(err error) error {
	if errors.Is(err, packfile.ErrCorrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &models.Error{Code: models.Unavailable, Message: "the git server broke off, or sent what is no pack", Cause: err}
	}
	if reason := packProblem(err); reason != "" {
		return models.Errorf(models.Invalid, "%s", reason)
	}
	return err
}
