package gitserver

import "net/http"

// HTTP is the git door on https://host/APP.git: smart HTTP for
// /{app}.git/info/refs, /{app}.git/git-receive-pack and
// /{app}.git/git-upload-pack. An API token as the password of Basic
// authentication proves who asks; the user name is ignored. The server around
// it must not set a timeout below that of the longest build.
type HTTP struct {
	Door
}

// ServeHTTP implements http.Handler.
func (h *HTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) { panic("unwritten") }

// GitPath reports whether path belongs to this door, for a router in front.
func GitPath(path string) bool { panic("unwritten") }
