package github

import (
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// gitDoor serves repositories over smart HTTP, to read only, by git's own
// http-backend.
func (h *Host) gitDoor(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimSuffix(r.PathValue("repo"), ".git")
	h.mu.Lock()
	asked := r.PathValue("owner") + "/" + name
	repo, full := h.repository(asked), asked
	status, message := h.mayFetch(r, repo)
	if repo != nil {
		full = repo.full()
	}
	h.mu.Unlock()
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
	}
	if status != http.StatusOK {
		http.Error(w, message, status)
		return
	}
	if !strings.EqualFold(full, asked) {
		to := "/" + full + strings.TrimPrefix(r.URL.Path, "/"+r.PathValue("owner")+"/"+name)
		http.Redirect(w, r, withQuery(to, r.URL.Query()), http.StatusMovedPermanently)
		return
	}
	_, action, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"+r.PathValue("owner")+"/"), "/")
	h.backend(w, r, "/"+filepath.Base(repo.dir)+"/"+action)
}

// backend has git answer a request for a path below where repositories are kept.
func (h *Host) backend(w http.ResponseWriter, r *http.Request, path string) {
	programs, err := h.git.run(h.git.dir, nil, "--exec-path")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = path
	door := &cgi.Handler{
		Path: filepath.Join(programs, "git-http-backend"), Dir: h.git.dir,
		Env: append(gitEnv(), "GIT_PROJECT_ROOT="+h.git.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_PROTOCOL="+r.Header.Get("Git-Protocol")),
		// A client that goes away mid-fetch is no news, and git tells clients the rest.
		Logger: log.New(io.Discard, "", 0), Stderr: io.Discard,
	}
	door.ServeHTTP(w, inner)
}

// mayFetch says how the door answers; 200 is by git. mu is held.
func (h *Host) mayFetch(r *http.Request, repo *repository) (int, string) {
	value := bearer(r)
	t := h.valid(value)
	write := strings.HasSuffix(r.URL.Path, "/git-receive-pack") || r.URL.Query().Get("service") == "git-receive-pack"
	switch {
	case value != "" && t == nil:
		return http.StatusUnauthorized, "remote: Invalid username or token."
	case t != nil && t.installation != nil && (t.installation.suspended != nil || !t.installation.grants("contents:read")):
		return http.StatusForbidden, "remote: Write access to repository not granted."
	case repo == nil || h.sees(t, repo) < rolePull:
		if t == nil {
			return http.StatusUnauthorized, "remote: Repository not found."
		}
		return http.StatusNotFound, "remote: Repository not found."
	case write:
		return http.StatusForbidden, "remote: The stand-in takes no pushes; use its Push."
	}
	return http.StatusOK, ""
}

// directory is where a repository of that id is kept.
func (g *git) directory(id int64) string {
	return filepath.Join(g.dir, strconv.FormatInt(id, 10)+".git")
}

func (g *git) remove(repo string) error {
	if err := os.RemoveAll(hidden(repo)); err != nil {
		return err
	}
	return os.RemoveAll(repo)
}
