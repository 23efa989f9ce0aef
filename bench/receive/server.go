package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/models"
)

// serveUntilTold serves one empty repository on a free port, which it prints,
// until its standard input ends.
func serveUntilTold(ctx context.Context, kind, dir string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server, err := newServer(ctx, kind, dir)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Println(listener.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = server.Shutdown(ctx)
	if err := <-served; err != nil && !errors.Is(err, ssh.ErrServerClosed) {
		return err
	}
	return nil
}

type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

func newServer(ctx context.Context, kind, dir string) (server, error) {
	keys, err := gitserver.LoadHostKeys(filepath.Join(dir, "..", "hostkeys"))
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if kind == "sky" {
		repositories := &gitserver.Repositories{Dir: dir, Log: log}
		app := models.App{ID: models.NewID(), Name: "app", DeployBranch: "main"}
		receiver := acceptAll{repositories, app}
		return &gitserver.SSH{Door: gitserver.Door{Repositories: repositories, Receiver: receiver, Log: log}, HostKeys: keys}, repositories.Create(ctx, app.ID)
	}
	repository := filepath.Join(dir, "app.git")
	if out, err := exec.CommandContext(ctx, "git", "init", "-q", "--bare", repository).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("init: %w: %s", err, out)
	}
	return stock(repository, keys, kind == "git-strict"), nil
}

// stock is the same SSH library in front of git receive-pack.
// With strict, git checks objects and syncs files, as Sky always does.
func stock(repository string, keys []gossh.Signer, strict bool) *ssh.Server {
	options := []string{"-c", "gc.auto=0", "-c", "receive.autogc=false"}
	if strict {
		options = append(options, "-c", "receive.fsckObjects=true", "-c", "core.fsync=all")
	}
	server := &ssh.Server{
		PublicKeyHandler: func(ssh.Context, ssh.PublicKey) bool { return true },
		Handler: func(s ssh.Session) {
			program := strings.TrimPrefix(s.Command()[0], "git-")
			cmd := exec.CommandContext(s.Context(), "git", append(slices.Clone(options), program, repository)...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = s, s, s.Stderr()
			if err := cmd.Run(); err != nil {
				_ = s.Exit(1)
			}
		},
	}
	for _, key := range keys {
		server.AddHostKey(key)
	}
	return server
}

// acceptAll is a platform that deploys nothing.
type acceptAll struct {
	repositories *gitserver.Repositories
	app          models.App
}

func (a acceptAll) ActorByKey(context.Context, string) (models.Actor, error) {
	return models.Actor{Name: "bench"}, nil
}

func (a acceptAll) ActorByToken(context.Context, string) (models.Actor, error) {
	return models.Actor{}, models.Errorf(models.Unauthorized, "no tokens here")
}

func (a acceptAll) Authorize(context.Context, models.Actor, string, gitserver.Access) (models.App, error) {
	return a.app, nil
}

func (a acceptAll) Receive(ctx context.Context, push *models.Push) {
	if err := a.repositories.UpdateRefs(ctx, a.app.ID, push.Updates, push.Atomic); err != nil {
		push.Updates[0].Err = err
	}
}
