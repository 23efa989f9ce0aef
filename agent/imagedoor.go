package agent

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// imageDoor lets the engine of this Node pull from the control plane's registry
// with the agent's own credential. It listens on the loopback interface, which
// engines trust without TLS, and asks for a secret of its own: other programs on
// the Node could pull every App's image else.
type imageDoor struct {
	listener net.Listener
	secret   string
	server   *http.Server
}

// imagePuller is an engine that pulls through a door.
type imagePuller interface{ pullThrough(door *imageDoor) }

// pullThrough implements imagePuller, before anything is pulled.
func (d *docker) pullThrough(door *imageDoor) { d.images = door }

// openImageDoor listens and serves until Close.
func openImageDoor(ctx context.Context, config Config) (*imageDoor, error) {
	upstream, err := url.Parse(strings.TrimSuffix(httpAddress(config.ServerURL), "/") + protocol.RegistryPath)
	if err != nil {
		return nil, fmt.Errorf("address of the registry: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for image pulls: %w", err)
	}
	door := &imageDoor{listener: listener, secret: rand.Text()}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1, Transport: transportOf(config.HTTPClient), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(upstream)
			p.Out.Host = upstream.Host
			p.Out.Header.Del("Authorization")
			if token, err := config.Token(p.In.Context()); err == nil {
				p.Out.Header.Set("Authorization", "Bearer "+token)
			}
		},
	}
	door.server = &http.Server{Handler: door.guard(proxy), ReadHeaderTimeout: 10 * time.Second, ErrorLog: proxy.ErrorLog}
	go func() { _ = door.server.Serve(listener) }() // it ends with Close
	return door, nil
}

// httpAddress is the control plane's address with the scheme that the registry's
// protocol has.
func httpAddress(server string) string {
	if rest, found := strings.CutPrefix(server, "ws"); found {
		return "http" + rest
	}
	return server
}

func transportOf(client *http.Client) http.RoundTripper {
	if client == nil || client.Transport == nil {
		return http.DefaultTransport
	}
	return client.Transport
}

// guard asks for the secret.
func (d *imageDoor) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, given, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(given), []byte(d.secret)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="sky agent"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Name is what the engine calls an image that it pulls through the door.
func (d *imageDoor) Name(source string) string { return d.listener.Addr().String() + "/" + source }

// Auth is what the engine has to say.
func (d *imageDoor) Auth() string {
	text, err := json.Marshal(map[string]string{"username": "sky", "password": d.secret})
	if err != nil {
		return "" // two strings can be encoded
	}
	return base64.URLEncoding.EncodeToString(text)
}

// Close ends the door, and pulls that go through it.
func (d *imageDoor) Close() { _ = d.server.Close() }
