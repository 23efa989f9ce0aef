package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/fleet"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/platform/logs"
	"github.com/skypanel/sky/rollout"
)

// noBuilds stands in for the engine, which this control plane has none of.
type noBuilds struct{ platform.Builder }

// Sweep implements platform.Builder.
func (noBuilds) Sweep(context.Context, int64, int64) error { return nil }

// Check implements platform.Builder.
func (noBuilds) Check(context.Context) error { return errors.New("no builds here") }

// DiskUsage implements platform.Builder.
func (noBuilds) DiskUsage(context.Context) (buildpipeline.DiskUsage, error) {
	return buildpipeline.DiskUsage{}, nil
}

// noGit stands in for the repositories, of which there are none.
type noGit struct{ platform.Repositories }

// Create implements platform.Repositories.
func (noGit) Create(context.Context, models.ID) error { return nil }

// rolloutFleet shows the fleet to the platform.
type rolloutFleet struct{ *fleet.Fleet }

// Wait implements rollout.Fleet.
func (f rolloutFleet) Wait(ctx context.Context, condition func(rollout.View) (bool, error)) error {
	return f.Fleet.Wait(ctx, func(view fleet.View) (bool, error) { return condition(view) })
}

// server is the control plane that is measured.
type server struct {
	platform *platform.Platform
	fleet    *fleet.Fleet
	nodes    []models.Node
	apps     []models.App
	releases []models.Release
}

// serve is the control plane's process, until it is interrupted.
func serve(ctx context.Context, p plan) (err error) {
	database, err := store.OpenSQLite(ctx, filepath.Join(p.serve, "sky.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	hub, err := logs.Open(filepath.Join(p.serve, "logs"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Close()) }()
	vault, err := platform.OpenVault(filepath.Join(p.serve, "master.json"), false)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	core := &platform.Platform{
		Store: database, Repositories: noGit{}, Builder: noBuilds{}, Logs: hub, Vault: vault, Log: log, Settings: platform.Settings{Domain: "sky.test", DataDir: p.serve},
	}
	s := &server{platform: core, fleet: fleet.New(ctx, fleet.Config{
		Authenticate: func(r *http.Request) (models.ID, error) {
			return core.AuthenticateAgent(r.Context(), r.Header.Get("Authorization"))
		},
		Assignments: core, Logs: core, Nodes: core, Logger: log,
	})}
	core.Fleet = rolloutFleet{s.fleet}
	core.Roller = &rollout.Roller{Store: core, Fleet: core.Fleet, Patience: time.Minute}
	if err := core.Start(ctx); err != nil {
		return err
	}
	defer core.Stop()
	return s.run(ctx, p)
}

func (s *server) run(ctx context.Context, p plan) error {
	said, err := s.fill(ctx, p)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	said.URL = "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle(protocol.LinkPath, s.fleet.Handler())
	mux.HandleFunc("POST /change", s.change)
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(s.fleet.Close(), web.Close()) })
	defer stop()
	if err := json.NewEncoder(os.Stdout).Encode(said); err != nil {
		return err
	}
	if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// change gives a node one more instance, and answers when its agent has it. With
// routes=changed it is the switch of a rollout, whose routes every agent has then.
func (s *server) change(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.FormValue("node"))
	if err != nil || number < 0 || number >= len(s.nodes) {
		http.Error(w, "no such node", http.StatusBadRequest)
		return
	}
	took, err := s.changeNode(r.Context(), number, r.FormValue("routes") == "changed")
	if err != nil {
		fmt.Fprintln(os.Stderr, "change:", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(took)
}

func (s *server) changeNode(ctx context.Context, number int, rerouted bool) (taken, error) {
	began, node := time.Now(), s.nodes[number].ID
	change := rollout.Change{App: s.apps[0].ID, Add: []models.Instance{s.instance(number, 0)}, Rerouted: rerouted}
	generations, err := s.platform.Apply(ctx, change)
	if err != nil {
		return taken{}, err
	}
	stored := time.Now()
	change.Announce(s.fleet, generations)
	err = s.fleet.Wait(ctx, func(view fleet.View) (bool, error) { return view.Generation(node) >= generations[node], nil })
	took := taken{Stored: stored.Sub(began), Acknowledged: time.Since(stored)}
	if err != nil {
		return took, err
	}
	err = s.fleet.Wait(ctx, func(view fleet.View) (bool, error) {
		for other, generation := range generations {
			if view.Generation(other) < generation {
				return false, nil
			}
		}
		return true, nil
	})
	took.Everywhere = time.Since(stored)
	return took, err
}

// instance is a worker of an app on a node.
func (s *server) instance(node, app int) models.Instance {
	return models.Instance{
		ID: models.NewID(), AppID: s.apps[app].ID, ReleaseID: s.releases[app].ID, NodeID: s.nodes[node].ID, Process: "worker", Ordinal: 1,
		CreatedAt: time.Now().UTC(),
	}
}
