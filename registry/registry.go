// Package registry keeps the images that nodes pull: an OCI registry inside the
// control plane.
//
// It is distribution's registry as a handler, on the file system, with two doors
// in front. The builder's engine pushes through the one on the loopback interface
// and needs its secret; nodes pull through the other, each only what it runs.
// Images are named by their App's id and pulled by digest.
//
// What nothing names any more is collected. Distribution's collector knows no age,
// and would remove layers that a push has just been told are there; so a layer
// that is younger than a grace period stays, and being asked for makes it young.
package registry

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage that is named below
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
)

// Registry is one directory of images. Make one with Open.
type Registry struct {
	dir     string
	grace   time.Duration
	driver  driver.StorageDriver
	images  distribution.Namespace
	handler http.Handler
	// sweeping is held for reading by requests that a sweep must not cross, and for
	// writing while it removes one thing.
	sweeping sync.RWMutex
}

// grace is how long what nothing names is held: longer than any push lasts.
const grace = 2 * time.Hour

const filesystem = "filesystem"

// Open opens the registry in dir, and makes it where there is none. secret signs
// uploads under way; it must stay the same across restarts for them to go on.
func Open(ctx context.Context, dir, secret string) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	logrus.SetOutput(io.Discard) // distribution's; what matters comes back as an error
	parameters := map[string]any{"rootdirectory": dir}
	store, err := factory.Create(ctx, filesystem, parameters)
	if err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	r := &Registry{dir: dir, grace: grace, driver: store}
	if r.images, err = storage.NewRegistry(ctx, store, storage.EnableDelete); err != nil {
		return nil, fmt.Errorf("open registry: %w", err)
	}
	config := &configuration.Configuration{Version: configuration.CurrentVersion}
	config.Storage = configuration.Storage{
		filesystem: parameters, "delete": {"enabled": true},
		"maintenance": {"uploadpurging": map[any]any{"enabled": true, "age": "24h", "interval": "6h", "dryrun": false}},
	}
	config.HTTP.Secret = secret
	config.HTTP.RelativeURLs = true // an agent's own door is another address
	config.Log.AccessLog.Disabled = true
	config.Log.Level = "error"
	r.handler = handlers.NewApp(ctx, config)
	return r, nil
}

// Pusher lets whoever knows the secret do anything: it is for the loopback
// interface.
func (r *Registry) Pusher(secret string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_, given, _ := request.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(given), []byte(secret)) != 1 {
			deny(w, http.StatusUnauthorized)
			return
		}
		r.serve(w, request)
	})
}

// Agents lets nodes read the repositories that mayPull says yes to, and write those of
// mayPush. Others do not exist, to who asks. Nobody removes anything here. A layer that
// who writes knows by its digest may be taken from any repository.
func (r *Registry) Agents(mayPull, mayPush func(request *http.Request, repository string) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		may := mayPush
		switch request.Method {
		case http.MethodGet, http.MethodHead:
			may = mayPull
		case http.MethodPost, http.MethodPut, http.MethodPatch:
		default:
			deny(w, http.StatusMethodNotAllowed)
			return
		}
		if !may(request, repositoryOf(request.URL.Path)) {
			deny(w, http.StatusNotFound)
			return
		}
		r.serve(w, request)
	})
}

func deny(w http.ResponseWriter, status int) {
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="sky"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED"}]}`)
}

// serve answers one request of the registry's protocol. Who is told that a layer is
// there will not send it: it becomes young under the lock that a sweep takes.
func (r *Registry) serve(w http.ResponseWriter, request *http.Request) {
	layer := layerOf(request)
	if layer == "" {
		r.handler.ServeHTTP(w, request)
		return
	}
	r.sweeping.RLock()
	r.makeYoung(layer)
	damaged := r.serveLayer(w, request, layer)
	r.sweeping.RUnlock()
	if damaged {
		r.discard(layer)
	}
}

// makeYoung keeps a layer for the grace period from now on. One that is not there has no
// age.
func (r *Registry) makeYoung(hex string) {
	at := time.Now()
	_ = os.Chtimes(r.layerPath(hex), at, at)
}

func (r *Registry) layerPath(hex string) string {
	return filepath.Join(r.dir, "docker", "registry", "v2", "blobs", "sha256", hex[:2], hex, "data")
}

// layerOf returns the layer that a request asks for or mounts, in hex.
func layerOf(request *http.Request) string {
	text := request.URL.Query().Get("mount")
	if _, after, found := strings.Cut(request.URL.Path, "/blobs/"); found {
		text = after
	}
	parsed, err := digest.Parse(text)
	if err != nil || parsed.Algorithm() != digest.SHA256 {
		return ""
	}
	return parsed.Encoded()
}

// repositoryOf returns the repository that a path is about; "" for the protocol's
// root.
func repositoryOf(path string) string {
	rest, found := strings.CutPrefix(path, "/v2/")
	if !found {
		return ""
	}
	for _, kind := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		if name, _, found := strings.Cut(rest, kind); found {
			return name
		}
	}
	return ""
}

// Has reports whether a repository holds a manifest and all that it names.
func (r *Registry) Has(ctx context.Context, repository, manifest string) bool {
	parsed, err := digest.Parse(manifest)
	if err != nil {
		return false
	}
	manifests, err := r.manifests(ctx, repository)
	if err != nil {
		return false
	}
	read, err := manifests.Get(ctx, parsed)
	return err == nil && !slices.ContainsFunc(read.References(), r.lacks)
}

// lacks reports whether a layer that a manifest names is not there.
func (r *Registry) lacks(layer v1.Descriptor) bool {
	_, err := os.Stat(r.layerPath(layer.Digest.Encoded()))
	return err != nil
}

func (r *Registry) manifests(ctx context.Context, repository string) (distribution.ManifestService, error) {
	opened, err := r.repository(ctx, repository)
	if err != nil {
		return nil, err
	}
	return opened.Manifests(ctx)
}

func (r *Registry) repository(ctx context.Context, name string) (distribution.Repository, error) {
	named, err := reference.WithName(name)
	if err != nil {
		return nil, fmt.Errorf("name %q: %w", name, err)
	}
	return r.images.Repository(ctx, named)
}

// Share puts a manifest of one repository into another too. No layer is copied.
func (r *Registry) Share(ctx context.Context, from, manifest, to string) error {
	wanted, err := digest.Parse(manifest)
	if err != nil {
		return fmt.Errorf("share %q: %w", manifest, err)
	}
	source, err := r.manifests(ctx, from)
	if err != nil {
		return err
	}
	read, err := source.Get(ctx, wanted)
	if err != nil {
		return fmt.Errorf("share %s: %w", manifest, err)
	}
	if err := r.mount(ctx, from, read.References(), to); err != nil {
		return fmt.Errorf("share %s: %w", manifest, err)
	}
	target, err := r.manifests(ctx, to)
	if err != nil {
		return err
	}
	if _, err := target.Put(ctx, read); err != nil {
		return fmt.Errorf("share %s: %w", manifest, err)
	}
	return nil
}

// mount makes layers of one repository another's too. A sweep that crosses it finds
// them young.
func (r *Registry) mount(ctx context.Context, from string, layers []v1.Descriptor, to string) error {
	source, err := r.repository(ctx, from)
	if err != nil {
		return err
	}
	target, err := r.repository(ctx, to)
	if err != nil {
		return err
	}
	r.sweeping.RLock()
	defer r.sweeping.RUnlock()
	for _, layer := range layers {
		r.makeYoung(layer.Digest.Encoded())
		canonical, err := reference.WithDigest(source.Named(), layer.Digest)
		if err != nil {
			return err
		}
		upload, err := target.Blobs(ctx).Create(ctx, storage.WithMountFrom(canonical))
		if mounted := (distribution.ErrBlobMounted{}); errors.As(err, &mounted) {
			continue
		}
		if err == nil {
			err = errors.Join(fmt.Errorf("the layer %s is gone", layer.Digest), upload.Cancel(ctx))
		}
		return err
	}
	return nil
}

// Retain removes a repository's manifests but for those to keep. Their layers go
// with the next Sweep.
func (r *Registry) Retain(ctx context.Context, repository string, keep []string) error {
	manifests, err := r.manifests(ctx, repository)
	if err != nil {
		return err
	}
	listed, ok := manifests.(distribution.ManifestEnumerator)
	if !ok {
		return errors.New("the registry does not list manifests")
	}
	var doomed []digest.Digest
	err = listed.Enumerate(ctx, func(found digest.Digest) error {
		if !slices.Contains(keep, found.String()) {
			doomed = append(doomed, found)
		}
		return nil
	})
	if missing := (driver.PathNotFoundError{}); errors.As(err, &missing) {
		return nil // nothing was ever pushed
	}
	if err != nil {
		return fmt.Errorf("list manifests: %w", err)
	}
	for _, manifest := range doomed {
		if err := manifests.Delete(ctx, manifest); err != nil {
			return fmt.Errorf("remove manifest: %w", err)
		}
	}
	return nil
}

// Sweep removes the layers that no manifest names and that are older than the
// grace period.
func (r *Registry) Sweep(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.dir, "docker", "registry", "v2", "repositories")); errors.Is(err, fs.ErrNotExist) {
		return nil // nothing was ever pushed
	}
	aged := &agedDriver{r.driver, r}
	images, err := storage.NewRegistry(ctx, aged, storage.EnableDelete)
	if err != nil {
		return fmt.Errorf("sweep registry: %w", err)
	}
	err = storage.MarkAndSweep(ctx, aged, images, storage.GCOpts{RemoveUntagged: false, Quiet: true})
	if err != nil {
		return fmt.Errorf("sweep registry: %w", err)
	}
	return nil
}

// agedDriver removes nothing that is young.
type agedDriver struct {
	driver.StorageDriver
	registry *Registry
}

// Delete implements driver.StorageDriver.
func (a *agedDriver) Delete(ctx context.Context, path string) error {
	a.registry.sweeping.Lock()
	defer a.registry.sweeping.Unlock()
	for _, file := range []string{path + "/data", path + "/link", path + "/current/link", path} {
		info, err := a.Stat(ctx, file)
		if err != nil {
			continue
		}
		if time.Since(info.ModTime()) < a.registry.grace {
			return nil
		}
		break
	}
	return a.StorageDriver.Delete(ctx, path)
}
