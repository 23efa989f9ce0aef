package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	imagetypes "github.com/docker/docker/api/types/image"
	"github.com/google/uuid"
)

// imageSweepEvery is how often images are looked at that no Instance needs. One
// goes when it was not needed at two looks in a row, so that a rollback soon after
// a deployment pulls nothing.
const imageSweepEvery = time.Hour

// imageKeeper is an engine that pulled images for us.
type imageKeeper interface {
	// PulledImages returns the ids of images by the names that they were pulled by.
	PulledImages(ctx context.Context) (map[string]string, error)
	// RemoveImage removes such a name, and with the last one the image, unless a
	// container uses it.
	RemoveImage(ctx context.Context, name string) error
}

// keepImages removes images that no Instance needs any more, until ctx ends.
func (a *Agent) keepImages(ctx context.Context) {
	keeper, ok := a.engine.(imageKeeper)
	if !ok {
		return
	}
	ticker := time.NewTicker(imageSweepEvery)
	defer ticker.Stop()
	idle := map[string]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var err error
		if idle, err = a.sweepImages(ctx, keeper, idle); err != nil && ctx.Err() == nil {
			a.logger.Warn("images not swept", "error", err)
		}
	}
}

// sweepImages removes what was idle before and is now, and returns what is idle
// now.
func (a *Agent) sweepImages(ctx context.Context, keeper imageKeeper, before map[string]bool) (idle map[string]bool, err error) {
	pulled, err := keeper.PulledImages(ctx)
	if err != nil {
		return before, err
	}
	needed := a.neededImages()
	if needed == nil { // what is assigned is not known
		return nil, nil
	}
	idle = map[string]bool{}
	var failures []error
	for name, id := range pulled {
		switch {
		case needed[id]:
		case before[name]:
			failures = append(failures, keeper.RemoveImage(ctx, name))
		default:
			idle[name] = true
		}
	}
	return idle, errors.Join(failures...)
}

// neededImages are those of assigned Instances; nil while no Assignment is known.
func (a *Agent) neededImages() map[string]bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.known {
		return nil
	}
	needed := map[string]bool{}
	for _, instance := range a.assignment.Instances {
		needed[instance.Image] = true
	}
	return needed
}

// PulledImages implements imageKeeper. Only names of our own door's count: what
// else the engine holds is somebody else's.
func (d *docker) PulledImages(ctx context.Context) (map[string]string, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	listed, err := d.client.ImageList(ctx, imagetypes.ListOptions{})
	if err != nil {
		return nil, dockerError("list images", err)
	}
	pulled := map[string]string{}
	for _, image := range listed {
		for _, name := range image.RepoDigests {
			if ourDoors(name) {
				pulled[name] = image.ID
			}
		}
	}
	return pulled, nil
}

// ourDoors reports whether an image's name is one that a door of an agent's gave
// it: a port of the loopback interface, and an App's id.
func ourDoors(name string) bool {
	address, rest, _ := strings.Cut(name, "/")
	repository, _, _ := strings.Cut(rest, "@")
	return strings.HasPrefix(address, "127.0.0.1:") && uuid.Validate(repository) == nil
}

// RemoveImage implements imageKeeper.
func (d *docker) RemoveImage(ctx context.Context, name string) error {
	_, err := d.client.ImageRemove(ctx, name, imagetypes.RemoveOptions{PruneChildren: true})
	if err == nil || errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return fmt.Errorf("remove image %s: %w", name, err)
}
