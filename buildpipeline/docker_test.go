package buildpipeline

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

const testBase = "sky-stack/python-run:3.11"

// commit shows files as package gitserver does: their times hash their contents.
func commit(files map[string]string) fs.FS {
	shown := fstest.MapFS{}
	for name, text := range files {
		shown[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644, ModTime: time.Unix(0, contentTime(text))}
	}
	return shown
}

// bench builds for one app of the test's own, whose images it removes.
type bench struct {
	*Builder
	docker *client.Client
	log    *memory
	app    models.ID
	number int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("-short")
	}
	docker := testenv.Docker(t)
	if _, err := docker.ImageInspect(t.Context(), testBase); err != nil {
		if os.Getenv("SKY_TEST_DOCKER") == "required" {
			t.Fatalf("%s is missing: run `sky stack python:3.11`", testBase)
		}
		t.Skip(testBase + " is missing")
	}
	var extraCA []byte
	if name := os.Getenv("SKY_TEST_CA"); name != "" {
		var err error
		extraCA, err = os.ReadFile(name)
		require.NoError(t, err)
	}
	var allowed []string
	if networks := os.Getenv("SKY_BUILD_ALLOW"); networks != "" { // where mirrors are private
		allowed = strings.Split(networks, ",")
	}
	reach, err := ParseReach(allowed)
	require.NoError(t, err)
	builder, err := New(Config{ExtraCA: extraCA, Version: "v1.2.3-test", Reach: reach})
	require.NoError(t, err)
	b := &bench{Builder: builder, docker: docker, log: &memory{}, app: models.NewID()}
	t.Cleanup(func() {
		require.NoError(t, builder.RemoveImages(context.WithoutCancel(t.Context()), b.models()))
		require.NoError(t, builder.Close())
	})
	return b
}

// models is the App whose images the builds make.
func (b *bench) models() models.App {
	return models.App{ID: b.app, Name: "test-" + b.app.String()[24:]}
}

func (b *bench) build(ctx context.Context, files map[string]string) (Result, error) {
	b.number++
	return b.Build(ctx, Job{
		App: b.models().Name, AppID: b.app, Number: b.number, Commit: "c0ffee", Files: commit(files), Log: b.log,
		Runtimes: ownDockerfiles,
	})
}

// ownDockerfiles lets apps bring a Dockerfile.
var ownDockerfiles = []models.Runtime{{Type: dockerType, Version: "1", Active: true}}

// TestDockerfilesCanBeSwitchedOff: without the admin's row, a Dockerfile is
// refused with what to do instead.
func TestDockerfilesCanBeSwitchedOff(t *testing.T) {
	b := newBench(t)
	_, err := b.Build(t.Context(), Job{App: "test", AppID: b.app, Number: 1, Files: commit(map[string]string{"Dockerfile": "FROM x"}), Log: b.log})
	require.True(t, models.IsCode(err, models.Failed))
	require.NotEmpty(t, models.AsError(err).Remedy)
}

// run returns what the image prints, by its own command or another.
func (b *bench) run(t *testing.T, image string, command ...string) string {
	t.Helper()
	made, err := b.docker.ContainerCreate(t.Context(), &container.Config{Image: image, Cmd: command}, nil, nil, nil, "")
	require.NoError(t, err)
	defer func() {
		require.NoError(t, b.docker.ContainerRemove(t.Context(), made.ID, container.RemoveOptions{Force: true}))
	}()
	ended, failed := b.docker.ContainerWait(t.Context(), made.ID, container.WaitConditionNextExit)
	require.NoError(t, b.docker.ContainerStart(t.Context(), made.ID, container.StartOptions{}))
	select {
	case <-ended:
	case err := <-failed:
		require.NoError(t, err)
	}
	stream, err := b.docker.ContainerLogs(t.Context(), made.ID, container.LogsOptions{ShowStdout: true})
	require.NoError(t, err)
	text := &sink{}
	_, err = stdcopy.StdCopy(text, text, stream)
	require.NoError(t, err)
	return string(*text)
}

type sink []byte

func (o *sink) Write(data []byte) (int, error) { *o = append(*o, data...); return len(data), nil }

const catDockerfile = "FROM " + testBase + "\nCOPY word ./\nCMD [\"cat\", \"word\"]\n"

// TestSameSizeEditIsSeen is the stale-build trap: BuildKit compares size and
// time, so that an edit of the same size must change the time.
func TestSameSizeEditIsSeen(t *testing.T) {
	b := newBench(t)
	var images []string
	for _, word := range []string{"first", "other", "first"} {
		result, err := b.build(t.Context(), map[string]string{"Dockerfile": catDockerfile, "word": word})
		require.NoError(t, err)
		require.Equal(t, word, b.run(t, result.Image))
		require.Equal(t, "Dockerfile", result.Runtime)
		images = append(images, result.Image)
	}
	require.NotEqual(t, images[0], images[1])
	require.True(t, b.HasImage(t.Context(), images[1]))
	require.NoError(t, b.RemoveImages(t.Context(), b.models()))
	require.False(t, b.HasImage(t.Context(), images[1]))
}

// twoAtOnce has a step that is cancelled because the one beside it fails. One
// FROM leads to the base image: BuildKit's resolver sets a flag of its own from
// every such stage, which the race detector reports.
const twoAtOnce = "FROM " + testBase + " AS base\n" +
	"FROM base AS slow\nRUN sleep 60 && touch /x\n" +
	"FROM base\nRUN exit 4\nCOPY --from=slow /x /x\n"

// TestBuildFailures asks real BuildKit for the words that explain takes apart.
func TestBuildFailures(t *testing.T) {
	b := newBench(t)
	for name, test := range map[string]struct{ dockerfile, want string }{
		"exit code":      {"FROM " + testBase + "\nRUN echo reason && exit 3\n", "build step `echo reason && exit 3` exited with code 3"},
		"two at once":    {twoAtOnce, "build step `exit 4` exited with code 4"},
		"missing file":   {"FROM " + testBase + "\nCOPY nothing ./\n", "nothing"},
		"unknown word":   {"FROM " + testBase + "\nRUM x\n", "line 2"},
		"no base image":  {"FROM sky-stack/there-is-none:1\n", "the base image docker.io/sky-stack/there-is-none:1 cannot be had"},
		"secret mounted": {"FROM " + testBase + "\nRUN --mount=type=secret,id=none,required=true cat /run/secrets/none\n", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.build(t.Context(), map[string]string{"Dockerfile": test.dockerfile})
			require.ErrorContains(t, err, test.want)
			require.Equal(t, models.Failed, models.CodeOf(err))
		})
	}
	require.Contains(t, b.log.said, "   reason")
}

// TestCancelReachesTheStep ends a build while one of its steps runs.
func TestCancelReachesTheStep(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := models.Errorf(models.Cancelled, "somebody said so")
	begun := &trigger{memory: b.log, on: "  begun", do: func() { cancel(cause) }}
	files := commit(map[string]string{"Dockerfile": "FROM " + testBase + "\nRUN echo begun; sleep 600 # " + b.app.String() + "\n"})
	started := time.Now()
	_, err := b.Build(ctx, Job{App: "test", AppID: b.app, Number: 1, Files: files, Log: begun, Runtimes: ownDockerfiles})
	require.Equal(t, error(cause), err)
	require.Less(t, time.Since(started), time.Minute)
}

// trigger does something once, when a line of the full log comes.
type trigger struct {
	*memory
	on string
	do func()
}

func (t *trigger) Detail(text string) {
	t.memory.Detail(text)
	if text == t.on {
		t.do()
	}
}

// TestOnlyOurOwnOldImagesGo: an image that another app shares, that somebody else
// named or that Sky did not label stays.
func TestOnlyOurOwnOldImagesGo(t *testing.T) {
	b := newBench(t)
	ctx := t.Context()
	var images []string
	for _, word := range []string{"one", "two", "three"} {
		result, err := b.build(ctx, map[string]string{"Dockerfile": catDockerfile, "word": word + b.app.String()})
		require.NoError(t, err)
		images = append(images, result.Image)
	}
	foreign := "somebody/else:" + b.app.String()[24:]
	require.NoError(t, b.docker.ImageTag(ctx, images[0], foreign))
	t.Cleanup(func() {
		_, err := b.docker.ImageRemove(context.WithoutCancel(ctx), foreign, image.RemoveOptions{})
		require.NoError(t, err)
	})
	usage, err := b.DiskUsage(ctx)
	require.NoError(t, err)
	require.Equal(t, 3, usage.Apps[b.models().Name].Images)
	require.Positive(t, usage.Foreign.Images+usage.Stacks.Images)
	require.NoError(t, b.RetainImages(ctx, b.models(), images[2:]))
	require.True(t, b.HasImage(ctx, images[0]), "somebody else named it")
	require.False(t, b.HasImage(ctx, images[1]))
	require.True(t, b.HasImage(ctx, images[2]))
	require.NoError(t, b.Sweep(ctx, 0, 0))
	require.True(t, b.HasImage(ctx, testBase))
	require.True(t, b.HasImage(ctx, images[0]))
}

// TestUnchangedIsNotBuilt takes the image of a former build of the same inputs,
// and builds again as soon as any of them differs.
func TestUnchangedIsNotBuilt(t *testing.T) {
	b := newBench(t)
	var built []Former
	build := func(change func(*Job)) Result {
		b.number++
		job := Job{
			App: b.models().Name, AppID: b.app, Number: b.number, Commit: "c0ffee", Log: b.log, Runtimes: ownDockerfiles,
			Files:   commit(map[string]string{"Dockerfile": catDockerfile, "word": "same " + b.app.String()}),
			Formers: built,
		}
		change(&job)
		result, err := b.Build(t.Context(), job)
		require.NoError(t, err)
		built = append(built, Former{Fingerprint: result.Inputs.Fingerprint(), Number: b.number, Image: result.Image})
		return result
	}
	first := build(func(*Job) {})
	require.NotEmpty(t, first.Steps)
	again := build(func(*Job) {})
	require.Equal(t, first.Image, again.Image)
	require.Empty(t, again.Steps)
	require.Contains(t, b.log.said[len(b.log.said)-1], "nothing changed since build #1")
	require.NoError(t, b.RetainImages(t.Context(), b.models(), []string{again.Image}))
	for name, change := range map[string]func(*Job){
		"file": func(job *Job) {
			job.Files = commit(map[string]string{"Dockerfile": catDockerfile, "word": "else " + b.app.String()})
		},
		"target":      func(job *Job) { job.Options.BuildArgs = map[string]string{"A": "b"} },
		"variable":    func(job *Job) { job.Variables, job.VariablesHash = map[string]string{"A": "b"}, "1" },
		"clear cache": func(job *Job) { job.ClearCache = true },
	} {
		require.NotEmpty(t, build(change).Steps, name)
	}
	require.NoError(t, b.RemoveImages(t.Context(), b.models()))
	require.NotEmpty(t, build(func(*Job) {}).Steps, "its image is gone")
}

// TestPrebuiltImageIsTaken, but never another app's: their names hold ids that
// only members know.
func TestPrebuiltImageIsTaken(t *testing.T) {
	b := newBench(t)
	b.number++
	job := Job{App: b.models().Name, AppID: b.app, Number: b.number, Log: b.log, Runtimes: ownDockerfiles}
	result, err := b.Adopt(t.Context(), job, testBase)
	require.NoError(t, err)
	require.True(t, b.HasImage(t.Context(), ImageName(b.app, b.number)))
	require.Equal(t, 8080, result.Plan.Port)
	require.NotContains(t, ImageName(b.app, 1), b.models().Name)
	for reference, code := range map[string]models.Code{
		ImageName(b.app, 1): models.Forbidden, "docker.io/" + ImageName(b.app, 1): models.Forbidden, "sky-stack/there-is-none:1": models.Failed,
	} {
		_, err = b.Adopt(t.Context(), job, reference)
		require.Equal(t, code, models.CodeOf(err), "%v", err)
	}
	job.Runtimes = nil
	_, err = b.Adopt(t.Context(), job, testBase)
	require.ErrorContains(t, err, "custom images are switched off")
}
