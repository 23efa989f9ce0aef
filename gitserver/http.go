package gitserver

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/skypanel/sky/gitserver/pktline"
	"github.com/skypanel/sky/models"
)

// HTTP is the git door on https://host/APP.git: smart HTTP for
// /{app}.git/info/refs, /{app}.git/git-receive-pack and
// /{app}.git/git-upload-pack. An API token as the password of Basic
// authentication proves who asks; the user name is ignored, and a token in the
// query is no proof. The server around it must not set a timeout below that of
// the longest build.
type HTTP struct {
	Door
}

// GitPath reports whether path belongs to this door, for a router in front.
func GitPath(path string) bool {
	_, _, ok := splitPath(path)
	return ok
}

// splitPath splits "/APP.git/action".
func splitPath(path string) (name, action string, ok bool) {
	name, action, ok = strings.Cut(strings.TrimPrefix(path, "/"), appPathSuffix+"/")
	if !ok || name == "" || strings.Contains(name, "/") {
		return "", "", false
	}
	switch action {
	case "info/refs", receivePack, uploadPack:
		return name, action, true
	}
	return "", "", false
}

// ServeHTTP implements http.Handler.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, service, ok := splitPath(r.URL.Path)
	advertise := service == "info/refs"
	if advertise {
		service = r.URL.Query().Get("service")
	}
	switch {
	case !ok:
		http.NotFound(w, r)
	case service != receivePack && service != uploadPack:
		http.Error(w, "this server speaks smart HTTP only", http.StatusForbidden)
	case advertise && r.Method != http.MethodGet, !advertise && r.Method != http.MethodPost:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case !advertise && r.Header.Get("Content-Type") != "application/x-"+service+"-request":
		http.Error(w, "unsupported content type", http.StatusUnsupportedMediaType)
	default:
		h.converse(w, r, httpCall{name: name, service: service, advertise: advertise})
	}
}

// httpCall is what a request asks for.
type httpCall struct {
	name      string
	service   string
	advertise bool
}

func (h *HTTP) converse(w http.ResponseWriter, r *http.Request, call httpCall) {
	x, err := h.admit(r, call)
	if err != nil {
		h.refuse(w, err, call)
		return
	}
	r.Body = newStallReader(w, r.Body)
	if x.in, err = body(r); err != nil {
		http.Error(w, "malformed gzip", http.StatusBadRequest)
		return
	}
	header := w.Header()
	header.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	header.Set("Expires", "Fri, 01 Jan 1980 00:00:00 GMT")
	header.Set("Pragma", "no-cache")
	header.Set("X-Accel-Buffering", "no")
	kind := "result"
	if call.advertise {
		kind = "advertisement"
	}
	header.Set("Content-Type", "application/x-"+call.service+"-"+kind)
	x.out = &flushWriter{w: w, flusher: http.NewResponseController(w)}
	if call.advertise && (call.service == receivePack || x.version() < 2) {
		_, _ = x.out.Write(pktline.AppendFlush(pktline.Append(nil, "# service=%s\n", call.service)))
	}
	if err := h.serve(r.Context(), call.service, x); err != nil {
		h.Log.Info("git request ended early", "app", call.name, "service", call.service, "error", err)
	}
}

// admit proves who asks, by token, and finds the App.
func (h *HTTP) admit(r *http.Request, call httpCall) (*exchange, error) {
	_, token, _ := r.BasicAuth()
	prove := func(ctx context.Context) (models.Actor, models.App, error) {
		if token == "" {
			return models.Actor{}, models.App{}, models.Errorf(models.Unauthorized, "a token is required")
		}
		actor, err := h.Receiver.ActorByToken(ctx, token)
		if err != nil {
			return actor, models.App{}, err
		}
		app, err := h.authorize(ctx, actor, call.name, accessOf(call.service))
		return actor, app, err
	}
	actor, app, err := prove(r.Context())
	if err != nil {
		return nil, err
	}
	return &exchange{
		app: app, actor: actor, protocol: r.Header.Get("Git-Protocol"), stateless: true, advertise: call.advertise,
		recheck: func(ctx context.Context) error { _, _, err := prove(ctx); return err },
	}, nil
}

func (h *HTTP) refuse(w http.ResponseWriter, err error, call httpCall) {
	text := h.refusal(err, call.name)
	switch models.CodeOf(err) {
	case models.Unauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="sky", charset="UTF-8"`)
		http.Error(w, text, http.StatusUnauthorized)
	case models.NotFound:
		http.Error(w, text, http.StatusNotFound)
	case models.Forbidden:
		http.Error(w, text, http.StatusForbidden)
	case models.Unavailable:
		http.Error(w, text, http.StatusServiceUnavailable)
	default:
		http.Error(w, text, http.StatusInternalServerError)
	}
}

// body is the request's content, which git compresses when it is large.
func body(r *http.Request) (io.Reader, error) {
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "":
		return r.Body, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(r.Body)
	default:
		return nil, errors.New("unknown content encoding")
	}
}

// flushWriter sends every packet at once.
type flushWriter struct {
	w       io.Writer
	flusher *http.ResponseController
}

// Write implements io.Writer.
func (f *flushWriter) Write(data []byte) (int, error) {
	n, err := f.w.Write(data)
	if err != nil {
		return n, err
	}
	if err := f.flusher.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return n, err
	}
	return n, nil
}
