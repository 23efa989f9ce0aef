package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/skypanel/sky/fleet"
	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/rollout"
)

// receiver lets the git doors call the platform.
type receiver struct{ *platform.Platform }

// Authorize implements gitserver.Receiver.
func (r receiver) Authorize(ctx context.Context, actor models.Actor, app string, access gitserver.Access) (models.App, error) {
	if access == gitserver.Write {
		return r.App(ctx, actor, models.AppDeploy, app)
	}
	return r.App(ctx, actor, models.AppRead, app)
}

// repositories lets the platform open a commit's files.
type repositories struct {
	*gitserver.Repositories
	fetcher gitserver.Fetcher
	client  *http.Client
}

// RemoteHead implements platform.Repositories.
func (r repositories) RemoteHead(ctx context.Context, remote platform.Remote, ref string) (string, error) {
	return r.fetcher.Head(ctx, r.remote(remote), ref)
}

// Fetch implements platform.Repositories.
func (r repositories) Fetch(ctx context.Context, app models.ID, remote platform.Remote, ref string) (string, error) {
	return r.fetcher.Fetch(ctx, app, r.remote(remote), ref)
}

func (r repositories) remote(remote platform.Remote) gitserver.Remote {
	return gitserver.Remote{URL: remote.URL, Token: remote.Token, Client: r.client}
}

// Files implements platform.Repositories.
func (r repositories) Files(ctx context.Context, app models.ID, commit string) (platform.Files, error) {
	tree, err := r.Tree(ctx, app, commit)
	if err != nil {
		return nil, err
	}
	return files{tree}, nil
}

// files are a commit's files with warnings in words.
type files struct{ *gitserver.Tree }

// Warnings implements platform.Files.
func (f files) Warnings() ([]string, error) {
	notes, err := f.Notes()
	if err != nil {
		return nil, err
	}
	var warnings []string
	add := func(paths []string, what string) {
		if len(paths) > 0 {
			warnings = append(warnings, fmt.Sprintf("%s: %s", summary(paths), what))
		}
	}
	add(notes.Submodules, "submodules are not fetched; the directory is empty")
	add(notes.LFSPointers, "Git LFS is not supported; the app gets the pointer, not the file")
	add(notes.EscapingLinks, "the symbolic link leads out of the repository")
	return warnings, nil
}

// summary names the first of paths and counts the others.
func summary(paths []string) string {
	if len(paths) == 1 {
		return paths[0]
	}
	return fmt.Sprintf("%s and %d more", paths[0], len(paths)-1)
}

// rolloutFleet shows the fleet to the rollout.
type rolloutFleet struct{ *fleet.Fleet }

// Wait implements rollout.Fleet.
func (f rolloutFleet) Wait(ctx context.Context, condition func(rollout.View) (bool, error)) error {
	return f.Fleet.Wait(ctx, func(view fleet.View) (bool, error) { return condition(view) })
}

// agentDoor authenticates agents for the fleet.
func agentDoor(p *platform.Platform) func(*http.Request) (models.ID, error) {
	return func(r *http.Request) (models.ID, error) {
		return p.AuthenticateAgent(r.Context(), r.Header.Get("Authorization"))
	}
}
