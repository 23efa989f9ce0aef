package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
)

// fill makes the nodes, and apps that run an instance on each of them: every app a
// web instance that all nodes lead to, and workers.
func (s *server) fill(ctx context.Context, p plan) (ready, error) {
	said := ready{}
	if err := s.fillApps(ctx, p); err != nil {
		return said, err
	}
	var instances []models.Instance
	err := s.platform.Store.Transact(ctx, func(tx *store.Store) error {
		for i := range p.agents {
			node := models.Node{
				ID: models.NewID(), Name: fmt.Sprintf("node-%05d", i), State: models.NodePending, Region: "default", CPUs: 64, MemoryBytes: 256 << 30,
				CreatedAt: time.Now().UTC(),
			}
			if err := tx.CreateNode(ctx, &node); err != nil {
				return err
			}
			s.nodes = append(s.nodes, node)
			instance := s.instance(i, i%p.apps)
			if i < p.apps {
				instance.Process = models.WebProcess
			}
			instances = append(instances, instance)
		}
		return tx.ChangeInstances(ctx, instances[:0], nil)
	})
	if err != nil {
		return said, err
	}
	for begin := 0; begin < len(instances); begin += 500 {
		if err := s.platform.Store.ChangeInstances(ctx, instances[begin:min(begin+500, len(instances))], nil); err != nil {
			return said, err
		}
	}
	for i, node := range s.nodes {
		token, err := s.platform.AgentToken(node.ID)
		if err != nil {
			return said, err
		}
		said.Nodes = append(said.Nodes, credential{Token: token, Instance: instances[i].ID.String()})
	}
	for _, app := range s.apps {
		said.Apps = append(said.Apps, app.ID.String())
	}
	said.App = said.Apps[0]
	return said, nil
}

// fillApps makes apps with a live release each, whose config is empty.
func (s *server) fillApps(ctx context.Context, p plan) error {
	core := s.platform
	if _, err := core.Seed(ctx); err != nil {
		return err
	}
	tokens := filepath.Join(p.serve, "admin-token")
	if err := core.EnsureAdmin(ctx, tokens); err != nil {
		return err
	}
	token, err := platform.ReadTokenFile(tokens)
	if err != nil {
		return err
	}
	admin, err := core.ActorByToken(ctx, token)
	if err != nil {
		return err
	}
	for i := range p.apps {
		app, err := core.CreateApp(ctx, admin, platform.NewApp{Name: fmt.Sprintf("app-%d", i)})
		if err != nil {
			return err
		}
		release := models.Release{ID: models.NewID(), AppID: app.ID, Image: "sha256:bench", Port: 8080, CreatedAt: time.Now().UTC()}
		if err := core.SealConfig(&release, map[string]string{"A": "1"}); err != nil {
			return err
		}
		if err := core.Store.CreateRelease(ctx, &release); err != nil {
			return err
		}
		if _, err := core.Store.UpdateApp(ctx, app.ID, func(row *models.App) error {
			row.LiveReleaseID = &release.ID
			return nil
		}); err != nil {
			return err
		}
		s.apps, s.releases = append(s.apps, app), append(s.releases, release)
	}
	return nil
}
