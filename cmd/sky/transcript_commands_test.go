package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/docker/docker/client"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models/store"
)

type dockerClient = *client.Client

// patience bounds every wait; it is long because the race detector and two
// shared cores are slow, and it is only ever used up by a failing test.
const patience = 2 * time.Minute

// scanFor reads lines until one says text, and leaves the rest to be read.
func scanFor(output io.Reader, text string) bool {
	scanner := bufio.NewScanner(output)
	for scanner.Scan() {
		if strings.Contains(scanner.Text(), text) {
			go func() { _, _ = io.Copy(io.Discard, output) }()
			return true
		}
	}
	return false
}

// open opens the scene's database beside the Sky that uses it; nil when there is
// none yet.
func (s *scene) open() *store.Store {
	ctx, path := context.Background(), filepath.Join(s.data(), "sky.db")
	open := func() (*store.Store, error) { return store.OpenSQLite(ctx, path) }
	if s.database != "" {
		open = func() (*store.Store, error) { return store.OpenPostgres(ctx, s.database) }
	}
	opened, err := open()
	if err != nil {
		return nil
	}
	return opened
}

// nodes lists the ids of the nodes in the scene's database.
func (s *scene) nodes() (ids []string) {
	if database := s.open(); database != nil {
		defer func() { _ = database.Close() }()
		nodes, _ := database.Nodes(context.Background())
		for _, node := range nodes {
			ids = append(ids, node.ID.String())
		}
	}
	return ids
}

// apps lists the ids of the apps in the scene's database.
func (s *scene) apps() (ids []string) {
	if database := s.open(); database != nil {
		defer func() { _ = database.Close() }()
		apps, _ := database.AllApps(context.Background())
		for _, app := range apps {
			ids = append(ids, app.ID.String())
		}
	}
	return ids
}

// up [FLAGS]: starts `sky up`, waits until it is ready, and on the first start
// adds the transcript's key.
func cmdUp(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	_, err := os.Stat(filepath.Join(s.data(), "admin-token"))
	s.start(ts, "up", args...)
	if errors.Is(err, os.ErrNotExist) {
		ts.Check(ts.Exec("sky", "keys", "add", filepath.Join(s.dir, "id_ed25519.pub")))
	}
}

// down [KILL]: ends `sky up` with SIGTERM, or SIGKILL, and waits for it.
func cmdDown(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	signal := syscall.SIGTERM
	if len(args) == 1 && args[0] == "KILL" {
		signal = syscall.SIGKILL
	}
	ts.Check(s.server.Process.Signal(signal))
	err := s.server.Wait()
	if signal == syscall.SIGTERM && err != nil {
		ts.Fatalf("sky up: %v\n%s", err, ts.ReadFile(filepath.Join(s.dir, "server.log")))
	}
}

// engine start [MEGABYTES]|stop: a Docker engine of the transcript's own, on a
// disk of that size; its address is in DOCKER_HOST_OWN, for up --docker-host.
// Stopped, it can be started again.
func cmdEngine(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	switch {
	case args[0] == "stop":
		s.engine.Stop()
	case s.engine != nil:
		ts.Check(s.engine.Start())
	default:
		megabytes := 0
		if len(args) > 1 {
			var err error
			megabytes, err = strconv.Atoi(args[1])
			ts.Check(err)
		}
		s.engine = s.newEngine(megabytes)
		ts.Setenv("DOCKER_HOST_OWN", s.engine.Host)
	}
}

// get asks an app's public route once.
func (s *scene) get(app, path string) (int, string, error) {
	door := s.web
	if doors := s.doors.Load(); doors != nil {
		door = (*doors)[int(s.asked.Add(1))%len(*doors)]
	}
	request, err := http.NewRequest(http.MethodGet, "http://"+door+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = app + ".localhost"
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// [!] web APP[/PATH] PATTERN: the app's answer matches the pattern.
func cmdWeb(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: web APP[/PATH] PATTERN")
	}
	app, path, _ := strings.Cut(args[0], "/")
	status, body, err := sceneOf(ts).get(app, "/"+path)
	ts.Check(err)
	text := fmt.Sprintf("%d %s", status, body)
	ts.Logf("%s", text)
	if regexp.MustCompile(args[1]).MatchString(text) == neg {
		ts.Fatalf("the answer does not fit %q", args[1])
	}
}

// eventually PATTERN COMMAND...: runs the command again and again until its
// output matches. It asks twenty times a second, for as long as patience lasts.
func cmdEventually(ts *testscript.TestScript, neg bool, args []string) {
	pattern := regexp.MustCompile(args[0])
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		command := exec.Command(args[1], args[2:]...)
		command.Dir = ts.MkAbs(".")
		command.Env = environ(ts)
		output, _ := command.CombinedOutput()
		if pattern.Match(output) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%v never said %q; last:\n%s", args[1:], args[0], output)
		}
		<-tick.C
	}
}

// environ is the transcript's environment, for commands run here.
func environ(ts *testscript.TestScript) []string {
	names := []string{
		"HOME", "PATH", "XDG_CONFIG_HOME", "SKY_URL", "SKY_TOKEN", "SSL_CERT_FILE", "GIT_SSH_COMMAND", "GIT_CONFIG_NOSYSTEM", "WORK", "TMPDIR",
	}
	var env []string
	for _, name := range names {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// load asks an app again and again and counts failures.
type load struct {
	cancel context.CancelFunc
	done   chan struct{}
	asked  atomic.Int64
	failed atomic.Int64
	first  atomic.Pointer[string]
}

// load start APP | load stop: between the two, no request may fail.
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	if args[0] == "start" {
		s.load = startLoad(s, args[1])
		return
	}
	s.load.cancel()
	<-s.load.done
	ts.Logf("%d requests, %d failed", s.load.asked.Load(), s.load.failed.Load())
	if s.load.asked.Load() == 0 || s.load.failed.Load() > 0 {
		ts.Fatalf("%d of %d requests failed; first: %s", s.load.failed.Load(), s.load.asked.Load(), *s.load.first.Load())
	}
}

func startLoad(s *scene, app string) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel, done: make(chan struct{})}
	none := ""
	l.first.Store(&none)
	go func() {
		defer close(l.done)
		for ctx.Err() == nil {
			status, body, err := s.get(app, "/")
			l.asked.Add(1)
			if err != nil || status != http.StatusOK {
				why := fmt.Sprintf("%d %s %v", status, body, err)
				l.first.CompareAndSwap(&none, &why)
				l.failed.Add(1)
			}
		}
	}()
	return l
}

// edit FILE OLD NEW: replaces text in a file.
func cmdEdit(ts *testscript.TestScript, neg bool, args []string) {
	file := ts.MkAbs(args[0])
	text := ts.ReadFile(file)
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not hold %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(file, []byte(strings.ReplaceAll(text, args[1], args[2])), 0o644))
}

// pushes COUNT FILE MEGABYTES: as many commits, each with new random content of
// that size in FILE, each pushed; every one must go live.
func cmdPushes(ts *testscript.TestScript, neg bool, args []string) {
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	megabytes, err := strconv.Atoi(args[2])
	ts.Check(err)
	for number := range count {
		content := make([]byte, megabytes<<20)
		_, _ = rand.Read(content)
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), content, 0o644))
		ts.Check(ts.Exec("git", "add", "."))
		ts.Check(ts.Exec("git", "commit", "-qm", "Content "+strconv.Itoa(number+1)))
		ts.Check(ts.Exec("git", "push", "-q", "sky", "main"))
	}
}

// containers COUNT: that many containers of this Sky run or wait, eventually.
func cmdContainers(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	ts.Check(err)
	defer func() { _ = docker.Close() }()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		count := 0
		var names []string
		for _, node := range s.nodes() {
			found, err := testenv.Leftovers(context.Background(), docker, node)
			ts.Check(err)
			for _, name := range found {
				if strings.HasPrefix(name, "container") || want == 0 {
					count++
				}
			}
			names = append(names, found...)
		}
		if count == want {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%d containers, want %d: %v", count, want, names)
		}
		<-tick.C
	}
}

// push is a git push in the background.
type push struct {
	command *exec.Cmd
	output  string
}

// push-start NAME PATTERN ARGS...: begins `git push ARGS` and returns once its
// output matches the pattern; "" returns at once.
func cmdPushStart(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	p := &push{output: filepath.Join(s.dir, args[0]+".out")}
	file, err := os.Create(p.output)
	ts.Check(err)
	p.command = exec.Command("git", append([]string{"push"}, args[2:]...)...)
	p.command.Dir, p.command.Env = ts.MkAbs("."), environ(ts)
	p.command.Stdout, p.command.Stderr = file, file
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ts.Check(p.command.Start())
	ts.Check(file.Close())
	s.pushes[args[0]] = p
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !regexp.MustCompile(args[1]).MatchString(ts.ReadFile(p.output)) {
		if time.Now().After(deadline) {
			ts.Fatalf("the push never said %q:\n%s", args[1], ts.ReadFile(p.output))
		}
		<-tick.C
	}
}

// push-kill NAME: kills the push and its ssh, as a lost line would.
func cmdPushKill(ts *testscript.TestScript, neg bool, args []string) {
	p := sceneOf(ts).pushes[args[0]]
	ts.Check(syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL))
	_ = p.command.Wait()
}

// [!] push-wait NAME PATTERN: waits for the push, which must succeed (or fail,
// with !), and whose output must match.
func cmdPushWait(ts *testscript.TestScript, neg bool, args []string) {
	p := sceneOf(ts).pushes[args[0]]
	err := p.command.Wait()
	output := ts.ReadFile(p.output)
	ts.Logf("%s", output)
	if (err != nil) != neg {
		ts.Fatalf("the push ended with %v", err)
	}
	if !regexp.MustCompile(args[1]).MatchString(output) {
		ts.Fatalf("the push did not say %q", args[1])
	}
}
