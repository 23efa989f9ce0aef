package ingress

import (
	"context"
	"errors"
	"net/http"
	"net/http/httputil"
)

const (
	// instanceHeader names the Instance that a request between agents is for. The
	// ingress takes it from what comes from outside.
	instanceHeader = "Sky-Instance"
	// misdirectedHeader says that no Instance has seen the request: it may go to
	// another.
	misdirectedHeader = "Sky-Misdirected"
)

// errMisdirected says that a Node has no such Target, or not any more.
var errMisdirected = errors.New("the instance is not there any more")

// NewRemoteTarget returns a Target on another Node, which that Node's own ingress
// leads on to the Instance.
func NewRemoteTarget(ctx context.Context, id, node string) *Target {
	target := NewTarget(ctx, id, "")
	target.Node = node
	return target
}

// address makes the request one for the Target.
func (t *Target) address(request *http.Request) {
	if t.Node == "" {
		request.URL.Scheme, request.URL.Host = "http", t.Address
		return
	}
	request.URL.Scheme, request.URL.Host = "https", t.Node
	request.Header.Set(instanceHeader, t.ID)
	if request.Body != nil && request.Body != http.NoBody {
		request.Header.Set("Expect", "100-continue") // the body stays here until the Instance takes it
	}
}

// sent cleans the request for another attempt.
func (t *Target) sent(request *http.Request) {
	if t.Node != "" {
		request.Header.Del(instanceHeader)
		request.Header.Del("Expect")
	}
}

// misdirected reports whether an answer says that no Instance has seen the request.
func (t *Target) misdirected(response *http.Response) bool {
	return t.Node != "" && response.StatusCode == http.StatusMisdirectedRequest && response.Header.Get(misdirectedHeader) != ""
}

// roundTrip sends the request to the Target, on this Node or another.
func (in *Ingress) roundTrip(target *Target, request *http.Request) (*http.Response, error) {
	target.address(request)
	defer target.sent(request)
	through := http.RoundTripper(in.transport)
	if target.Node != "" {
		through = in.peers
	}
	response, err := through.RoundTrip(request)
	if err == nil && target.misdirected(response) {
		return nil, errors.Join(errMisdirected, response.Body.Close())
	}
	return response, err
}

// Peer answers requests that other Nodes' ingresses send: each names its Instance,
// and goes to that or to none. Who may ask is for the connection to decide.
func (in *Ingress) Peer() http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", "instance"
			p.Out.Host, p.Out.URL.RawQuery = p.In.Host, p.In.URL.RawQuery
			p.Out.Header.Del(instanceHeader)
			for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				p.Out.Header[name] = p.In.Header[name] // the first ingress has said so
			}
		},
		Transport: pinned{in}, BufferPool: bufferPool{&in.buffers}, ErrorHandler: answerError, ModifyResponse: heedError,
		ErrorLog: in.proxy.ErrorLog,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := in.find(r.Header.Get(instanceHeader))
		if target == nil || !target.claim() {
			w.Header().Set(misdirectedHeader, "true")
			w.WriteHeader(http.StatusMisdirectedRequest)
			return
		}
		ctx, cancel := context.WithCancelCause(r.Context())
		claim := &claim{cancel: cancel}
		claim.hold(target)
		defer func() {
			claim.release()
			cancel(nil)
		}()
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, claimKey{}, claim)))
	})
}

// pinned sends a request to the Target that it holds.
type pinned struct{ ingress *Ingress }

// RoundTrip implements http.RoundTripper.
func (p pinned) RoundTrip(request *http.Request) (*http.Response, error) {
	claim := request.Context().Value(claimKey{}).(*claim)
	return p.ingress.roundTrip(claim.target, request)
}

// find returns the Target of an Instance on this Node; nil where there is none.
func (in *Ingress) find(instance string) *Target {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, route := range in.routes {
		for _, target := range route.pool.Load().targets {
			if target.ID == instance && target.Node == "" {
				return target
			}
		}
	}
	return nil
}
