package registry

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/docker/docker/api/types/image"
	"github.com/stretchr/testify/require"
)

// pulled pulls a manifest through the nodes' door, as an engine that has it not.
func (s *shelf) pulled(repository, manifest string) error {
	for _, name := range s.names {
		_, _ = s.docker.ImageRemove(s.t.Context(), name, image.RemoveOptions{Force: true})
	}
	name := s.pull + "/" + repository + "@" + manifest
	progress, err := s.docker.ImagePull(s.t.Context(), name, image.PullOptions{})
	if err != nil {
		return err
	}
	defer progress.Close()
	if _, err := io.Copy(io.Discard, progress); err != nil {
		return err
	}
	_, err = s.docker.ImageInspect(s.t.Context(), name)
	s.names = append(s.names, name)
	return err
}

// TestDamagedLayerIsSentAgain: bits that a disk lost reach no node, and the next push
// replaces them instead of being told that they are there.
func TestDamagedLayerIsSentAgain(t *testing.T) {
	s := newShelf(t, func(*http.Request, string) bool { return true })
	for name, damage := range map[string]func(path string, content []byte) error{
		"bits flipped": func(path string, content []byte) error {
			content[len(content)/2] ^= 1
			return os.WriteFile(path, content, 0o600)
		},
		"cut short": func(path string, content []byte) error { return os.WriteFile(path, content[:len(content)/2], 0o600) },
		"gone":      func(path string, _ []byte) error { return os.Remove(path) },
	} {
		t.Run(name, func(t *testing.T) {
			manifest := s.layer("shop", "what the shop sells: "+name)
			require.True(t, s.Has(t.Context(), "shop", manifest))
			damaged := 0
			found, err := filepath.Glob(filepath.Join(s.dir, "docker/registry/v2/blobs/sha256/*/*/data"))
			require.NoError(t, err)
			for _, path := range found {
				content, err := os.ReadFile(path)
				require.NoError(t, err)
				if bytes.HasPrefix(content, []byte{0x1f, 0x8b}) { // gzip: a layer
					require.NoError(t, damage(path, content))
					damaged++
				}
			}
			require.NotZero(t, damaged)
			require.Error(t, s.pulled("shop", manifest))
			require.False(t, s.Has(t.Context(), "shop", manifest))

			again := s.layer("shop", "what the shop sells: "+name) // another image of the same layer
			require.True(t, s.Has(t.Context(), "shop", again))
			require.True(t, s.Has(t.Context(), "shop", manifest))
			require.NoError(t, s.pulled("shop", manifest))
		})
	}
}
