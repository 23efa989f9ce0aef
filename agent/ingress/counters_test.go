package ingress

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/agent/protocol"
)

// settled waits until no request of the App is in flight, and returns its counters.
func (in *Ingress) settled(t *testing.T, app string) Counters {
	t.Helper()
	require.Eventually(t, func() bool { return in.Counters()[app].Active == 0 }, 5*time.Second, time.Millisecond)
	return in.Counters()[app]
}

func TestCountersAreExactUnderLoad(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/broken":
			w.WriteHeader(http.StatusServiceUnavailable) // the app's own
		}
		fmt.Fprint(w, "12345")
	}))})
	const workers, rounds = 8, 50
	var load sync.WaitGroup
	for range workers {
		load.Go(func() {
			for range rounds {
				for _, path := range []string{"/", "/missing", "/broken"} {
					f.do(t, http.MethodPost, "shop.test", path, strings.NewReader("abc"))
				}
			}
		})
	}
	load.Wait()
	got := f.settled(t, appID)
	require.Equal(t, [6]int64{2: workers * rounds, 4: workers * rounds, 5: workers * rounds}, got.Status)
	require.EqualValues(t, 3*workers*rounds, got.Requests())
	require.EqualValues(t, 3*5*workers*rounds, got.BytesOut)
	require.EqualValues(t, 3*3*workers*rounds, got.BytesIn)
	require.Zero(t, got.BadGateway+got.Unavailable+got.GatewayTimeout)
	require.EqualValues(t, got.Requests(), sum(got.Latency[:]))
	require.Positive(t, got.Took)
	require.Equal(t, "shop", got.App)
}

func sum(counts []int64) (total int64) {
	for _, count := range counts {
		total += count
	}
	return total
}

func TestWhatTheIngressAnswersIsToldApart(t *testing.T) {
	f := newFront(t, time.Millisecond)
	f.do(t, http.MethodGet, "shop.test", "/", nil)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))})
	f.do(t, http.MethodPost, "shop.test", "/", strings.NewReader("x"))
	got := f.settled(t, appID)
	require.Equal(t, [6]int64{5: 2}, got.Status)
	require.EqualValues(t, 1, got.Unavailable)
	require.EqualValues(t, 1, got.BadGateway)
}

func TestWebSocketsAreCountedWhileTheyAreOpen(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, echoUpgrade))})
	conn, reader := upgrade(t, f)
	require.EqualValues(t, 1, f.Counters()[appID].WebSockets)
	fmt.Fprintln(conn, "hello")
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "hello\n", line)
	require.NoError(t, conn.Close())
	got := f.settled(t, appID)
	require.Zero(t, got.WebSockets)
	require.Equal(t, [6]int64{1: 1}, got.Status)
	require.EqualValues(t, len("hello\n"), got.BytesIn)
	require.EqualValues(t, len("hello\n"), got.BytesOut)
	require.Zero(t, sum(got.Latency[:]), "a websocket's life is no latency")
}

// TestRequestsBetweenNodesCountOnce: where they came in from outside.
func TestRequestsBetweenNodesCountOnce(t *testing.T) {
	p := newPair(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("q") == "1" && r.Method == http.MethodDelete {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set(ErrorHeader, "a lie")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	for range 5 {
		status, _ := p.ask(t, http.MethodGet, "")
		require.Equal(t, http.StatusServiceUnavailable, status)
	}
	status, _ := p.ask(t, http.MethodDelete, "body")
	require.Equal(t, http.StatusBadGateway, status)
	got := p.first.settled(t, "shop")
	require.Equal(t, [6]int64{5: 6}, got.Status)
	require.EqualValues(t, 1, got.BadGateway, "the other node's ingress answered")
	require.Zero(t, got.Unavailable, "the app answered")
	require.Zero(t, p.second.Counters()["shop"].Requests())
}

func TestCountersOutliveTheirRoute(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, says("hello")))})
	f.do(t, http.MethodGet, "shop.test", "/", nil)
	before := f.settled(t, appID)
	f.RemoveRoute(appID)
	require.EqualValues(t, 1, f.Counters()[appID].Requests())
	f.SetRoute(appID, Route{App: "shop", Hosts: []string{"shop.test"}})
	require.Equal(t, before, f.Counters()[appID])

	f.RemoveRoute(appID)
	f.mu.Lock()
	f.counted[appID].retired = time.Now().Add(-2 * counted)
	f.mu.Unlock()
	require.Empty(t, f.Counters())
}

func TestCountingGoesOnWhereAFormerIngressEnded(t *testing.T) {
	f := newFront(t, time.Second)
	f.SetTargets(appID, []*Target{f.target(t, "a", backend(t, says("hello")))})
	f.do(t, http.MethodGet, "shop.test", "/", nil)
	former := f.settled(t, appID).Traffic
	next := New(Options{})
	next.Resume([]protocol.Traffic{former})
	next.SetRoute(appID, Route{App: "shop"})
	require.Equal(t, former, next.Counters()[appID].Traffic)
}

// BenchmarkCounting is the whole way of a request through the ingress to an app
// and back, with and without its being counted.
func BenchmarkCounting(b *testing.B) {
	app := httptest.NewServer(says("hello"))
	defer app.Close()
	in := New(Options{Hold: time.Second})
	defer in.Close()
	in.SetRoute(appID, Route{App: "shop", Hosts: []string{"shop.test"}})
	in.SetTargets(appID, []*Target{NewTarget(b.Context(), "a", app.Listener.Addr().String())})
	uncounted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		claim := &claim{route: in.lookup(r.Host), cancel: cancel}
		defer func() {
			claim.release()
			cancel(nil)
		}()
		in.proxy.ServeHTTP(w, r.WithContext(context.WithValue(ctx, claimKey{}, claim)))
	})
	for _, way := range []struct {
		name    string
		handler http.Handler
	}{{"counted", in}, {"uncounted", uncounted}} {
		b.Run(way.name, func(b *testing.B) {
			b.RunParallel(func(run *testing.PB) {
				for run.Next() {
					request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://shop.test/", http.NoBody)
					way.handler.ServeHTTP(httptest.NewRecorder(), request)
				}
			})
		})
	}
}
