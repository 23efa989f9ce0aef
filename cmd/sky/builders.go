package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"

	"github.com/skypanel/sky/agent"
	"github.com/skypanel/sky/buildfarm"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// builder has an agent build too.
func (config *agentConfig) builder(log *slog.Logger) agent.Builder {
	return agent.Builder{Places: config.builds, Open: func(address, secret string) (http.Handler, error) {
		return buildfarm.OpenDoor(buildfarm.DoorConfig{
			DockerHost: config.dockerHost, Registry: buildpipeline.Destination{Address: address, Secret: secret},
			Dir: filepath.Join(config.dataDir, "builds"), Version: version, Notes: log,
		})
	}}
}

// builders tells the farm of agents that build.
type builders struct {
	farm     *buildfarm.Farm
	platform *platform.Platform
}

// Attach implements fleet.Builders.
func (b builders) Attach(ctx context.Context, id models.ID, places int, dial func(context.Context) (net.Conn, error)) (detach func()) {
	name := id.String()
	if node, err := b.platform.Store.Node(ctx, id); err == nil {
		name = node.Name
	}
	return b.farm.Attach(id, name, places, dial)
}

// openFarm makes what gives builds to machines.
func (c *controlPlane) openFarm(ctx context.Context, extraCA []byte) error {
	nodes, err := c.store.Nodes(ctx)
	if err != nil {
		return err
	}
	expected := false
	for _, node := range nodes {
		expected = expected || (node.Builds > 0 && node.State != models.NodeRemoved)
	}
	c.farm = buildfarm.New(buildfarm.Config{
		Local: c.builder, Places: c.config.builds, PerOrganisation: c.config.buildsPerOrg, Registry: c.images.to, Expected: expected, Log: c.log,
		Settings: buildfarm.Settings{ExtraCA: extraCA, MinFreeBytes: c.config.minFreeMB << 20, Allow: c.config.buildAllow},
	})
	return nil
}
