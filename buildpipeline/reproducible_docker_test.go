package buildpipeline

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
)

// TestBuildsAreReproducible builds apps twice, each time without any cache, and
// compares all files of both images: names, modes, owners and contents.
func TestBuildsAreReproducible(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/apps.sh runs this without the detector")
	}
	for _, name := range []string{"go-embed", "static-spa", "python-flask", "node-npm"} {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile("testdata/apps/" + name + ".txtar")
			require.NoError(t, err)
			app := readApp(t, archive)
			var images []map[string]string
			for range 2 {
				b := newBench(t) // another app: no cache mount is shared
				result, err := b.Build(t.Context(), Job{
					App: b.models().Name, AppID: b.app, Number: 1, Commit: "c0ffee", Log: b.log, Runtimes: everyStack(),
					Files: app.files, Options: app.options, ClearCache: true,
				})
				require.NoError(t, err, "%s", strings.Join(b.log.details(), "\n"))
				images = append(images, b.files(t, result.Image))
			}
			require.Empty(t, differences(images[0], images[1]))
		})
	}
}

// differences names the files that two images do not have alike.
func differences(one, other map[string]string) []string {
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(one)) {
		if one[name] != other[name] {
			differ = append(differ, fmt.Sprintf("%s: %s, %s", name, one[name], other[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if one[name] == "" {
			differ = append(differ, name+": not in one")
		}
	}
	return differ
}

// files describes each file of an image but for its time.
func (b *bench) files(t *testing.T, image string) map[string]string {
	t.Helper()
	made, err := b.docker.ContainerCreate(t.Context(), &container.Config{Image: image, Entrypoint: []string{"none"}}, nil, nil, nil, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, b.removeContainer(context.WithoutCancel(t.Context()), made.ID)) }()
	stream, err := b.docker.ContainerExport(t.Context(), made.ID)
	require.NoError(t, err)
	defer stream.Close()
	described := map[string]string{}
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return described
		}
		require.NoError(t, err)
		hash := sha256.New()
		_, err = io.Copy(hash, archive)
		require.NoError(t, err)
		described[header.Name] = fmt.Sprintf("%c %o %d:%d %s %x", header.Typeflag, header.Mode, header.Uid, header.Gid, header.Linkname, hash.Sum(nil)[:8])
	}
}
