package testenv

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts a PostgreSQL of the test's own on a Unix socket and returns
// its URL. Without the server's programs the test is skipped, or fails where
// SKY_TEST_POSTGRES_BIN is "required".
func Postgres(t testing.TB) string {
	t.Helper()
	bin := postgresBin()
	if bin == "" {
		if os.Getenv("SKY_TEST_POSTGRES_BIN") == "required" {
			t.Fatal("PostgreSQL's server is not installed")
		}
		t.Skip("PostgreSQL's server is not installed")
	}
	dir, err := os.MkdirTemp("", "sky-pg-") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := unprivileged(t, dir)
	data := filepath.Join(dir, "data")
	runAs(t, as, filepath.Join(bin, "initdb"), "-D", data, "-U", "sky", "-A", "trust", "--no-sync", "-E", "UTF8")
	options := fmt.Sprintf("-c listen_addresses='' -c unix_socket_directories=%s -c fsync=off", dir)
	runAs(t, as, filepath.Join(bin, "pg_ctl"), "-D", data, "-w", "-l", filepath.Join(dir, "log"), "-o", options, "start")
	t.Cleanup(func() { runAs(t, as, filepath.Join(bin, "pg_ctl"), "-D", data, "-m", "immediate", "stop") })
	return fmt.Sprintf("host=%s user=sky dbname=postgres", dir)
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

// unprivileged returns the user that PostgreSQL runs as: it refuses root.
func unprivileged(t testing.TB, dir string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func runAs(t testing.TB, as *syscall.Credential, program string, args ...string) {
	t.Helper()
	command := exec.CommandContext(context.Background(), program, args...)
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	// A file, not a pipe: the server inherits it and would hold a pipe open.
	output, err := os.CreateTemp("", "sky-pg-out-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Remove(output.Name()) }()
	command.Stdout, command.Stderr = output, output
	if err := command.Run(); err != nil {
		text, _ := os.ReadFile(output.Name())
		t.Fatalf("%s: %v\n%s", filepath.Base(program), err, bytes.TrimSpace(text))
	}
}
