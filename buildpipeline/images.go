package buildpipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/skypanel/sky/models"
)

// RemoveImages removes every image that was built for the App. Images that a
// container still uses stay; nothing that Sky did not label is touched.
func (b *Builder) RemoveImages(ctx context.Context, app models.ID) error {
	labelled := filters.NewArgs(filters.Arg("label", LabelAppID+"="+app.String()))
	images, err := b.docker.ImageList(ctx, image.ListOptions{Filters: labelled})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	var errs []error
	for _, found := range images {
		_, err := b.docker.ImageRemove(ctx, found.ID, image.RemoveOptions{Force: true, PruneChildren: true})
		if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
			errs = append(errs, fmt.Errorf("remove image %s: %w", short(found.ID), err))
		}
	}
	return errors.Join(errs...)
}

// HasImage reports whether the engine still holds the image.
func (b *Builder) HasImage(ctx context.Context, id string) bool { return b.has(ctx, id) }
