package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/http"
	"os"
	"path/filepath"
)

// verified hashes and counts a layer on its way out.
type verified struct {
	http.ResponseWriter
	status int
	bytes  int64
	sum    hash.Hash
}

// WriteHeader implements http.ResponseWriter.
func (v *verified) WriteHeader(status int) {
	v.status = status
	v.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (v *verified) Write(p []byte) (int, error) {
	if v.status == 0 {
		v.status = http.StatusOK
	}
	n, err := v.ResponseWriter.Write(p)
	v.sum.Write(p[:n])
	v.bytes += int64(n)
	return n, err
}

// serveLayer answers a request for a layer, and reports whether what was sent, whole,
// is not what its digest says. Whoever gets it finds that out too.
func (r *Registry) serveLayer(w http.ResponseWriter, request *http.Request, layer string) (damaged bool) {
	if request.Method != http.MethodGet {
		r.handler.ServeHTTP(w, request)
		return false
	}
	info, err := os.Stat(r.layerPath(layer))
	v := &verified{ResponseWriter: w, sum: sha256.New()}
	r.handler.ServeHTTP(v, request)
	return err == nil && v.status == http.StatusOK && v.bytes == info.Size() && hex.EncodeToString(v.sum.Sum(nil)) != layer
}

// discard removes a damaged layer, so that the next push sends it again.
func (r *Registry) discard(layer string) {
	r.sweeping.Lock()
	defer r.sweeping.Unlock()
	_ = os.RemoveAll(filepath.Dir(r.layerPath(layer)))
}
