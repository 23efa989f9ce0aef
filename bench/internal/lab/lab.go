package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
)

// Lab is a running Sky with an SSH key that may push. Close ends it.
type Lab struct {
	// Dir is temporary: what is put there goes with the Lab.
	Dir     string
	Ingress string
	Client  *v1.Client
	process *exec.Cmd
	command []string // how it is started
	apps    []string
}

// Open starts the sky program at path and blocks until it accepts a push. Its
// environment is ours, so that SKY_EXTRA_CA reaches it; options are further ones.
func Open(ctx context.Context, path string, options ...string) (*Lab, error) {
	return open(ctx, path, "up", "", options)
}

// OpenServer starts a control plane without a node, whose API others reach at address.
func OpenServer(ctx context.Context, path, address string, options ...string) (*Lab, error) {
	return open(ctx, path, "server", address, options)
}

// open starts a server; an empty address for its API is one on loopback.
func open(ctx context.Context, path, verb, api string, options []string) (*Lab, error) {
	dir, err := os.MkdirTemp("", "sky-bench-")
	if err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir}
	if err := l.start(ctx, path, verb, api, options); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context, path, verb, api string, options []string) error {
	addresses, err := freeAddresses(3)
	if err != nil {
		return err
	}
	data := filepath.Join(l.Dir, "data")
	l.Ingress = addresses[2]
	if api == "" {
		api = addresses[0]
	}
	l.command = append([]string{path, verb, "--data-dir", data, "--log-level", "warn",
		"--http", api, "--ssh", addresses[1], "--ingress", l.Ingress}, options...)
	if err := l.run(); err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(data, "admin-token"))
	if err != nil {
		return err
	}
	l.Client = &v1.Client{URL: "http://" + api, Token: strings.TrimSpace(string(token)), HTTP: http.DefaultClient}
	return l.addKey(ctx)
}

// run starts the program and blocks until it is ready.
func (l *Lab) run() error {
	process := exec.Command(l.command[0], l.command[1:]...)
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		return err
	}
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // our Ctrl-C is not its: Close tells it
	if err := process.Start(); err != nil {
		return fmt.Errorf("start %s: %w", l.command[0], err)
	}
	l.process = process
	if line, err := bufio.NewReader(output).ReadString('\n'); err != nil || !strings.Contains(line, "ready") {
		return fmt.Errorf("sky did not become ready: %q %w", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, output) }()
	return nil
}

// Kill ends Sky with SIGKILL and starts it again on the same data and addresses.
func (l *Lab) Kill() error {
	if err := l.process.Process.Kill(); err != nil {
		return err
	}
	_ = l.process.Wait() // it was killed
	return l.run()
}

func freeAddresses(count int) ([]string, error) {
	var addresses []string
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = listener.Close() }() // at the end, so that all differ
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

func (l *Lab) key() string { return filepath.Join(l.Dir, "id_ed25519") }

func (l *Lab) addKey(ctx context.Context) error {
	made := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", l.key())
	if out, err := made.CombinedOutput(); err != nil {
		return fmt.Errorf("make key: %w: %s", err, out)
	}
	text, err := os.ReadFile(l.key() + ".pub")
	if err != nil {
		return err
	}
	_, err = l.Client.AddKey(ctx, v1.NewKey{PublicKey: string(text)})
	return err
}

// PID is the process that serves.
func (l *Lab) PID() int { return l.process.Process.Pid }

// Close destroys the apps, stops Sky and removes the directory.
func (l *Lab) Close() error {
	var errs []error
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, app := range l.apps {
		errs = append(errs, l.Client.DestroyApp(ctx, app, app))
	}
	if len(l.apps) > 0 {
		errs = append(errs, l.left(ctx))
	}
	if l.process != nil {
		errs = append(errs, l.process.Process.Signal(syscall.SIGTERM))
		_ = l.process.Wait() // it was told to end
	}
	return errors.Join(append(errs, os.RemoveAll(l.Dir))...)
}
