package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/internal/testenv/github"
)

// TestMain lets the test binary be `sky` itself, so that transcripts run what
// ships, with the race detector in it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sky": func() { os.Exit(run()) }})
}

// TestTranscripts plays testdata/script: real git, real ssh, real containers,
// the real command line. See testdata/script/README.md for the commands.
func TestTranscripts(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	docker := testenv.Docker(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := &scene{env: env, dir: env.WorkDir}
			env.Values[sceneKey{}] = s
			s.newEngine = func(megabytes int) *testenv.Engine {
				return testenv.NewSmallEngine(t, megabytes, "sky-stack/python-run:3.11")
			}
			s.newLab = func() *testenv.Lab { return testenv.NewLab(t) }
			s.newDatabase = func() string { return testenv.Postgres(t) }
			s.freeAddr = func() string { return testenv.FreeAddr(t) }
			env.Defer(func() { s.end(t, docker) })
			return s.setup(t)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"up": cmdUp, "down": cmdDown, "web": cmdWeb, "eventually": cmdEventually,
			"load": cmdLoad, "edit": cmdEdit, "pushes": cmdPushes, "containers": cmdContainers,
			"engine": cmdEngine, "push-start": cmdPushStart, "push-kill": cmdPushKill, "push-wait": cmdPushWait,
			"forget": cmdForget, "example": cmdExample, "github": cmdGitHub, "connect": cmdConnect, "eventually-github": cmdEventuallyGitHub,
			"server": cmdServer, "lab": cmdLab, "replica": cmdReplica,
		},
		Condition: func(cond string) (bool, error) {
			if cond == "long" { // what takes minutes: make apps
				return os.Getenv("SKY_TEST_APPS") == "all", nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
	})
}

type sceneKey struct{}

// scene is one transcript's Sky: its own data directory, ports and home.
type scene struct {
	env  *testscript.Env
	dir  string
	http string
	ssh  string
	web  string
	// database is the URL of its PostgreSQL; empty is SQLite.
	database string

	newEngine func(megabytes int) *testenv.Engine
	engine    *testenv.Engine

	host   *github.Host
	lab    *testenv.Lab
	newLab func() *testenv.Lab

	newDatabase func() string
	freeAddr    func() string
	replicasMu  sync.Mutex
	replicas    map[string]*replica
	serving     []string                 // the lab's machines at which requests come in
	doors       atomic.Pointer[[]string] // their addresses, which requests take in turn
	asked       atomic.Uint32
	server      *exec.Cmd
	pushes      map[string]*push
	load        *load
}

func sceneOf(ts *testscript.TestScript) *scene { return ts.Value(sceneKey{}).(*scene) }

func (s *scene) data() string { return filepath.Join(s.dir, "data") }

// setup makes a home with a key and a git identity. HOME is the work directory,
// so nothing of the developer's leaks in.
func (s *scene) setup(t *testing.T) error {
	s.http, s.ssh, s.web = testenv.FreeAddr(t), testenv.FreeAddr(t), testenv.FreeAddr(t)
	s.pushes = map[string]*push{}
	if testenv.OnPostgres() {
		s.database = testenv.Postgres(t)
		s.env.Setenv("DATABASE_URL", s.database)
	}
	key := filepath.Join(s.dir, "id_ed25519")
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me@test", "-f", key).CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, output)
	}
	stranger := filepath.Join(s.dir, "stranger")
	if output, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger).CombinedOutput(); err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, output)
	}
	config := "[user]\nname = Tester\nemail = tester@example.invalid\n[init]\ndefaultBranch = main\n[advice]\npushUpdateRejected = false\n"
	if err := os.WriteFile(filepath.Join(s.dir, ".gitconfig"), []byte(config), 0o600); err != nil {
		return err
	}
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		return err
	}
	_, webPort, _ := net.SplitHostPort(s.web)
	for name, value := range map[string]string{
		"HOME": s.dir, "XDG_CONFIG_HOME": filepath.Join(s.dir, ".config"), "SKY_URL": "http://" + s.http,
		"WEB_PORT": webPort, "METRICS_ADDR": testenv.FreeAddr(t), "SSH_ADDR": s.ssh, "HTTP_ADDR": s.http, "WEB_ADDR": s.web, "PEER_ADDR": testenv.FreeAddr(t), "PROXY_ADDR": testenv.FreeAddr(t), "DOCS": docs, "DATA": s.data(), "GIT_CONFIG_NOSYSTEM": "1",
		"SSH_OPTIONS":     sshOptions(s.dir, key),
		"GIT_SSH_COMMAND": "ssh " + sshOptions(s.dir, key),
		"AS_STRANGER":     "ssh " + sshOptions(s.dir, stranger),
	} {
		s.env.Setenv(name, value)
	}
	return nil
}

func sshOptions(dir, key string) string {
	return fmt.Sprintf("-i %s -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=%s -o LogLevel=ERROR",
		key, filepath.Join(dir, "known_hosts"))
}

// start runs `sky up` and returns when it is ready.
func (s *scene) start(ts *testscript.TestScript, verb string, flags ...string) {
	args := append([]string{
		verb, "--data-dir", s.data(), "--http", s.http, "--ssh", s.ssh, "--ingress", s.web, "--log-level", "debug",
	}, flags...)
	if ca := os.Getenv("SKY_TEST_CA"); ca != "" {
		args = append(args, "--extra-ca", ca)
	}
	program, err := exec.LookPath("sky")
	ts.Check(err)
	s.server = exec.Command(program, args...)
	s.server.Env = append(os.Environ(), "HOME="+s.dir, "DATABASE_URL="+s.database)
	log, err := os.OpenFile(filepath.Join(s.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	s.server.Stderr = log
	output, err := s.server.StdoutPipe()
	ts.Check(err)
	ts.Check(s.server.Start())
	ts.Check(log.Close())
	if !scanFor(output, "sky is ready") {
		_ = s.server.Wait()
		ts.Fatalf("sky up did not become ready:\n%s", ts.ReadFile(filepath.Join(s.dir, "server.log")))
	}
	token, err := os.ReadFile(filepath.Join(s.data(), "admin-token"))
	ts.Check(err)
	ts.Setenv("SKY_TOKEN", strings.TrimSpace(string(token)))
}

// endAgents ends the agents that the install script started here, and a transcript that
// failed left.
func (s *scene) endAgents() {
	files, _ := filepath.Glob(filepath.Join(s.dir, "*", "data", "agent.pid"))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			continue
		}
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(command), s.dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// end stops the scene's Sky and checks that destroying its apps leaves nothing.
func (s *scene) end(t *testing.T, docker dockerClient) {
	if s.server == nil {
		return
	}
	ctx := context.Background()
	for _, p := range s.pushes {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	}
	servers := []*exec.Cmd{s.server}
	for _, r := range s.replicas {
		servers = append(servers, r.command)
	}
	for _, server := range servers {
		if server.ProcessState == nil {
			_ = server.Process.Kill()
			_ = server.Wait()
		}
	}
	s.endAgents()
	if t.Failed() {
		servers, _ := filepath.Glob(filepath.Join(s.dir, "server*.log"))
		agents, _ := filepath.Glob(filepath.Join(s.dir, "*", "data", "agent.log"))
		for _, log := range append(servers, agents...) {
			if text, err := os.ReadFile(log); err == nil {
				t.Logf("%s:\n%s", filepath.Base(log), text)
			}
		}
	}
	if s.engine != nil {
		s.engine.Remove() // with all that is in it
		return
	}
	if s.lab != nil {
		s.lab.Remove()
	}
	for _, node := range s.nodes() {
		if err := testenv.RemoveNode(ctx, docker, node); err != nil {
			t.Error(err)
		}
	}
	for _, app := range s.apps() {
		if err := testenv.RemoveAppImages(ctx, docker, app); err != nil {
			t.Error(err)
		}
	}
}
