package buildpipeline

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/stretchr/testify/require"
)

// withGems adds vendor/cache and Gemfile.lock to an app, as `bundle package`
// makes them, out of the gems of Debian packages.
func (b *bench) withGems(t *testing.T, app sampleApp) fs.FS {
	require.NoError(t, b.Stack(t.Context(), "ruby", "3.1", b.log))
	files := map[string]string{}
	for _, name := range []string{"Dockerfile", "pack.rb"} {
		text, err := os.ReadFile("testdata/gems/" + name)
		require.NoError(t, err)
		files[name] = string(text)
	}
	gemfile, err := fs.ReadFile(app.files, "Gemfile")
	require.NoError(t, err)
	files["Gemfile"] = string(gemfile)
	result, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: 1000, Files: commit(files), Log: b.log, Runtimes: ownDockerfiles,
		Options: Options{BuildArgs: map[string]string{"PACKAGES": app.gems}},
	})
	require.NoError(t, err, "%s", strings.Join(b.log.detail, "\n"))
	shown := fstest.MapFS{}
	maps.Copy(shown, app.files.(fstest.MapFS))
	maps.Copy(shown, b.copyOut(t, result.Image, "/app"))
	return shown
}

// copyOut returns the files that an image has in dir.
func (b *bench) copyOut(t *testing.T, image, dir string) fstest.MapFS {
	made, err := b.docker.ContainerCreate(t.Context(), &container.Config{Image: image, Cmd: []string{"none"}}, nil, nil, nil, "")
	require.NoError(t, err)
	defer func() {
		require.NoError(t, b.docker.ContainerRemove(t.Context(), made.ID, container.RemoveOptions{Force: true}))
	}()
	archive, _, err := b.docker.CopyFromContainer(t.Context(), made.ID, dir+"/.")
	require.NoError(t, err)
	defer func() { require.NoError(t, archive.Close()) }()
	files, reader := fstest.MapFS{}, tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(reader)
		require.NoError(t, err)
		name := strings.TrimPrefix(header.Name, "./")
		files[name] = &fstest.MapFile{Data: data, Mode: 0o644, ModTime: time.Unix(0, contentTime(string(data)))}
	}
}
