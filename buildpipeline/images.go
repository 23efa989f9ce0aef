package buildpipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/skypanel/sky/models"
)

// appPrefix begins the names of all Apps' images.
const appPrefix = "sky-app/"

// imagePrefix begins the names of an App's images. It holds the App's id, which
// only its members know: a Dockerfile of somebody else's that begins FROM such a
// name must not find it.
func imagePrefix(app models.ID) string { return appPrefix + app.String() + ":" }

// RemoveImages removes every name that the App gave to an image, and with the
// last name the image. Images that another App shares, or that a container still
// uses, stay; nothing that Sky did not name is touched.
func (b *Builder) RemoveImages(ctx context.Context, app models.App) error {
	return b.removeNames(ctx, app, nil, b.removeImage)
}

// removeNames removes the names that the App gave to images other than keep.
func (b *Builder) removeNames(ctx context.Context, app models.App, keep []string, remove func(ctx context.Context, name string) error) error {
	named := filters.NewArgs(filters.Arg("reference", imagePrefix(app.ID)+"*"))
	images, err := b.docker.ImageList(ctx, image.ListOptions{Filters: named})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	var errs []error
	for _, found := range images {
		for _, name := range found.RepoTags {
			if slices.Contains(keep, found.ID) || !strings.HasPrefix(name, imagePrefix(app.ID)) {
				continue
			}
			if err := remove(ctx, name); err != nil {
				errs = append(errs, fmt.Errorf("remove image %s: %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}

// removeImage removes one name. A container that just stopped still uses its
// image until its agent has removed it, so that this waits for that, for a while.
func (b *Builder) removeImage(ctx context.Context, name string) error {
	const patience, pause = 5 * time.Second, 100 * time.Millisecond
	enough := time.After(patience)
	for {
		_, err := b.docker.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
		if err == nil || errdefs.IsNotFound(err) {
			return nil
		}
		if !errdefs.IsConflict(err) {
			return err
		}
		select {
		case <-enough:
			return nil // somebody goes on using it
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// HasImage reports whether the engine still holds the image.
func (b *Builder) HasImage(ctx context.Context, id string) bool { return b.has(ctx, id) }

// ShareImage gives an image a name of another App's, so that it stays when the
// App that built it goes.
func (b *Builder) ShareImage(ctx context.Context, id string, app models.ID, tag string) (string, error) {
	if err := b.docker.ImageTag(ctx, id, imagePrefix(app)+tag); err != nil {
		return "", models.Errorf(models.Conflict, "the image is gone from this server: %w", err).
			WithRemedy("push its commit again")
	}
	return id, nil
}
