package buildfarm

import (
	"context"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/registry"
	"github.com/stretchr/testify/require"
)

const (
	testBase   = "sky-stack/python-run:3.11"
	testSecret = "opens the test's registry"
)

// site is a Door with a registry, and a Farm whose only builder it is.
type site struct {
	*Farm
	images *registry.Registry
	door   *httptest.Server
	detach func()
	app    models.App
	number int
	log    *memory
}

func newSite(t *testing.T) *site {
	t.Helper()
	docker := testenv.Docker(t)
	images, err := registry.Open(t.Context(), t.TempDir(), "signs uploads")
	require.NoError(t, err)
	shelf := httptest.NewServer(images.Pusher(testSecret))
	t.Cleanup(shelf.Close)
	to := buildpipeline.Destination{Address: strings.TrimPrefix(shelf.URL, "http://"), Secret: testSecret}
	door, err := OpenDoor(DoorConfig{Registry: to, Dir: filepath.Join(t.TempDir(), "builds"), Version: "v1.2.3-test"})
	require.NoError(t, err)
	local, err := buildpipeline.New(buildpipeline.Config{Version: "v1.2.3-test"})
	require.NoError(t, err)
	s := &site{
		images: images, door: httptest.NewServer(door), log: &memory{}, app: models.App{ID: models.NewID(), Name: "test"},
		Farm: New(Config{Local: local, Places: 1, Registry: to, Settings: Settings{MinFreeBytes: 1 << 20}}),
	}
	t.Cleanup(s.door.Close)
	s.detach = s.Attach(models.NewID(), "one", 1, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", s.door.Listener.Addr().String())
	})
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		named, err := docker.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", "sky-app/"+s.app.ID.String()))})
		require.NoError(t, err)
		for _, found := range named {
			_, err := docker.ImageRemove(ctx, found.ID, image.RemoveOptions{Force: true})
			require.NoError(t, err)
		}
		s.Close()
		require.NoError(t, local.Close())
	})
	return s
}

func (s *site) build(ctx context.Context, files fs.FS, change ...func(*buildpipeline.Job)) (buildpipeline.Result, error) {
	s.number++
	wanted := buildpipeline.Job{
		App: s.app.Name, AppID: s.app.ID, Number: s.number, Commit: "c0ffee", Files: files, Organisation: models.NewID(), Log: s.log,
		Runtimes: []models.Runtime{{Type: "docker", Version: "1", Active: true}},
	}
	for _, one := range change {
		one(&wanted)
	}
	return s.Build(ctx, wanted)
}

// commit has what a commit may have: a program, a link, a directory, times that say
// what is in a file.
func commit(dockerfile string) fstest.MapFS {
	at := time.Date(1980, 1, 1, 0, 0, 0, 123456789, time.UTC)
	return fstest.MapFS{
		"Dockerfile":  {Data: []byte(dockerfile), Mode: 0o644, ModTime: at},
		"bin":         {Mode: fs.ModeDir | 0o755, ModTime: at},
		"bin/program": {Data: []byte("#!/bin/sh\necho hello\n"), Mode: 0o755, ModTime: at},
		"link":        {Data: []byte("bin/program"), Mode: fs.ModeSymlink | 0o777, ModTime: at},
	}
}

const checkingDockerfile = "FROM " + testBase + `
COPY . /srv
RUN test "$(/srv/link)" = hello && test "$(stat -c '%a %.9Y' /srv/bin/program)" = "755 315532800.123456789"
`

func TestWhatABuilderMakesIsInTheRegistry(t *testing.T) {
	s := newSite(t)
	result, err := s.build(t.Context(), commit(checkingDockerfile))
	require.NoError(t, err, "%v", s.log.said)
	require.Equal(t, "one", result.Builder)
	require.NotEmpty(t, result.Steps)
	require.True(t, s.images.Has(t.Context(), s.app.ID.String(), result.Manifest))
	require.True(t, s.HasImage(t.Context(), result.Image))
	document, err := s.Packages(t.Context(), s.app, result.Image)
	require.NoError(t, err)
	require.Contains(t, string(document), "CycloneDX")

	former := buildpipeline.Former{Fingerprint: result.Inputs.Fingerprint(), Number: 1, Image: result.Image, Manifest: result.Manifest}
	again, err := s.build(t.Context(), commit(checkingDockerfile), func(job *buildpipeline.Job) { job.Formers = []buildpipeline.Former{former} })
	require.NoError(t, err)
	require.Empty(t, again.Steps)
	require.Equal(t, result.Manifest, again.Manifest)

	s.detach()
	s.giveUpWaiting()
	own, err := s.build(t.Context(), commit(checkingDockerfile))
	require.NoError(t, err)
	require.Empty(t, own.Builder)
	require.Equal(t, result.Inputs, own.Inputs, "the same files arrived")
}

func TestRefusalsOfABuilderAreWhatTheyAreHere(t *testing.T) {
	s := newSite(t)
	_, err := s.build(t.Context(), commit("FROM "+testBase+"\nRUN exit 3\n"))
	require.True(t, models.IsCode(err, models.Failed), "%v", err)
	require.ErrorContains(t, err, "exit 3")
	left, err := os.ReadDir(s.door.Config.Handler.(*Door).config.Dir)
	require.NoError(t, err)
	require.Empty(t, left, "its files are gone")
}

// TestABuildEndsWithItsWish cancels a build on its builder, which has the place for
// another then, and nothing of the first.
func TestABuildEndsWithItsWish(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	files := commit("FROM " + testBase + "\nRUN sleep 1000\n")
	job := &watching{memory: s.log, see: "sleep 1000", seen: cancel}
	_, err := s.build(ctx, files, func(wanted *buildpipeline.Job) { wanted.Log = job })
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.build(t.Context(), commit(checkingDockerfile))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		left, err := os.ReadDir(s.door.Config.Handler.(*Door).config.Dir)
		return err == nil && len(left) == 0
	}, time.Minute, time.Millisecond)
}

// watching calls seen when the log shows something.
type watching struct {
	*memory
	see  string
	seen func()
}

// Detail implements buildpipeline.Log.
func (w *watching) Detail(text string) {
	if strings.Contains(text, w.see) {
		w.seen()
	}
}

func TestFilesThatCannotBeReadAreNotTheBuildersFault(t *testing.T) {
	s := newSite(t)
	_, err := s.build(t.Context(), broken{commit(checkingDockerfile)})
	require.ErrorContains(t, err, "a disk broke")
	require.NotErrorIs(t, err, errLost)
}

// broken has a file that cannot be opened.
type broken struct{ fstest.MapFS }

// Open implements fs.FS.
func (b broken) Open(name string) (fs.File, error) {
	if name == "bin/program" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errBroken{}}
	}
	return b.MapFS.Open(name)
}

type errBroken struct{}

func (errBroken) Error() string { return "a disk broke" }
