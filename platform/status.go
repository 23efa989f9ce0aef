package platform

import (
	"context"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// AppStatus is what an App does, as its agents observe it.
type AppStatus struct {
	App          models.App
	Organisation string // its name
	Plan         string // its name; empty when it has none
	State        string // pending, building, running, degraded, stopped, failed, suspended
	URL          string
	Release      *models.Release
	Formation    models.Formation
	Instances    []InstanceStatus
}

// Status derives what the App does now.
func (p *Platform) Status(ctx context.Context, app models.App) (AppStatus, error) {
	statuses, err := p.Statuses(ctx, []models.App{app})
	if err != nil {
		return AppStatus{}, err
	}
	return statuses[0], nil
}

// Statuses derives what the Apps do now, in their order. What it costs grows
// with the Apps asked for, not with those that there are.
func (p *Platform) Statuses(ctx context.Context, apps []models.App) ([]AppStatus, error) {
	around, err := p.surroundings(ctx, apps)
	if err != nil {
		return nil, err
	}
	statuses := make([]AppStatus, 0, len(apps))
	for _, app := range apps {
		statuses = append(statuses, p.status(app, around))
	}
	return statuses, nil
}

// surroundings are the rows that the status of some Apps is told by.
type surroundings struct {
	instances     map[models.ID][]models.Instance // by App
	releases      map[models.ID]models.Release
	nodes         map[models.ID]string
	organisations map[models.ID]models.Organisation
	plans         map[models.ID]models.Plan
}

func (p *Platform) surroundings(ctx context.Context, apps []models.App) (surroundings, error) {
	around := surroundings{instances: map[models.ID][]models.Instance{}, nodes: map[models.ID]string{}}
	var ids, releases, organisations, plans []models.ID
	for _, app := range apps {
		ids = append(ids, app.ID)
		organisations = append(organisations, app.OrganisationID)
		if app.PlanID != nil {
			plans = append(plans, *app.PlanID)
		}
		if app.LiveReleaseID != nil {
			releases = append(releases, *app.LiveReleaseID)
		}
	}
	instances, err := p.Store.InstancesOf(ctx, ids)
	if err != nil {
		return around, err
	}
	for _, instance := range instances {
		around.instances[instance.AppID] = append(around.instances[instance.AppID], instance)
		releases = append(releases, instance.ReleaseID)
	}
	if around.releases, err = p.Store.ReleasesByID(ctx, releases); err != nil {
		return around, err
	}
	if around.organisations, err = p.Store.OrganisationsByID(ctx, organisations); err != nil {
		return around, err
	}
	if around.plans, err = p.Store.PlansByID(ctx, plans); err != nil || len(instances) == 0 {
		return around, err
	}
	nodes, err := p.Store.Nodes(ctx)
	for _, node := range nodes {
		around.nodes[node.ID] = node.Name
	}
	return around, err
}

func (p *Platform) status(app models.App, around surroundings) AppStatus {
	status := AppStatus{App: app, URL: p.Settings.URL(app.Name), Organisation: around.organisations[app.OrganisationID].Name}
	if app.PlanID != nil {
		status.Plan = around.plans[*app.PlanID].Name
	}
	if app.LiveReleaseID != nil {
		release := around.releases[*app.LiveReleaseID]
		status.Release, status.Formation = &release, formation(app, release)
	}
	observed := map[string]protocol.InstanceStatus{}
	for _, seen := range p.Fleet.Instances(app.ID) {
		observed[seen.ID] = seen
	}
	var serving []InstanceStatus
	status.Instances = make([]InstanceStatus, 0, len(around.instances[app.ID]))
	for _, instance := range around.instances[app.ID] {
		joined := InstanceStatus{
			ID: instance.ID, Process: instance.Process, Ordinal: instance.Ordinal, Node: around.nodes[instance.NodeID],
			Release: around.releases[instance.ReleaseID].Number, State: models.InstanceAssigned, Since: instance.CreatedAt,
		}
		if seen, known := observed[instance.ID.String()]; known {
			joined.State, joined.Since = models.InstanceState(seen.State), seen.Since
			joined.Restarts, joined.Reason = seen.Restarts, narrative.Clean(seen.Reason)
		}
		status.Instances = append(status.Instances, joined)
		if !instance.OneOff() { // those say nothing of how the App does
			serving = append(serving, joined)
		}
	}
	status.State = p.state(app, serving)
	return status
}

func (p *Platform) state(app models.App, instances []InstanceStatus) string {
	healthy := 0
	for _, instance := range instances {
		if instance.State == models.InstanceHealthy {
			healthy++
		}
	}
	switch {
	case p.lanes.find(app.ID, func(models.ID) bool { return true }) != nil:
		return "building"
	case app.Suspended:
		return "suspended"
	case app.LiveReleaseID == nil:
		return "pending"
	case app.Stopped:
		return "stopped"
	case healthy == len(instances):
		return "running"
	case healthy > 0:
		return "degraded"
	default:
		return "failed"
	}
}
