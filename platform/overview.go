package platform

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// Region is where nodes are, with what they may promise and have promised.
type Region struct {
	Name           string
	Nodes          int // that take new Instances now
	CPUMillis      int64
	MemoryBytes    int64
	ReservedMillis int64
	ReservedBytes  int64
}

// Full reports whether the region has nothing left of what plans promise.
func (r Region) Full() bool {
	return r.Nodes == 0 || r.ReservedMillis >= r.CPUMillis || r.ReservedBytes >= r.MemoryBytes
}

// Regions lists the regions by name.
func (p *Platform) Regions(ctx context.Context, actor models.Actor) ([]Region, error) {
	if err := permitAccount(actor, models.AccountRead); err != nil {
		return nil, err
	}
	return p.regions(ctx)
}

func (p *Platform) regions(ctx context.Context) ([]Region, error) {
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	reserved, err := p.Store.Reserved(ctx)
	if err != nil {
		return nil, err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]*Region{}
	for _, node := range nodes {
		region := byName[node.Region]
		if region == nil {
			region = &Region{Name: node.Region}
			byName[node.Region] = region
		}
		promised := reserved[node.ID]
		region.ReservedMillis += promised.CPUMillis
		region.ReservedBytes += promised.MemoryBytes
		if node.State == models.NodeOnline && !node.Cordoned {
			region.Nodes++
			capacity := options.policy().Capacity(node.CPUs, node.MemoryBytes)
			region.CPUMillis += capacity.CPUMillis
			region.MemoryBytes += capacity.MemoryBytes
		}
	}
	regions := make([]Region, 0, len(byName))
	for _, region := range byName {
		regions = append(regions, *region)
	}
	slices.SortFunc(regions, func(a, b Region) int { return strings.Compare(a.Name, b.Name) })
	return regions, nil
}

// checkRegion refuses a region that has no node.
func (p *Platform) checkRegion(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	regions, err := p.regions(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, region := range regions {
		if region.Name == name {
			return nil
		}
		names = append(names, region.Name)
	}
	return models.Errorf(models.Invalid, "there is no region %q", name).WithField("region").
		WithRemedy("use one of %s, or leave it out", strings.Join(names, ", "))
}

// Capacity is what the nodes have, region by region, for an admin.
func (p *Platform) Capacity(ctx context.Context, actor models.Actor) ([]Region, error) {
	if err := permitPlatform(actor); err != nil {
		return nil, err
	}
	return p.regions(ctx)
}

// Stats counts what there is.
type Stats = store.Counts

// Stats counts what there is on the platform, for an admin.
func (p *Platform) Stats(ctx context.Context, actor models.Actor) (Stats, error) {
	if err := permitPlatform(actor); err != nil {
		return Stats{}, err
	}
	return p.Store.Counts(ctx, now().Add(-24*time.Hour))
}

// EventsAsked narrows a list of audit Events.
type EventsAsked struct {
	Organisation string
	App          string
	Actor        string
	Kind         string
	Search       string
	Since, Until *time.Time
}

// Events lists the platform's audit Events, newest first, for an admin.
func (p *Platform) Events(ctx context.Context, actor models.Actor, asked EventsAsked, page models.PageRequest) (models.Page[models.Event], error) {
	if err := permitPlatform(actor); err != nil {
		return models.Page[models.Event]{}, err
	}
	filter, err := p.eventFilter(ctx, actor, asked)
	if err != nil {
		return models.Page[models.Event]{}, err
	}
	return p.Store.Events(ctx, filter, page)
}

// Activity lists an Organisation's audit Events, newest first.
func (p *Platform) Activity(ctx context.Context, actor models.Actor, asked EventsAsked, page models.PageRequest) (models.Page[models.Event], error) {
	filter, err := p.activityFilter(ctx, actor, asked)
	if err != nil {
		return models.Page[models.Event]{}, err
	}
	return p.Store.Events(ctx, filter, page)
}

func (p *Platform) activityFilter(ctx context.Context, actor models.Actor, asked EventsAsked) (store.EventFilter, error) {
	if _, err := p.Organisation(ctx, actor, models.OrgRead, asked.Organisation); err != nil {
		return store.EventFilter{}, err
	}
	return p.eventFilter(ctx, actor, asked)
}

func (p *Platform) eventFilter(ctx context.Context, actor models.Actor, asked EventsAsked) (store.EventFilter, error) {
	filter := store.EventFilter{Actor: asked.Actor, Kind: asked.Kind, Search: asked.Search, Since: asked.Since, Until: asked.Until}
	if asked.Organisation != "" {
		organisation, err := p.Organisation(ctx, actor, models.OrgRead, asked.Organisation)
		if err != nil {
			return filter, err
		}
		filter.Organisation = &organisation.ID
	}
	if asked.App != "" {
		app, err := p.App(ctx, actor, models.AppRead, asked.App)
		if err != nil {
			return filter, err
		}
		filter.App = &app.ID
	}
	return filter, nil
}
