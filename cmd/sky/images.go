package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skypanel/sky/buildfarm"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/registry"
)

// images carries images from engines that build to nodes, through the registry in the
// data directory.
type images struct {
	farm     *buildfarm.Farm // set before use
	registry *registry.Registry
	to       buildpipeline.Destination
	server   *http.Server
}

// openImages opens the registry and its door for the engine on this machine, which
// listens on the loopback interface only.
func openImages(ctx context.Context, dataDir string) (*images, error) {
	secret, err := registrySecret(filepath.Join(dataDir, "keys", "registry"))
	if err != nil {
		return nil, err
	}
	opened, err := registry.Open(context.WithoutCancel(ctx), filepath.Join(dataDir, "registry"), secret)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the engine's pushes: %w", err)
	}
	i := &images{registry: opened, to: buildpipeline.Destination{Address: listener.Addr().String(), Secret: rand.Text()}}
	i.server = &http.Server{Handler: opened.Pusher(i.to.Secret), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = i.server.Serve(listener) }() // it ends with close
	return i, nil
}

// registrySecret reads what uploads under way are signed with, and makes it first.
func registrySecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read the registry's secret: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep the registry's secret: %w", err)
	}
	made := rand.Text()
	return made, durable.WriteFile(path, []byte(made+"\n"))
}

func (i *images) close() error { return i.server.Close() }

// Publish implements platform.Images.
func (i *images) Publish(ctx context.Context, image string, app models.ID) (string, error) {
	return i.farm.Publish(ctx, image, app)
}

// Has implements platform.Images.
func (i *images) Has(ctx context.Context, app models.ID, manifest string) bool {
	return i.registry.Has(ctx, app.String(), manifest)
}

// Retain implements platform.Images.
func (i *images) Retain(ctx context.Context, app models.ID, keep []string) error {
	return i.registry.Retain(ctx, app.String(), keep)
}

// Sweep implements platform.Images.
func (i *images) Sweep(ctx context.Context) error { return i.registry.Sweep(ctx) }

// Share implements platform.Images.
func (i *images) Share(ctx context.Context, from models.ID, manifest string, to models.ID) error {
	return i.registry.Share(ctx, from.String(), manifest, to.String())
}

// mayPull lets a node pull the images of what it runs, and of what it builds.
func mayPull(p *platform.Platform, farm *buildfarm.Farm) func(*http.Request, string) bool {
	return func(r *http.Request, repository string) bool {
		node, err := p.AuthenticateAgent(r.Context(), r.Header.Get("Authorization"))
		return err == nil && (repository == "" || p.NodeRuns(r.Context(), node, repository) || builds(farm, node, repository))
	}
}

// mayPush lets a builder push images of what it builds just now.
func mayPush(p *platform.Platform, farm *buildfarm.Farm) func(*http.Request, string) bool {
	return func(r *http.Request, repository string) bool {
		node, err := p.AuthenticateAgent(r.Context(), r.Header.Get("Authorization"))
		return err == nil && builds(farm, node, repository)
	}
}

// builds reports whether a node builds just now what a repository is of.
func builds(farm *buildfarm.Farm, node models.ID, repository string) bool {
	app, err := models.ParseID(repository)
	return err == nil && farm.Builds(node, app)
}
