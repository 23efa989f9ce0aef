package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// left blocks until the node's agent has taken away the containers and networks
// of the apps that were destroyed.
func (l *Lab) left(ctx context.Context) error {
	nodes, err := l.Client.Nodes(ctx)
	if err != nil {
		return err
	}
	engine, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer func() { _ = engine.Close() }()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		count, err := remains(ctx, engine, filters.NewArgs(filters.Arg("label", "sky.node="+nodes[0].ID)))
		if err != nil || count == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d containers and networks are left: %w", count, ctx.Err())
		case <-ticker.C:
		}
	}
}

func remains(ctx context.Context, engine *client.Client, ofNode filters.Args) (int, error) {
	containers, err := engine.ContainerList(ctx, container.ListOptions{All: true, Filters: ofNode})
	if err != nil {
		return 0, err
	}
	networks, err := engine.NetworkList(ctx, network.ListOptions{Filters: ofNode})
	return len(containers) + len(networks), err
}
