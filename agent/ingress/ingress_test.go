package ingress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const appID = "app-1"

// front is an Ingress behind a real server, with a client of its own.
type front struct {
	*Ingress
	url    string
	client *http.Client
}

func newFront(t *testing.T, hold time.Duration) *front {
	t.Helper()
	in := New(Options{Hold: hold})
	server := httptest.NewServer(in)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(func() { transport.CloseIdleConnections(); server.Close(); in.Close() })
	in.SetRoute(appID, Route{App: "shop", Hosts: []string{"shop.test", "*.shop.test"}})
	return &front{in, server.URL, &http.Client{Transport: transport}}
}

func (f *front) do(t *testing.T, method, host, path string, body io.Reader) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, f.url+path, body)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := f.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func backend(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func says(word string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, word) }
}

func (f *front) target(t *testing.T, id, address string) *Target {
	return NewTarget(t.Context(), id, address)
}

// deadAddress is one where nothing listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestHostsLeadToTheirApp(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, says("hello")))})
	for host, want := range map[string]int{
		"shop.test": 200, "SHOP.test:8080": 200, "shop.test.": 200, "x.shop.test": 200,
		"x.y.shop.test": 404, "other.test": 404, "": 404,
	} {
		response, _ := f.do(t, "GET", host, "/", nil)
		if response.StatusCode != want {
			t.Errorf("host %q: status %d, want %d", host, response.StatusCode, want)
		}
		if code := response.Header.Get(ErrorHeader); (code == CodeUnknownHost) != (want == 404) {
			t.Errorf("host %q: error code %q", host, code)
		}
	}
}

func TestHostMovesBetweenApps(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, says("old")))})
	f.SetRoute("app-2", Route{App: "next", Hosts: []string{"shop.test"}})
	f.SetTargets("app-2", []*Target{f.target(t, "b", backend(t, says("new")))})
	f.RemoveRoute(appID)
	if _, text := f.do(t, "GET", "shop.test", "/", nil); text != "new" {
		t.Errorf("got %q after the host moved", text)
	}
	if response, _ := f.do(t, "GET", "x.shop.test", "/", nil); response.StatusCode != 404 {
		t.Errorf("a host of the removed app answered %d", response.StatusCode)
	}
}

func TestStoppedAppAnswersAtOnce(t *testing.T) {
	f := newFront(t, time.Minute)
	f.SetRoute(appID, Route{App: "shop", Hosts: []string{"shop.test"}, Stopped: true})
	response, _ := f.do(t, "GET", "shop.test", "/", nil)
	if response.StatusCode != 503 || response.Header.Get(ErrorHeader) != CodeStopped {
		t.Errorf("status %d, code %q", response.StatusCode, response.Header.Get(ErrorHeader))
	}
}

func TestNoInstanceAfterHold(t *testing.T) {
	f := newFront(t, 20*time.Millisecond)
	for name, targets := range map[string][]*Target{"none": nil, "dead": {f.target(t, "a", deadAddress(t))}} {
		f.SetTargets(appID, targets)
		response, _ := f.do(t, "GET", "shop.test", "/", nil)
		if response.StatusCode != 503 || response.Header.Get(ErrorHeader) != CodeNoInstance {
			t.Errorf("%s: status %d, code %q", name, response.StatusCode, response.Header.Get(ErrorHeader))
		}
	}
}

func TestHeldRequestGoesOnWhenTargetComes(t *testing.T) {
	f := newFront(t, time.Minute)
	address := backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	go func() {
		for f.Counters()[appID].Held == 0 {
			select {
			case <-t.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
		f.SetTargets(appID, []*Target{f.target(t, "a", address)})
	}()
	if _, text := f.do(t, "POST", "shop.test", "/", strings.NewReader("kept")); text != "kept" {
		t.Errorf("got %q", text)
	}
}

func TestPostIsRetriedAfterFailedDial(t *testing.T) {
	f := newFront(t, time.Second)
	address := backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	f.SetTargets(appID, []*Target{f.target(t, "dead", deadAddress(t)), f.target(t, "live", address)})
	for i := range 8 {
		want := fmt.Sprintf("body %d", i)
		if response, text := f.do(t, "POST", "shop.test", "/", strings.NewReader(want)); text != want {
			t.Errorf("status %d, body %q, want %q", response.StatusCode, text, want)
		}
	}
	if f.Counters()[appID].Retried == 0 {
		t.Error("no request met the dead target")
	}
}

func TestPostIsNotRepeatedOnDeadConnection(t *testing.T) {
	f := newFront(t, time.Second)
	var seen atomic.Int32
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}))})
	response, _ := f.do(t, "POST", "shop.test", "/", strings.NewReader("once"))
	if response.StatusCode != 502 || response.Header.Get(ErrorHeader) != CodeClosedConnection || seen.Load() != 1 {
		t.Errorf("status %d, code %q, seen %d times", response.StatusCode, response.Header.Get(ErrorHeader), seen.Load())
	}
}

func TestForwardedHeadersAreReplaced(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s|%s|%s|%s", r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Host"),
			r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Real-Ip"), r.Header.Get("Forwarded"), r.URL.RawQuery)
		w.Header().Set(ErrorHeader, "forged")
	}))})
	request, _ := http.NewRequestWithContext(t.Context(), "GET", f.url+"/?a=1;b=2", nil)
	request.Host = "shop.test"
	for _, header := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded"} {
		request.Header.Set(header, "6.6.6.6")
	}
	response, err := f.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	if want := "127.0.0.1|shop.test|http|127.0.0.1||a=1;b=2"; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
}

func TestAppCannotForgeTheErrorHeader(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(ErrorHeader, CodeNoInstance)
		w.WriteHeader(503)
	}))})
	response, _ := f.do(t, "GET", "shop.test", "/", nil)
	if response.StatusCode != 503 || response.Header.Get(ErrorHeader) != "" {
		t.Errorf("status %d, code %q", response.StatusCode, response.Header.Get(ErrorHeader))
	}
}

func TestBigUploadArrivesWhole(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, func(w http.ResponseWriter, r *http.Request) {
		hash := sha256.New()
		size, _ := io.Copy(hash, r.Body)
		fmt.Fprintf(w, "%d %s", size, hex.EncodeToString(hash.Sum(nil)))
	}))})
	payload := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	sum := sha256.Sum256(payload)
	_, text := f.do(t, "PUT", "shop.test", "/", bytes.NewReader(payload))
	if want := fmt.Sprintf("%d %s", len(payload), hex.EncodeToString(sum[:])); text != want {
		t.Errorf("got %s, want %s", text, want)
	}
}
