package main

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// replica is one of several control planes.
type replica struct {
	http, ssh, address string
	command            *exec.Cmd
	log                string
	away               atomic.Bool // as the balancer's health check sees it
}

// replica start NAME PATTERN [FLAGS]: starts `sky server` as one of several on one
// PostgreSQL and one data directory, behind a balancer at HTTP_ADDR and SSH_ADDR, and
// returns once its output says the pattern. replica await NAME PATTERN: waits until
// its log does. replica kill|pause|resume NAME: by signals. replica wait NAME CODE:
// until it has ended by itself.
func cmdReplica(ts *testscript.TestScript, neg bool, args []string) {
	s := sceneOf(ts)
	switch args[0] {
	case "start":
		s.startReplica(ts, args[1], args[2], args[3:])
		return
	case "await":
		cmdEventually(ts, false, []string{args[2], "cat", s.replicas[args[1]].log})
		return
	}
	command := s.replicas[args[1]].command
	switch args[0] {
	case "kill":
		ts.Check(command.Process.Kill())
		_ = command.Wait()
	case "pause":
		s.replicas[args[1]].away.Store(true)
		ts.Check(command.Process.Signal(syscall.SIGSTOP))
	case "resume":
		ts.Check(command.Process.Signal(syscall.SIGCONT))
	case "wait":
		_ = command.Wait()
		if code := command.ProcessState.String(); code != "exit status "+args[2] {
			ts.Fatalf("%s ended with %s", args[1], code)
		}
	default:
		ts.Fatalf("replica knows no %s", args[0])
	}
}

// replica is the one of this name, or nil.
func (s *scene) replica(name string) *replica {
	s.replicasMu.Lock()
	defer s.replicasMu.Unlock()
	return s.replicas[name]
}

func (s *scene) startReplica(ts *testscript.TestScript, name, pattern string, flags []string) {
	if s.replicas == nil {
		s.prepareReplicas(ts)
	}
	r := s.replica(name)
	if r == nil {
		r = &replica{http: s.freeAddr(), ssh: s.freeAddr(), address: s.freeAddr(), log: filepath.Join(s.dir, "server-"+name+".log")}
		s.replicasMu.Lock()
		s.replicas[name] = r
		s.replicasMu.Unlock()
		ts.Setenv("HTTP_"+strings.ToUpper(name), r.http)
		ts.Setenv("SSH_"+strings.ToUpper(name), r.ssh)
	}
	program, err := exec.LookPath("sky")
	ts.Check(err)
	r.command = exec.Command(program, append([]string{
		"server", "--data-dir", s.data(), "--http", r.http, "--ssh", r.ssh, "--ingress", s.web, "--public-url", "http://" + s.http,
		"--public-ssh", s.ssh, "--replica", r.address, "--log-level", "debug",
	}, flags...)...)
	r.command.Env = append(os.Environ(), "HOME="+s.dir, "DATABASE_URL="+s.database)
	log, err := os.OpenFile(r.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	ts.Check(err)
	r.command.Stderr, r.command.Stdout = log, log
	ts.Check(r.command.Start())
	r.away.Store(false)
	ts.Check(log.Close())
	s.server = r.command
	cmdEventually(ts, false, []string{pattern, "cat", r.log})
	if token, err := os.ReadFile(filepath.Join(s.data(), "admin-token")); err == nil {
		ts.Setenv("SKY_TOKEN", strings.TrimSpace(string(token)))
	}
}

// prepareReplicas makes the database, and the balancer.
func (s *scene) prepareReplicas(ts *testscript.TestScript) {
	s.replicas = map[string]*replica{}
	if s.database == "" {
		s.database = s.newDatabase()
	}
	for address, of := range map[string]func(*replica) string{
		s.http: func(r *replica) string { return r.http },
		s.ssh:  func(r *replica) string { return r.ssh },
	} {
		listener, err := net.Listen("tcp", address)
		ts.Check(err)
		ts.Defer(func() { _ = listener.Close() })
		go s.balance(listener, of)
	}
}

// balance hands connections to the replicas in turn, to the next where one refuses or
// hangs.
func (s *scene) balance(listener net.Listener, of func(*replica) string) {
	var turn atomic.Uint32
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			names := []string{"a", "b"}
			first := int(turn.Add(1))
			for i := range names {
				r := s.replica(names[(first+i)%len(names)])
				if r == nil || r.away.Load() {
					continue
				}
				if to, err := net.Dial("tcp", of(r)); err == nil {
					splice(conn, to)
					return
				}
			}
		}()
	}
}

func splice(a, b net.Conn) {
	go func() {
		_, _ = io.Copy(a, b)
		_ = a.Close()
	}()
	_, _ = io.Copy(b, a)
	_ = b.Close()
}
