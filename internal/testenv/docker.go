package testenv

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
)

// Docker returns a client for the engine. Without one the test is skipped, or
// fails where SKY_TEST_DOCKER is "required".
func Docker(t testing.TB) *client.Client {
	t.Helper()
	docker, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err == nil {
		_, err = docker.Ping(context.Background())
	}
	if err != nil {
		if os.Getenv("SKY_TEST_DOCKER") == "required" {
			t.Fatalf("Docker does not answer: %v", err)
		}
		t.Skipf("Docker does not answer: %v", err)
	}
	return docker
}

// RemoveNode removes every container and network that a node's agent made.
func RemoveNode(ctx context.Context, docker *client.Client, node string) error {
	ofNode := filters.NewArgs(filters.Arg("label", "sky.node="+node))
	if err := removeContainers(ctx, docker, ofNode); err != nil {
		return err
	}
	networks, err := docker.NetworkList(ctx, network.ListOptions{Filters: ofNode})
	if err != nil {
		return err
	}
	for _, found := range networks {
		if err := docker.NetworkRemove(ctx, found.ID); err != nil {
			return err
		}
	}
	return nil
}

func removeContainers(ctx context.Context, docker *client.Client, which filters.Args) error {
	containers, err := docker.ContainerList(ctx, container.ListOptions{All: true, Filters: which})
	if err != nil {
		return err
	}
	for _, found := range containers {
		if err := docker.ContainerRemove(ctx, found.ID, container.RemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
			return err
		}
	}
	return nil
}

// RemoveAppImages removes the images that were built for the app with this id, and
// the containers that a killed server left of them: they have the images' labels.
func RemoveAppImages(ctx context.Context, docker *client.Client, app string) error {
	ofApp := filters.NewArgs(filters.Arg("label", "sky.app-id="+app))
	if err := removeContainers(ctx, docker, ofApp); err != nil {
		return err
	}
	images, err := docker.ImageList(ctx, image.ListOptions{Filters: ofApp})
	if err != nil {
		return err
	}
	for _, found := range images {
		_, err := docker.ImageRemove(ctx, found.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		if err != nil && !strings.Contains(err.Error(), "No such image") {
			return err
		}
	}
	return nil
}

// Leftovers names the containers and networks of a node that are still there.
func Leftovers(ctx context.Context, docker *client.Client, node string) ([]string, error) {
	ofNode := filters.NewArgs(filters.Arg("label", "sky.node="+node))
	containers, err := docker.ContainerList(ctx, container.ListOptions{All: true, Filters: ofNode})
	if err != nil {
		return nil, err
	}
	networks, err := docker.NetworkList(ctx, network.ListOptions{Filters: ofNode})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, found := range containers {
		names = append(names, "container "+strings.Join(found.Names, " "))
	}
	for _, found := range networks {
		names = append(names, "network "+found.Name)
	}
	return names, nil
}
