package ingress

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// toPeer sends what is for another Node to its ingress.
type toPeer struct{ at *url.URL }

func (p toPeer) RoundTrip(request *http.Request) (*http.Response, error) {
	request.URL.Scheme, request.URL.Host = "http", p.at.Host
	return http.DefaultTransport.RoundTrip(request)
}

// pair is two Nodes: requests come in at the first, and the Instance is on the
// second.
type pair struct {
	first, second *Ingress
	door          *httptest.Server
}

func newPair(t *testing.T, instance http.Handler) *pair {
	t.Helper()
	app := httptest.NewServer(instance)
	t.Cleanup(app.Close)
	p := &pair{second: New(Options{Hold: time.Second})}
	peer := httptest.NewServer(p.second.Peer())
	t.Cleanup(peer.Close)
	at, err := url.Parse(peer.URL)
	require.NoError(t, err)
	p.first = New(Options{Hold: time.Second, Peers: toPeer{at}})
	p.door = httptest.NewServer(p.first)
	t.Cleanup(p.door.Close)
	for _, in := range []*Ingress{p.first, p.second} {
		in.SetRoute("shop", Route{App: "shop", Hosts: []string{"shop.test"}})
	}
	p.first.SetTargets("shop", []*Target{NewRemoteTarget(t.Context(), "i-1", "node-2")})
	p.second.SetTargets("shop", []*Target{NewTarget(t.Context(), "i-1", strings.TrimPrefix(app.URL, "http://"))})
	return p
}

func (p *pair) ask(t *testing.T, method, body string, header ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, p.door.URL+"/path?q=1", strings.NewReader(body))
	require.NoError(t, err)
	request.Host = "shop.test"
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

func TestRequestsReachOtherNodes(t *testing.T) {
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		require.Empty(t, r.Header.Get(instanceHeader))
		require.Equal(t, "shop.test", r.Host)
		require.Equal(t, "127.0.0.1", r.Header.Get("X-Forwarded-For"))
		_, _ = io.WriteString(w, r.Method+" "+r.URL.RequestURI()+" "+string(body))
	}))
	status, text := p.ask(t, http.MethodPost, strings.Repeat("b", 100_000), "X-Forwarded-For", "6.6.6.6", instanceHeader, "i-2")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "POST /path?q=1 "+strings.Repeat("b", 100_000), text)
	status, _ = p.ask(t, http.MethodGet, "")
	require.Equal(t, http.StatusOK, status)
}

// TestMisdirectedRequestsGoElsewhere: a Target that its Node has no more has seen
// nothing of a request, whatever its method.
func TestMisdirectedRequestsGoElsewhere(t *testing.T) {
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	live := p.second.find("i-1")
	require.NotNil(t, live)
	p.first.SetTargets("shop", []*Target{
		NewRemoteTarget(t.Context(), "i-gone", "node-2"), NewRemoteTarget(t.Context(), "i-1", "node-2"), NewRemoteTarget(t.Context(), "i-gone-too", "node-2"),
	})
	for range 20 {
		status, text := p.ask(t, http.MethodPost, "whole")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "whole", text)
	}
	require.Zero(t, live.Drain(t.Context(), time.Second))
	status, _ := p.ask(t, http.MethodPost, "whole")
	require.Equal(t, http.StatusServiceUnavailable, status, "nobody is left")
}

// TestDrainWaitsForOtherNodes: a request that came through another Node is in
// flight here too.
func TestDrainWaitsForOtherNodes(t *testing.T) {
	began, end := make(chan struct{}), make(chan struct{})
	p := newPair(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(began)
		<-end
	}))
	live := p.second.find("i-1")
	answered := make(chan int, 1)
	go func() {
		status, _ := p.ask(t, http.MethodGet, "")
		answered <- status
	}()
	<-began
	require.Equal(t, 1, live.InFlight())
	drained := make(chan int, 1)
	go func() { drained <- live.Drain(t.Context(), time.Minute) }()
	close(end)
	require.Equal(t, http.StatusOK, <-answered)
	require.Zero(t, <-drained)
}
