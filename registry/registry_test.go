package registry

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/stretchr/testify/require"
)

const pushSecret = "only-the-engine-knows"

// shelf is a Registry with both of its doors open.
type shelf struct {
	*Registry
	t      *testing.T
	docker *client.Client
	push   string // host and port
	pull   string
	names  []string // that the engine was given
}

func newShelf(t *testing.T, may func(*http.Request, string) bool) *shelf {
	t.Helper()
	docker := testenv.Docker(t)
	opened, err := Open(t.Context(), t.TempDir(), "signs uploads")
	require.NoError(t, err)
	s := &shelf{Registry: opened, t: t, docker: docker}
	for _, door := range []struct {
		at      *string
		handler http.Handler
	}{{&s.push, opened.Pusher(pushSecret)}, {&s.pull, opened.Agents(may, nobody)}} {
		server := httptest.NewServer(door.handler)
		t.Cleanup(server.Close)
		*door.at = strings.TrimPrefix(server.URL, "http://")
	}
	t.Cleanup(func() {
		for _, name := range s.names {
			_, _ = docker.ImageRemove(context.WithoutCancel(t.Context()), name, image.RemoveOptions{Force: true})
		}
	})
	return s
}

func nobody(*http.Request, string) bool { return false }

func auth(secret string) string {
	text, _ := json.Marshal(map[string]string{"username": "sky", "password": secret})
	return base64.URLEncoding.EncodeToString(text)
}

// layer makes an image of one file and pushes it, and returns its manifest.
func (s *shelf) layer(repository, content string) (manifest string) {
	s.t.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	require.NoError(s.t, writer.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(len(content))}))
	_, err := writer.Write([]byte(content))
	require.NoError(s.t, err)
	require.NoError(s.t, writer.Close())
	name := fmt.Sprintf("%s/%s:latest", s.push, repository)
	made, err := s.docker.ImageImport(s.t.Context(), image.ImportSource{Source: &archive, SourceName: "-"}, name, image.ImportOptions{})
	require.NoError(s.t, err)
	_, err = io.Copy(io.Discard, made)
	require.NoError(s.t, err)
	require.NoError(s.t, made.Close())
	s.names = append(s.names, name)
	progress, err := s.docker.ImagePush(s.t.Context(), name, image.PushOptions{RegistryAuth: auth(pushSecret)})
	require.NoError(s.t, err)
	manifest = outcome(s.t, progress)
	s.names = append(s.names, s.push+"/"+repository+"@"+manifest) // what another image's name was taken from
	return manifest
}

// outcome reads progress to its end and returns the digest in it.
func outcome(t *testing.T, progress io.ReadCloser) (digest string) {
	t.Helper()
	defer func() { require.NoError(t, progress.Close()) }()
	for decoder := json.NewDecoder(progress); ; {
		entry := struct {
			Error string `json:"error"`
			Aux   struct {
				Digest string `json:"Digest"`
			} `json:"aux"`
		}{}
		if err := decoder.Decode(&entry); err == io.EOF {
			return digest
		} else {
			require.NoError(t, err)
		}
		require.Empty(t, entry.Error)
		if entry.Aux.Digest != "" {
			digest = entry.Aux.Digest
		}
	}
}

func (s *shelf) get(path string) int {
	s.t.Helper()
	answer, err := http.Get("http://" + s.pull + path) //nolint:noctx // a test's
	require.NoError(s.t, err)
	require.NoError(s.t, answer.Body.Close())
	return answer.StatusCode
}

func (s *shelf) layers() int {
	found, err := filepath.Glob(filepath.Join(s.dir, "docker/registry/v2/blobs/sha256/*/*/data"))
	require.NoError(s.t, err)
	return len(found)
}

func TestNodesPullOnlyWhatTheyRun(t *testing.T) {
	s := newShelf(t, func(_ *http.Request, repository string) bool { return repository == "mine" || repository == "" })
	mine, other := s.layer("mine", "one"), s.layer("other", "two")
	require.True(t, s.Has(t.Context(), "mine", mine))
	require.False(t, s.Has(t.Context(), "mine", other))
	require.Equal(t, http.StatusOK, s.get("/v2/mine/manifests/"+mine))
	require.Equal(t, http.StatusNotFound, s.get("/v2/other/manifests/"+other))
	require.Equal(t, http.StatusNotFound, s.get("/v2/none/manifests/"+other))
	require.Equal(t, http.StatusNotFound, s.get("/v2/_catalog/manifests/x"))
	progress, err := s.docker.ImagePull(t.Context(), s.pull+"/mine@"+mine, image.PullOptions{})
	require.NoError(t, err)
	outcome(t, progress)
	s.names = append(s.names, s.pull+"/mine@"+mine)
	for method, want := range map[string]int{
		http.MethodPost: http.StatusNotFound, http.MethodPut: http.StatusNotFound, http.MethodPatch: http.StatusNotFound,
		http.MethodDelete: http.StatusMethodNotAllowed,
	} {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.pull+"/v2/mine/blobs/uploads/", nil)
		require.NoError(t, err)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, want, answer.StatusCode, method)
	}
	answer, err := http.Get("http://" + s.push + "/v2/") //nolint:noctx // a test's
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusUnauthorized, answer.StatusCode)
}

// TestOneImageInTwoRepositories shares a manifest, and then loses the first of its two
// names.
func TestOneImageInTwoRepositories(t *testing.T) {
	s := newShelf(t, func(*http.Request, string) bool { return true })
	manifest := s.layer("mine", "one")
	before := s.layers()
	require.NoError(t, s.Share(t.Context(), "mine", manifest, "other"))
	require.Equal(t, before, s.layers())
	require.NoError(t, s.Retain(t.Context(), "mine", nil))
	require.False(t, s.Has(t.Context(), "mine", manifest))
	require.True(t, s.Has(t.Context(), "other", manifest))
	progress, err := s.docker.ImagePull(t.Context(), s.pull+"/other@"+manifest, image.PullOptions{})
	require.NoError(t, err)
	outcome(t, progress)
	s.names = append(s.names, s.pull+"/other@"+manifest)
	require.ErrorContains(t, s.Share(t.Context(), "mine", manifest, "third"), manifest)
}

func TestSweepTakesWhatNothingNames(t *testing.T) {
	s := newShelf(t, func(*http.Request, string) bool { return true })
	require.NoError(t, s.Sweep(t.Context()), "nothing was ever pushed")
	require.NoError(t, s.Retain(t.Context(), "mine", nil))
	old, kept := s.layer("mine", "old"), s.layer("mine", "kept")
	require.NoError(t, s.Retain(t.Context(), "mine", []string{kept}))
	require.False(t, s.Has(t.Context(), "mine", old))
	before := s.layers()
	require.NoError(t, s.Sweep(t.Context()))
	require.Equal(t, before, s.layers(), "what is young stays")

	long := time.Now().Add(-2 * s.grace)
	found, err := filepath.Glob(filepath.Join(s.dir, "docker/registry/v2/blobs/sha256/*/*/data"))
	require.NoError(t, err)
	for _, path := range found {
		require.NoError(t, os.Chtimes(path, long, long))
	}
	require.NoError(t, s.Sweep(t.Context()))
	require.Less(t, s.layers(), before)
	require.True(t, s.Has(t.Context(), "mine", kept))
	require.Equal(t, http.StatusOK, s.get("/v2/mine/manifests/"+kept))
	require.True(t, s.Has(t.Context(), "mine", s.layer("mine", "old")), "it is pushed again as if it had never been")
}
