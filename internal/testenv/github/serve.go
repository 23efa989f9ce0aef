package github

import (
	"bytes"
	"io"
	"net/http"
	"strings"
)

// Request is one that the Host was asked.
type Request struct {
	Method, Path, Query string
	Header              http.Header
	Body                []byte // not of the git door
	Status              int    // 0 where the connection was closed
	Login               string // whose token it carried, if any
}

// Requests returns what was asked so far, oldest first.
func (h *Host) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Request(nil), h.requests...)
}

// maxBody bounds what is read of a request.
const maxBody = 8 << 20

// serve answers one request, as the faults in force let it.
func (h *Host) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if strings.HasPrefix(r.URL.Path, controlPath) {
		h.mux.ServeHTTP(w, r)
		return
	}
	recorded := &recorder{ResponseWriter: w}
	defer h.record(r, body, recorded)
	if !h.interfere(recorded, r) {
		h.mux.ServeHTTP(recorded, r)
	}
}

// recorder remembers the status that was answered.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(data)
}

func (h *Host) record(r *http.Request, body []byte, answered *recorder) {
	h.mu.Lock()
	defer h.mu.Unlock()
	request := Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone(), Status: answered.status}
	if !strings.Contains(r.URL.Path, "/git-upload-pack") {
		request.Body = body
	}
	if t := h.tokens[bearer(r)]; t != nil && t.user != nil {
		request.Login = t.user.Login
	}
	h.requests = append(h.requests, request)
	h.broadcast()
}
