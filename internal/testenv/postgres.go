package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
)

// cluster is a PostgreSQL server on a Unix socket.
type cluster struct {
	bin, dir, data string
	as             *syscall.Credential
}

// shared is the server that the tests of a package share; Main ends it.
var shared struct {
	sync.Mutex
	runs    bool
	server  *cluster
	counted int
}

// Main runs a package's tests, which then share one PostgreSQL server, each with
// a database of its own. It exits.
func Main(m *testing.M) {
	shared.runs = true
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// OnPostgres reports whether tests that need only one database are to use
// PostgreSQL: the suite runs once on each engine.
func OnPostgres() bool { return os.Getenv("SKY_TEST_DATABASE") == "postgres" }

// Postgres returns the URL of an empty database of the test's own, which is
// removed after it. Without the server's programs the test is skipped, or fails
// where SKY_TEST_POSTGRES_BIN is "required".
func Postgres(t testing.TB) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.runs {
		server := startCluster(t)
		t.Cleanup(func() {
			if err := server.stop(); err != nil {
				t.Error(err)
			}
		})
		return server.url("postgres")
	}
	if shared.server == nil {
		shared.server = startCluster(t)
	}
	server := shared.server
	shared.counted++
	name := fmt.Sprintf("test%d", shared.counted)
	must(t, server.run("createdb", "-h", server.dir, "-U", "sky", name))
	t.Cleanup(func() { must(t, server.run("dropdb", "-h", server.dir, "-U", "sky", "--force", name)) })
	return server.url(name)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ErrNoPostgres is returned where the server's programs are not installed.
var ErrNoPostgres = errors.New("PostgreSQL's server is not installed")

func startCluster(t testing.TB) *cluster {
	t.Helper()
	server, err := newCluster()
	if errors.Is(err, ErrNoPostgres) && os.Getenv("SKY_TEST_POSTGRES_BIN") != "required" {
		t.Skip(err)
	}
	must(t, err)
	return server
}

// StartPostgres starts a PostgreSQL that does not wait for disks, and returns the
// URL of an empty database. stop ends it and removes its data.
func StartPostgres() (url string, stop func() error, err error) {
	server, err := newCluster()
	if err != nil {
		return "", nil, err
	}
	return server.url("postgres"), server.stop, nil
}

func newCluster() (*cluster, error) {
	bin := postgresBin()
	if bin == "" {
		return nil, ErrNoPostgres
	}
	dir, err := os.MkdirTemp("", "sky-pg-") // short: a socket's path has 107 bytes at most
	if err != nil {
		return nil, err
	}
	server := &cluster{bin: bin, dir: dir, data: filepath.Join(dir, "data")}
	if err := server.start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return server, nil
}

func (c *cluster) start() (err error) {
	if c.as, err = unprivileged(c.dir); err != nil {
		return err
	}
	if err := c.run("initdb", "-D", c.data, "-U", "sky", "-A", "trust", "--no-sync", "-E", "UTF8"); err != nil {
		return err
	}
	options := fmt.Sprintf("-c listen_addresses='' -c unix_socket_directories=%s -c fsync=off", c.dir)
	return c.run("pg_ctl", "-D", c.data, "-w", "-l", filepath.Join(c.dir, "log"), "-o", options, "start")
}

func (c *cluster) url(database string) string {
	return fmt.Sprintf("host=%s user=sky dbname=%s", c.dir, database)
}

func (c *cluster) stop() error {
	return errors.Join(c.run("pg_ctl", "-D", c.data, "-m", "immediate", "stop"), os.RemoveAll(c.dir))
}

// postgresBin finds the newest server's programs, where Debian puts them.
func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return found[len(found)-1]
}

// unprivileged returns the user that PostgreSQL runs as, who owns dir: it refuses
// root.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}

// run runs one of the server's programs as the server's user.
func (c *cluster) run(program string, args ...string) error {
	command := exec.CommandContext(context.Background(), filepath.Join(c.bin, program), args...)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	// A file, not a pipe: the server inherits it and would hold a pipe open.
	output, err := os.CreateTemp("", "sky-pg-out-")
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	defer func() { _ = os.Remove(output.Name()) }()
	defer func() { _ = output.Close() }()
	command.Stdout, command.Stderr = output, output
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(output.Name())
		return fmt.Errorf("%s: %w: %s", program, err, bytes.TrimSpace(text))
	}
	return nil
}
