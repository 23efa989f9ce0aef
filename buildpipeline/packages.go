package buildpipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/skypanel/sky/buildpipeline/sbom"
	"github.com/skypanel/sky/models"
)

// labelLooking is on containers that never run: an image is looked into through
// one.
const labelLooking = "sky.looking"

// lookPatience is how long looking into an image may take.
const lookPatience = 10 * time.Minute

// Packages lists the packages in an image of the App, as a CycloneDX document. It
// reads all of the image's files, one image at a time. An image that is gone is
// models.NotFound.
func (b *Builder) Packages(ctx context.Context, app models.App, image string) (document []byte, err error) {
	b.looks.Lock()
	defer b.looks.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if !b.has(ctx, image) {
		return nil, models.Errorf(models.NotFound, "the image %s is gone from this server", short(image))
	}
	info, err := b.docker.ImageInspect(ctx, image)
	if err != nil {
		return nil, fmt.Errorf("inspect image: %w", err)
	}
	subject := sbom.Subject{App: app.Name, Image: info.ID, Tool: b.version}
	if subject.Made, err = time.Parse(time.RFC3339Nano, info.Created); err != nil {
		subject.Made = time.Unix(0, 0) // made to be the same each time
	}
	if info.Config != nil {
		subject.Env = info.Config.Env
	}
	made, err := b.docker.ContainerCreate(ctx, &container.Config{
		Image: info.ID, Entrypoint: []string{"none"}, Labels: map[string]string{labelLooking: "1"},
	}, nil, nil, nil, "")
	if err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	defer func() { err = errors.Join(err, b.removeContainer(context.WithoutCancel(ctx), made.ID)) }()
	files, err := b.docker.ContainerExport(ctx, made.ID)
	if err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	defer func() { _ = files.Close() }()
	return sbom.Of(files, subject)
}

func (b *Builder) removeContainer(ctx context.Context, id string) error {
	if err := b.docker.ContainerRemove(ctx, id, container.RemoveOptions{RemoveVolumes: true, Force: true}); err != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	return nil
}

// forgetLooks removes containers that a process left which was killed while it
// looked into an image.
func (b *Builder) forgetLooks(ctx context.Context) error {
	left, err := b.docker.ContainerList(ctx, container.ListOptions{
		All: true, Filters: filters.NewArgs(filters.Arg("label", labelLooking), filters.Arg("status", "created")),
	})
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	var errs []error
	for _, found := range left {
		if time.Since(time.Unix(found.Created, 0)) > lookPatience {
			errs = append(errs, b.removeContainer(ctx, found.ID))
		}
	}
	return errors.Join(errs...)
}
