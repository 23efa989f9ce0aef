package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/skypanel/sky/models"
)

// sweepEvery is how often the builds' cache is held to its budget.
const sweepEvery = 10 * time.Minute

// retainImages removes images of the App's Releases but for the newest that
// served, the live one, and those that Instances were started from.
func (p *Platform) retainImages(ctx context.Context, id models.ID) error {
	app, err := p.Store.App(ctx, id)
	if models.IsCode(err, models.NotFound) {
		return nil // it was destroyed meanwhile, with its images
	}
	if err != nil {
		return err
	}
	releases, err := p.keptReleases(ctx, app)
	if err != nil {
		return err
	}
	var images, manifests []string
	for _, release := range releases {
		images = append(images, release.Image)
		if release.Manifest != "" {
			manifests = append(manifests, release.Manifest)
		}
	}
	err = p.Builder.RetainImages(ctx, app, images)
	if p.Images != nil {
		err = errors.Join(err, p.Images.Retain(ctx, app.ID, manifests))
	}
	return err
}

// keptReleases are those whose images stay.
func (p *Platform) keptReleases(ctx context.Context, app models.App) ([]models.Release, error) {
	options, err := p.Options(ctx)
	if err != nil {
		return nil, err
	}
	newest, err := p.Releases(ctx, app, models.PageRequest{Limit: models.MaxPage})
	if err != nil {
		return nil, err
	}
	instances, err := p.Store.Instances(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	var used []models.ID
	if app.LiveReleaseID != nil {
		used = append(used, *app.LiveReleaseID)
	}
	for _, instance := range instances {
		used = append(used, instance.ReleaseID)
	}
	running, err := p.Store.ReleasesByID(ctx, used)
	var keep []models.Release
	served := 0
	for _, release := range newest.Items {
		if release.Deployment.State == models.DeploymentLive && served < options.KeepReleases {
			keep = append(keep, release.Release)
			served++
		}
	}
	for _, release := range running {
		keep = append(keep, release)
	}
	return keep, err
}

// sweepDue holds the builds' cache to its budget, every now and then.
func (p *Platform) sweepDue(ctx context.Context, at time.Time) error {
	if at.Sub(p.swept) < sweepEvery {
		return nil
	}
	p.swept = at
	options, err := p.Options(ctx)
	if err != nil {
		return err
	}
	err = p.Builder.Sweep(ctx, int64(options.CacheMB)<<20, int64(options.AppCacheMB)<<20)
	if p.Images != nil {
		err = errors.Join(err, p.Images.Sweep(ctx))
	}
	if p.Builder.Check(ctx) != nil {
		return nil // builds say so themselves
	}
	return err
}

// DiskItem is one thing that takes disk space, and what becomes of it.
type DiskItem struct {
	Name  string
	Bytes int64
	Count int
	// Note says what bounds it, or how to have it smaller.
	Note string
}

// Disk is what Sky keeps on the server's disks.
type Disk struct {
	FreeBytes, TotalBytes int64 // of the engine's file system
	FloorBytes            int64 // below which nothing is built
	Items                 []DiskItem
}

// Disk accounts for the disk space that Sky uses, for an admin. It may take
// seconds.
func (p *Platform) Disk(ctx context.Context, actor models.Actor) (Disk, error) {
	if err := permitPlatform(actor); err != nil {
		return Disk{}, err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return Disk{}, err
	}
	builds, err := p.Builder.DiskUsage(ctx)
	if err != nil {
		return Disk{}, models.Errorf(models.Unavailable, "the container engine does not answer: %w", err).WithRemedy("is Docker running?")
	}
	disk := Disk{FreeBytes: builds.FreeBytes, TotalBytes: builds.TotalBytes, FloorBytes: p.Settings.MinFreeBytes}
	kept := fmt.Sprintf("the newest %d releases of an app, and those that run: sky admin settings set keep-releases=N", options.KeepReleases)
	for name, images := range builds.Apps {
		disk.Items = append(disk.Items, DiskItem{"images of " + name, images.Bytes, images.Images, kept})
	}
	slices.SortFunc(disk.Items, largestFirst)
	caches, err := p.cacheItems(ctx, builds.Caches, options)
	if err != nil {
		return Disk{}, err
	}
	disk.Items = append(append(disk.Items, caches...),
		DiskItem{"base images made by Sky", builds.Stacks.Bytes, builds.Stacks.Images, "made again when an app needs them"},
		DiskItem{"build cache, all of it", builds.CacheBytes, 0, bound(options.CacheMB, "cache-mb")},
		DiskItem{"images of others", builds.Foreign.Bytes, builds.Foreign.Images, "never removed by Sky"},
	)
	data, err := p.dataItems()
	disk.Items = append(disk.Items, data...)
	return disk, err
}

// bound says what holds a cache.
func bound(megabytes int, setting string) string {
	if megabytes == 0 {
		return "no bound: sky admin settings set " + setting + "=N"
	}
	return fmt.Sprintf("held to %d MB, used longest ago first: sky admin settings set %s=N", megabytes, setting)
}

func largestFirst(a, b DiskItem) int {
	return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name))
}

// cacheItems account for the caches that Apps' builds mount, which are part of the
// build cache.
func (p *Platform) cacheItems(ctx context.Context, caches map[models.ID]int64, options Options) ([]DiskItem, error) {
	apps, err := p.Store.AppsByID(ctx, slices.Collect(maps.Keys(caches)))
	if err != nil {
		return nil, err
	}
	gone := DiskItem{Name: "caches of apps that are gone", Note: "go as the build cache shrinks"}
	var items []DiskItem
	for id, bytes := range caches {
		if app, known := apps[id]; known {
			items = append(items, DiskItem{"caches of " + app.Name, bytes, 0, bound(options.AppCacheMB, "app-cache-mb")})
			continue
		}
		gone.Bytes += bytes
	}
	slices.SortFunc(items, largestFirst)
	if gone.Bytes > 0 {
		items = append(items, gone)
	}
	return items, nil
}

// dataItems account for the data directory, by what lies at its top.
func (p *Platform) dataItems() ([]DiskItem, error) {
	entries, err := os.ReadDir(p.Settings.DataDir)
	if err != nil {
		return nil, fmt.Errorf("read the data directory: %w", err)
	}
	notes := map[string]string{"repositories": "shrinks as packs are consolidated; gone with its app", "logs": "64 MB of each app and build"}
	var items []DiskItem
	for _, entry := range entries {
		item := DiskItem{Name: "data: " + entry.Name(), Note: notes[entry.Name()]}
		if item.Bytes, item.Count, err = treeSize(filepath.Join(p.Settings.DataDir, entry.Name())); err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// treeSize adds up the files below root; those that go meanwhile do not count.
func treeSize(root string) (bytes int64, files int, err error) {
	err = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			info, err := entry.Info()
			if err == nil {
				bytes += info.Size()
				files++
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return bytes, files, err
}
