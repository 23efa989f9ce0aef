package agent

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
)

// linked returns the control plane's end of a link whose agent builds by handler.
func linked(t *testing.T, handler http.Handler) *protocol.Link {
	t.Helper()
	ours, theirs := net.Pipe()
	made := make(chan *protocol.Link, 1)
	go func() {
		link, err := protocol.NewServerLink(theirs)
		if err != nil {
			t.Error(err)
		}
		made <- link
	}()
	link, err := protocol.NewAgentLink(ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := link.Send(protocol.Message{}); err != nil { // yamux says that a stream is there with its first bytes
		t.Fatal(err)
	}
	config := Config{Builder: Builder{Places: 1, Open: func(address, secret string) (http.Handler, error) {
		if address == "" || secret == "" {
			t.Errorf("images go to %q with %q", address, secret)
		}
		return handler, nil
	}}}
	images, err := openImageDoor(t.Context(), Config{ServerURL: "http://localhost"})
	if err != nil {
		t.Fatal(err)
	}
	door, err := openBuilder(config, images)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		(&Agent{builder: door}).acceptStreams(ctx, link)
	}()
	t.Cleanup(func() {
		cancel()
		_ = link.Close()
		<-ended
		door.end()
		images.Close()
	})
	return <-made
}

// asking is a client of the builder at the other end of a link.
func asking(link *protocol.Link) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			stream, err := link.OpenStream(protocol.StreamHeader{Kind: protocol.StreamBuild})
			if err != nil {
				return nil, err
			}
			return stream.Conn(), nil
		},
	}}
}

func TestABuilderIsReachedOverTheLink(t *testing.T) {
	client := asking(linked(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})))
	sent := strings.Repeat("a build's files ", 1<<16)
	for range 2 {
		answer, err := client.Post("http://builder/build", "", strings.NewReader(sent)) //nolint:noctx // a test's
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || string(got) != sent {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
	}
}

func TestABuildEndsWithItsLink(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	link := linked(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(begun)
		<-r.Context().Done()
		close(ended)
	}))
	failed := make(chan error, 1)
	go func() {
		_, err := asking(link).Post("http://builder/build", "", strings.NewReader("files")) //nolint:noctx // it fails
		failed <- err
	}()
	<-begun
	_ = link.Close()
	if err := <-failed; err == nil {
		t.Error("the build has an answer")
	}
	<-ended
}

func TestANodeThatIsNoBuilderRefusesBuilds(t *testing.T) {
	door, err := openBuilder(Config{}, nil)
	if err != nil || door != nil {
		t.Fatalf("%v, %v", door, err)
	}
	ours, theirs := net.Pipe()
	go func() { _, _ = protocol.NewServerLink(theirs) }()
	link, err := protocol.NewAgentLink(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = link.Close() }()
	stream, err := link.OpenStream(protocol.StreamHeader{Kind: protocol.StreamBuild})
	if err != nil {
		t.Fatal(err)
	}
	door.serve(t.Context(), stream)
	if stream.WriteFrame("files") == nil {
		t.Error("the stream is still open")
	}
}
