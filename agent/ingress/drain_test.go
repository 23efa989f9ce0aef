package ingress

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestDrainWaitsExactlyForTheLastRequest(t *testing.T) {
	f := newFront(t, time.Second)
	entered, leave := make(chan struct{}), make(chan struct{})
	target := f.target(t, "a", backend(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
	}))
	f.SetTargets(appID, []*Target{target})
	answered := make(chan int, 1)
	go func() {
		response, _ := f.do(t, "GET", "shop.test", "/", nil)
		answered <- response.StatusCode
	}()
	<-entered
	if removed := f.SetTargets(appID, nil); len(removed) != 1 || removed[0] != target {
		t.Fatalf("removed %v", removed)
	}
	drained := make(chan int, 1)
	go func() { drained <- target.Drain(t.Context(), time.Minute) }()
	select {
	case <-drained:
		t.Fatal("drained while a request was in flight")
	case <-time.After(30 * time.Millisecond):
	}
	close(leave)
	if cut := <-drained; cut != 0 {
		t.Errorf("cut %d requests", cut)
	}
	if status := <-answered; status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestDrainLimitCuts(t *testing.T) {
	f := newFront(t, time.Second)
	entered := make(chan struct{})
	target := f.target(t, "a", backend(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	f.SetTargets(appID, []*Target{target})
	code := make(chan string, 1)
	go func() {
		response, _ := f.do(t, "GET", "shop.test", "/", nil)
		code <- response.Header.Get(ErrorHeader)
	}()
	<-entered
	f.SetTargets(appID, nil)
	if cut := target.Drain(t.Context(), 10*time.Millisecond); cut != 1 {
		t.Errorf("cut %d requests, want 1", cut)
	}
	if got := <-code; got != CodeReplaced {
		t.Errorf("code %q", got)
	}
}

func TestWebSocketStaysUntilTheDrainLimit(t *testing.T) {
	f := newFront(t, time.Second)
	target := f.target(t, "old", backend(t, echoUpgrade))
	f.SetTargets(appID, []*Target{target})
	conn, reader := upgrade(t, f)
	defer conn.Close()
	f.SetTargets(appID, []*Target{f.target(t, "new", backend(t, says("new")))})
	if _, text := f.do(t, "GET", "shop.test", "/", nil); text != "new" {
		t.Errorf("new requests got %q", text)
	}
	drained := make(chan int, 1)
	go func() { drained <- target.Drain(t.Context(), 100*time.Millisecond) }()
	fmt.Fprintln(conn, "still here")
	if line, err := reader.ReadString('\n'); err != nil || line != "still here\n" {
		t.Errorf("echo during drain: %q, %v", line, err)
	}
	if cut := <-drained; cut != 1 {
		t.Errorf("cut %d, want the websocket", cut)
	}
	if _, err := reader.ReadString('\n'); err == nil {
		t.Error("the websocket outlived the drain limit")
	}
}

func echoUpgrade(w http.ResponseWriter, r *http.Request) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	_, _ = io.Copy(conn, buffered)
}

func upgrade(t *testing.T, f *front) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v, %v", response, err)
	}
	return conn, reader
}

func TestRoundRobinIsEven(t *testing.T) {
	f := newFront(t, time.Second)
	var targets []*Target
	for _, word := range []string{"a", "b", "c"} {
		targets = append(targets, f.target(t, word, backend(t, says(word))))
	}
	f.SetTargets(appID, targets)
	counts := map[string]int{}
	for range 30 {
		_, text := f.do(t, "GET", "shop.test", "/", nil)
		counts[text]++
	}
	if counts["a"] != 10 || counts["b"] != 10 || counts["c"] != 10 {
		t.Errorf("counts %v", counts)
	}
}

// Fifty swaps under load, each draining the old target and then killing its
// server, as a rollout does.
func TestSwapUnderLoadFailsNothing(t *testing.T) {
	f := newFront(t, 5*time.Second)
	serve := func(word string) (*Target, *httptest.Server) {
		server := httptest.NewServer(says(word))
		return NewTarget(t.Context(), word, server.Listener.Addr().String()), server
	}
	target, server := serve("v0")
	f.SetTargets(appID, []*Target{target})
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var served, failed atomic.Int64
	for worker := range 8 {
		load.Go(func() { f.load(ctx, worker%2 == 0, &served, &failed) })
	}
	for swap := range 50 {
		next, nextServer := serve(fmt.Sprintf("v%d", swap+1))
		for _, old := range f.SetTargets(appID, []*Target{next}) {
			if cut := old.Drain(t.Context(), time.Minute); cut != 0 {
				t.Errorf("cut %d", cut)
			}
		}
		server.CloseClientConnections()
		server.Close()
		server = nextServer
		for before := served.Load(); served.Load() < before+20; {
			<-time.After(time.Millisecond)
		}
	}
	stop()
	load.Wait()
	server.Close()
	t.Logf("%d requests over 50 swaps, %d failed", served.Load(), failed.Load())
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), served.Load())
	}
}

func (f *front) load(ctx context.Context, post bool, served, failed *atomic.Int64) {
	for ctx.Err() == nil {
		method, body := http.MethodGet, io.Reader(http.NoBody)
		if post {
			method, body = http.MethodPost, strings.NewReader("order")
		}
		request, _ := http.NewRequest(method, f.url, body)
		request.Host = "shop.test"
		response, err := f.client.Do(request)
		if err != nil {
			failed.Add(1)
			continue
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			failed.Add(1)
		}
		served.Add(1)
	}
}
