package buildpipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/go-units"
	kitclient "github.com/moby/buildkit/client"
	"github.com/skypanel/sky/internal/diskspace"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// RetainImages removes the names that the App gave to images other than keep, and
// with the last name the image. What a container uses stays.
func (b *Builder) RetainImages(ctx context.Context, app models.App, keep []string) error {
	return b.removeNames(ctx, app, keep, b.removeUnused)
}

// removeUnused removes an image, or one name of it, unless somebody uses it.
func (b *Builder) removeUnused(ctx context.Context, name string) error {
	_, err := b.docker.ImageRemove(ctx, name, image.RemoveOptions{PruneChildren: true})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}

// RemoveOlder removes the names that all Apps gave to images longer than age ago, and
// with the last name the image. What a container uses stays.
func (b *Builder) RemoveOlder(ctx context.Context, age time.Duration) error {
	images, err := b.docker.ImageList(ctx, image.ListOptions{Filters: filters.NewArgs(filters.Arg("reference", appPrefix+"*"))})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	var errs []error
	for _, found := range images {
		info, err := b.docker.ImageInspect(ctx, found.ID)
		if err != nil || time.Since(info.Metadata.LastTagTime) < age { // or gone meanwhile
			continue
		}
		for _, name := range info.RepoTags {
			if strings.HasPrefix(name, appPrefix) {
				errs = append(errs, b.removeUnused(ctx, name))
			}
		}
	}
	return errors.Join(errs...)
}

// Sweep removes images of apps that have lost their last name and that nothing
// uses, and lets the engine's build cache shrink to budget bytes, what was used
// longest ago first, and that of each App to perApp. A budget of 0 leaves the cache
// alone. Images that Sky did not label are never touched.
func (b *Builder) Sweep(ctx context.Context, budget, perApp int64) error {
	nameless := filters.NewArgs(filters.Arg("dangling", "true"), filters.Arg("label", LabelAppID))
	images, err := b.docker.ImageList(ctx, image.ListOptions{Filters: nameless})
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	errs := []error{b.forgetLooks(ctx)}
	for _, found := range images {
		if err := b.removeUnused(ctx, found.ID); err != nil {
			errs = append(errs, fmt.Errorf("remove image %s: %w", short(found.ID), err))
		}
	}
	if perApp > 0 {
		errs = append(errs, b.pruneApps(ctx, perApp))
	}
	if budget > 0 {
		errs = append(errs, b.pruneCache(ctx, budget))
	}
	return errors.Join(errs...)
}

// makeRoom gives the build cache up when the engine's disk is close to the floor
// below which nothing is built: an app that can be deployed slowly is better than
// one that cannot.
func (b *Builder) makeRoom(ctx context.Context, leave floor, log Log) error {
	before, _, err := diskspace.Of(leave.dir)
	if err != nil || before >= 2*leave.least { // on another machine, or enough
		return nil
	}
	if err := errors.Join(b.Sweep(ctx, 0, 0), b.pruneCache(ctx, 0)); err != nil {
		return err
	}
	after, _, err := diskspace.Of(leave.dir)
	if err == nil && after > before {
		log.Say("%s", narrative.Field("Disk", "almost full: "+units.BytesSize(float64(after-before))+" of build cache were given up"))
	}
	return err
}

func (b *Builder) pruneCache(ctx context.Context, budget int64) error {
	kit, err := b.buildkit(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = kit.Close() }()
	// Newer engines know three bounds; MaxUsedSpace is theirs, ReservedSpace that of
	// the older.
	if err := kit.Prune(ctx, nil, kitclient.PruneAll, kitclient.WithKeepOpt(0, budget, budget, 0)); err != nil {
		return fmt.Errorf("prune build cache: %w", err)
	}
	return nil
}

// pruneApps gives up caches of Apps that have more of them than most bytes, each
// whole, what was used longest ago first. What a build uses just now stays.
func (b *Builder) pruneApps(ctx context.Context, most int64) error {
	kit, err := b.buildkit(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = kit.Close() }()
	records, err := kit.DiskUsage(ctx)
	if err != nil {
		return fmt.Errorf("list build cache: %w", err)
	}
	var errs []error
	for _, record := range excess(records, most) {
		only := kitclient.WithFilter([]string{"id==" + record.ID})
		if err := kit.Prune(ctx, nil, kitclient.PruneAll, only); err != nil {
			errs = append(errs, fmt.Errorf("prune cache %s: %w", record.ID, err))
		}
	}
	return errors.Join(errs...)
}

// excess are the records to give up so that no App has more than most bytes.
func excess(records []*kitclient.UsageInfo, most int64) []*kitclient.UsageInfo {
	used := func(record *kitclient.UsageInfo) time.Time {
		if record.LastUsedAt != nil {
			return *record.LastUsedAt
		}
		return record.CreatedAt
	}
	newest := slices.SortedFunc(slices.Values(records), func(a, b *kitclient.UsageInfo) int { return used(b).Compare(used(a)) })
	kept := map[models.ID]int64{}
	var given []*kitclient.UsageInfo
	for _, record := range newest {
		app, marked := cacheOwner(record.Description)
		if !marked {
			continue
		}
		if kept[app]+record.Size > most && !record.InUse {
			given = append(given, record)
			continue
		}
		kept[app] += record.Size
	}
	return given
}

// DiskUsage is what builds keep on the engine's disk.
type DiskUsage struct {
	FreeBytes  int64 // of the engine's file system; 0 where it cannot be seen
	TotalBytes int64
	// Apps is by the App's name.
	Apps       map[string]ImageUsage
	Stacks     ImageUsage // the images that Sky made to build on
	Foreign    ImageUsage // what is not Sky's, and never removed
	CacheBytes int64      // of the build cache, without what images share with it
	// Caches are what of that the Apps' builds alone mount, by the Apps' ids.
	Caches map[models.ID]int64
}

// ImageUsage counts images and what they alone take: layers that several share
// are counted with none of them.
type ImageUsage struct {
	Images int
	Bytes  int64
}

func (u ImageUsage) with(found *image.Summary) ImageUsage {
	return ImageUsage{u.Images + 1, u.Bytes + found.Size - max(0, found.SharedSize)}
}

// DiskUsage asks the engine what it keeps. It may take seconds.
func (b *Builder) DiskUsage(ctx context.Context) (DiskUsage, error) {
	kept, err := b.docker.DiskUsage(ctx, types.DiskUsageOptions{Types: []types.DiskUsageObject{types.ImageObject, types.BuildCacheObject}})
	if err != nil {
		return DiskUsage{}, fmt.Errorf("ask the engine for its disk usage: %w", err)
	}
	usage := DiskUsage{Apps: map[string]ImageUsage{}, Caches: map[models.ID]int64{}}
	for _, found := range kept.Images {
		app := found.Labels[LabelApp]
		switch {
		case found.Labels[LabelAppID] != "":
			usage.Apps[app] = usage.Apps[app].with(found)
		case found.Labels[LabelStack] != "":
			usage.Stacks = usage.Stacks.with(found)
		default:
			usage.Foreign = usage.Foreign.with(found)
		}
	}
	for _, record := range kept.BuildCache {
		if !record.Shared {
			usage.CacheBytes += record.Size
		}
		if app, marked := cacheOwner(record.Description); marked {
			usage.Caches[app] += record.Size
		}
	}
	if info, err := b.docker.Info(ctx); err == nil {
		usage.FreeBytes, usage.TotalBytes, _ = diskspace.Of(info.DockerRootDir) // elsewhere: not seen
	}
	return usage, nil
}
