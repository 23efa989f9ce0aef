package platform

import (
	"cmp"
	"context"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

const (
	healthDeadline = 60 * time.Second
	workerSettle   = time.Second
	stopGrace      = 10 * time.Second
	drainLimit     = 20 * time.Second
)

// Assignment implements fleet.Assignments: what the Node is to run and route, at
// one moment: pieced together while a rollout switches, it would route to nothing.
func (p *Platform) Assignment(ctx context.Context, id models.ID) (protocol.Assignment, error) {
	var assignment protocol.Assignment
	err := p.Store.Snapshot(ctx, func(tx transaction) error {
		var err error
		assignment, err = p.assignment(ctx, tx, id)
		return err
	})
	return assignment, err
}

func (p *Platform) assignment(ctx context.Context, tx transaction, id models.ID) (protocol.Assignment, error) {
	node, err := tx.Node(ctx, id)
	if err != nil {
		return protocol.Assignment{}, err
	}
	apps, err := tx.AllApps(ctx)
	if err != nil {
		return protocol.Assignment{}, err
	}
	instances, err := tx.InstancesOnNode(ctx, id)
	if err != nil {
		return protocol.Assignment{}, err
	}
	assignment := protocol.Assignment{Generation: node.Generation}
	byID := make(map[models.ID]models.App, len(apps))
	for _, app := range apps {
		byID[app.ID] = app
	}
	if assignment.Instances, err = p.assign(ctx, tx, byID, instances); err != nil {
		return protocol.Assignment{}, err
	}
	if assignment.Routes, err = p.routes(ctx, tx, id, apps); err != nil {
		return protocol.Assignment{}, err
	}
	assignment.Peers, err = peers(ctx, tx, id)
	return assignment, err
}

// routes lead to every live App, from each Node: to the Instances that it has
// itself, and to those on others.
func (p *Platform) routes(ctx context.Context, tx transaction, node models.ID, apps []models.App) ([]protocol.Route, error) {
	hosts, err := hosts(ctx, tx)
	if err != nil {
		return nil, err
	}
	web, err := tx.ProcessInstances(ctx, models.WebProcess)
	if err != nil {
		return nil, err
	}
	byApp := map[models.ID][]models.Instance{}
	for _, instance := range web {
		byApp[instance.AppID] = append(byApp[instance.AppID], instance)
	}
	var routes []protocol.Route
	for _, app := range apps {
		if app.LiveReleaseID != nil {
			route := p.route(app, node, byApp[app.ID])
			route.Hosts = append(route.Hosts, hosts[app.ID]...)
			routes = append(routes, route)
		}
	}
	return routes, nil
}

// peers are the other Nodes that take requests.
func peers(ctx context.Context, tx transaction, node models.ID) ([]protocol.Peer, error) {
	reached, err := tx.ReachedNodes(ctx)
	var peers []protocol.Peer
	for _, other := range reached {
		if other.ID != node {
			peers = append(peers, protocol.Peer{Node: other.ID.String(), Address: other.PeerAddress})
		}
	}
	return peers, err
}

// hosts are the proved domains, by App.
func hosts(ctx context.Context, tx transaction) (map[models.ID][]string, error) {
	domains, err := tx.VerifiedDomains(ctx)
	hosts := map[models.ID][]string{}
	for _, domain := range domains {
		hosts[domain.AppID] = append(hosts[domain.AppID], domain.Host)
	}
	return hosts, err
}

// assign describes the instances, each with its Release's Config.
func (p *Platform) assign(ctx context.Context, tx transaction, apps map[models.ID]models.App, instances []models.Instance) ([]protocol.Instance, error) {
	ids := make([]models.ID, 0, len(instances))
	for _, instance := range instances {
		ids = append(ids, instance.ReleaseID)
	}
	releases, err := tx.ReleasesByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	configs := map[models.ID]map[string]string{}
	for id, release := range releases {
		if configs[id], err = p.configOf(release); err != nil {
			return nil, err
		}
	}
	plans, err := plansOf(ctx, tx, instances)
	if err != nil {
		return nil, err
	}
	assigned := make([]protocol.Instance, 0, len(instances))
	for _, instance := range instances {
		described := describe(apps[instance.AppID], releases[instance.ReleaseID], instance, configs[instance.ReleaseID])
		described.Limits = limits(instance, plans)
		assigned = append(assigned, described)
	}
	return assigned, nil
}

// plansOf returns the plans that the Instances started with.
func plansOf(ctx context.Context, tx transaction, instances []models.Instance) (map[models.ID]models.Plan, error) {
	var ids []models.ID
	for _, instance := range instances {
		if instance.PlanID != nil {
			ids = append(ids, *instance.PlanID)
		}
	}
	return tx.PlansByID(ctx, ids)
}

// limits are those of the plan that the Instance started with.
func limits(instance models.Instance, plans map[models.ID]models.Plan) protocol.Limits {
	const nanosPerMilli = 1_000_000
	if instance.PlanID != nil {
		if plan, known := plans[*instance.PlanID]; known {
			return protocol.Limits{MemoryBytes: plan.MemoryBytes, NanoCPUs: plan.CPUMillis * nanosPerMilli, Pids: plan.Pids}
		}
	}
	return protocol.Limits{
		MemoryBytes: models.PlanlessMemoryBytes, NanoCPUs: models.PlanlessCPUMillis * nanosPerMilli, Pids: models.PlanlessPids,
	}
}

func describe(app models.App, release models.Release, instance models.Instance, config map[string]string) protocol.Instance {
	described := protocol.Instance{
		ID: instance.ID.String(), AppID: app.ID.String(), App: app.Name,
		ReleaseID: release.ID.String(), Release: release.Number,
		Process: instance.Process, Ordinal: instance.Ordinal,
		Image: release.Image, Source: source(release), Command: release.Processes[instance.Process], Env: config,
		Health:    protocol.Health{Deadline: healthDeadline, Settle: workerSettle},
		StopGrace: stopGrace, DrainLimit: drainLimit,
		WritableRoot: app.WritableRoot, RootUser: app.RootUser,
	}
	switch {
	case instance.OneOff():
		described.Once, described.OneOff, described.Command = true, true, instance.Command
		described.Attended, described.TTY = instance.Attended, instance.TTY
	case instance.Once:
		described.Once, described.Command = true, release.Scripts[instance.Process]
	case instance.Process == models.WebProcess:
		described.Port, described.Health.Path = release.Port, cmp.Or(app.HealthPath, release.HealthPath)
	}
	return described
}

// route leads the App's host to the web Instances of its live Release, as a Node
// sees them.
func (p *Platform) route(app models.App, node models.ID, instances []models.Instance) protocol.Route {
	route := protocol.Route{
		AppID: app.ID.String(), App: app.Name, Hosts: []string{p.Settings.Host(app.Name)}, Stopped: app.Stopped || app.Suspended,
	}
	for _, instance := range instances {
		switch {
		case !serves(app, instance):
		case instance.NodeID == node:
			route.Targets = append(route.Targets, instance.ID.String())
		default:
			route.Remotes = append(route.Remotes, protocol.Remote{Instance: instance.ID.String(), Node: instance.NodeID.String()})
		}
	}
	return route
}

// serves reports whether the App's route leads to the Instance, once it is healthy.
func serves(app models.App, instance models.Instance) bool {
	live := app.LiveReleaseID != nil && instance.ReleaseID == *app.LiveReleaseID
	return live && instance.Process == models.WebProcess && !instance.Once
}
