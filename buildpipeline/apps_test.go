package buildpipeline

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestApps builds the apps of testdata/apps with their real package managers,
// runs each as a node would, and asks it what its file says. Those marked
// "heavy" are left out unless SKY_TEST_APPS is "all"; where it is "ci", only those
// marked "ci" are built: one of each language, so that a fresh machine is done soon.
func TestApps(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/test.sh runs this without the detector")
	}
	names, err := filepath.Glob("testdata/apps/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	turns := make(chan struct{}, 2) // more would wait for each other's CPUs
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			require.NoError(t, err)
			app := readApp(t, archive)
			which := os.Getenv("SKY_TEST_APPS")
			if (app.heavy && which != "all") || (!app.ci && which == "ci") {
				t.Skip("`make apps` runs it")
			}
			turns <- struct{}{}
			defer func() { <-turns }()
			app.check(t)
		})
	}
}

// sampleApp is one file of testdata/apps: a repository, and what its comment
// expects of it.
type sampleApp struct {
	files   fs.FS
	options Options
	heavy   bool
	ci      bool
	// gems are Debian packages whose gems the app has in vendor/cache.
	gems   string
	detect []string
	build  []string
	fails  []string
	remedy []string
	gets   []expectedAnswer
}

type expectedAnswer struct {
	path, text string
	status     int
}

// readApp reads the expectations: lines of "word: value" in the comment. Others
// are prose.
func readApp(t *testing.T, archive *txtar.Archive) sampleApp {
	app := sampleApp{files: repository(archive), options: Options{Config: map[string]string{}}}
	for line := range strings.Lines(string(archive.Comment)) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case word == "heavy":
			app.heavy = true
		case word == "ci":
			app.ci = true
		case word == "detect":
			app.detect = append(app.detect, value)
		case word == "build":
			app.build = append(app.build, value)
		case word == "fails":
			app.fails = append(app.fails, value)
		case word == "remedy":
			app.remedy = append(app.remedy, value)
		case strings.HasPrefix(word, "get /"):
			app.gets = append(app.gets, readAnswer(t, strings.Fields(word)[1:], value))
		default:
			app.option(word, value)
		}
	}
	require.NotEqual(t, len(app.gets) == 0, len(app.fails) == 0, "an app is asked with `get` or must say how it `fails`")
	return app
}

// option reads a line that stands for a setting of the app's.
func (a *sampleApp) option(word, value string) {
	switch word {
	case "root":
		a.options.Root = value
	case "gems":
		a.gems = value
	case "start":
		a.options.StartCommand = value
	case "build-command":
		a.options.BuildCommand = value
	case "dockerfile":
		a.options.Dockerfile = value
	case "target":
		a.options.DockerTarget = value
	case "argument":
		key, text, _ := strings.Cut(value, "=")
		a.options.BuildArgs = map[string]string{key: text}
	case "set":
		key, text, _ := strings.Cut(value, "=")
		a.options.Config[key] = text
	}
}

func readAnswer(t *testing.T, words []string, text string) expectedAnswer {
	answer := expectedAnswer{path: words[0], text: text, status: http.StatusOK}
	if len(words) > 1 {
		status, err := strconv.Atoi(words[1])
		require.NoError(t, err)
		answer.status = status
	}
	return answer
}

// repository shows the archive's files as package gitserver shows a commit's. A
// file whose first line begins with "#!" is executable, and one whose name ends
// with " -> TARGET" is a symbolic link.
func repository(archive *txtar.Archive) fs.FS {
	shown := fstest.MapFS{}
	for _, file := range archive.Files {
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(file.Data, []byte("#!")) {
			mode = 0o755
		}
		name, target, link := strings.Cut(file.Name, " -> ")
		if link {
			file.Data, mode = []byte(target), fs.ModeSymlink|0o777
		}
		shown[name] = &fstest.MapFile{Data: file.Data, Mode: mode, ModTime: time.Unix(0, contentTime(string(file.Data)))}
	}
	return shown
}

// check builds the app and holds it to its expectations.
func (a sampleApp) check(t *testing.T) {
	b := newBench(t)
	if a.gems != "" {
		a.files = b.withGems(t, a)
		b.log.said = nil
	}
	result, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: 1, Commit: "c0ffee", Files: a.files, Options: a.options, Log: b.log,
		Runtimes: everyStack(),
	})
	for _, text := range a.detect { // whose line may be broken
		require.Contains(t, strings.Join(strings.Fields(strings.Join(b.log.said, " ")), " "), text)
	}
	if len(a.fails) > 0 {
		a.checkFailure(t, err)
		return
	}
	require.NoError(t, err, "%s", strings.Join(b.log.detail, "\n"))
	for _, text := range a.build {
		require.Contains(t, strings.Join(b.log.detail, "\n"), text)
	}
	running := b.serve(t, result, a.options.Config)
	for _, want := range a.gets {
		running.get(t, want)
	}
	info, err := b.docker.ImageInspect(t.Context(), result.Image)
	require.NoError(t, err)
	t.Logf("%s: %d MB", result.Runtime, info.Size>>20)
}

func (a sampleApp) checkFailure(t *testing.T, err error) {
	refused := models.AsError(err)
	require.NotNil(t, refused, "%v", err)
	require.Contains(t, []models.Code{models.Failed, models.Invalid}, refused.Code)
	for _, text := range a.fails {
		require.Contains(t, refused.Error(), text)
	}
	for _, text := range a.remedy {
		require.Contains(t, refused.Remedy, text)
	}
}

// everyStack offers each version that can be made from packages, the seeded
// defaults first, and Dockerfiles.
func everyStack() []models.Runtime {
	rows := ownDockerfiles
	for kind, versions := range stackVersions {
		for _, version := range versions {
			rows = append(rows, models.Runtime{
				Type: kind, Version: version, Active: true, Default: len(versions) == 1 || version == "22" || version == "3.11",
				BuildImage: stackImage(kind, "build", version), RunImage: stackImage(kind, "run", version),
			})
		}
	}
	return rows
}

// liveApp is a container that runs a built app.
type liveApp struct {
	b       *bench
	id      string
	address string
}

// serve runs the web process under the isolation that nodes give it.
func (b *bench) serve(t *testing.T, result Result, env map[string]string) liveApp {
	useInit, pids := true, int64(256)
	config := &container.Config{Image: result.Image, Env: []string{fmt.Sprintf("PORT=%d", result.Plan.Port)}, Labels: map[string]string{"sky.test": b.app.String()}}
	for key, value := range env {
		config.Env = append(config.Env, key+"="+value)
	}
	if command := result.Plan.Processes[models.WebProcess]; len(command) > 0 {
		config.Entrypoint, config.Cmd = command[:1], command[1:]
	}
	made, err := b.docker.ContainerCreate(t.Context(), config, &container.HostConfig{
		CapDrop: []string{"ALL"}, SecurityOpt: []string{"no-new-privileges:true"}, ReadonlyRootfs: true, Init: &useInit,
		Tmpfs:     map[string]string{"/tmp": "rw,nosuid,nodev,mode=1777,size=67108864"},
		Resources: container.Resources{Memory: 1 << 30, MemorySwap: 1 << 30, PidsLimit: &pids},
	}, nil, nil, "")
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, b.docker.ContainerRemove(context.WithoutCancel(t.Context()), made.ID, container.RemoveOptions{Force: true}))
	})
	require.NoError(t, b.docker.ContainerStart(t.Context(), made.ID, container.StartOptions{}))
	state, err := b.docker.ContainerInspect(t.Context(), made.ID)
	require.NoError(t, err)
	port := strconv.Itoa(result.Plan.Port)
	return liveApp{b, made.ID, "http://" + net.JoinHostPort(state.NetworkSettings.Networks["bridge"].IPAddress, port)}
}

// get asks until the app answers as wanted; an app that ends, or does not in
// time, fails with what it printed.
func (l liveApp) get(t *testing.T, want expectedAnswer) {
	t.Helper()
	// Redirects are answers too: their status and target are what a test wants.
	caller := http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	last := ""
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline) && l.runs(t); {
		response, err := caller.Get(l.address + want.path)
		if err != nil {
			last = err.Error()
			<-time.After(100 * time.Millisecond) // it does not listen yet
			continue
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		text := headerText(response) + string(body)
		require.Equal(t, want.status, response.StatusCode, "GET %s: %s\n%s", want.path, text, l.output(t))
		require.Contains(t, text, want.text, "GET %s", want.path)
		return
	}
	t.Fatalf("GET %s: no answer: %s\n%s", want.path, last, l.output(t))
}

// headerText writes an answer's header as lines, before its body.
func headerText(response *http.Response) string {
	text := &bytes.Buffer{}
	_ = response.Header.Write(text) // into memory: it cannot fail
	return strings.ReplaceAll(text.String(), "\r", "") + "\n"
}

func (l liveApp) runs(t *testing.T) bool {
	state, err := l.b.docker.ContainerInspect(t.Context(), l.id)
	require.NoError(t, err)
	return state.State.Running
}

func (l liveApp) output(t *testing.T) string {
	stream, err := l.b.docker.ContainerLogs(t.Context(), l.id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Tail: "50"})
	require.NoError(t, err)
	text := &sink{}
	_, err = stdcopy.StdCopy(text, text, stream)
	require.NoError(t, err)
	return string(*text)
}
