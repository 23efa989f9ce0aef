package platform

import (
	"context"
	"fmt"
	"strings"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// CreateApp makes an App of this name for actor, with its repository.
func (p *Platform) CreateApp(ctx context.Context, actor models.Actor, name string) (models.App, error) {
	if err := models.CheckAppName(name); err != nil {
		return models.App{}, err
	}
	app := models.App{
		ID: models.NewID(), Name: name, OwnerID: actor.UserID, DeployBranch: "main",
		Formation: models.Formation{}, CreatedAt: now(), UpdatedAt: now(),
	}
	if err := p.Repositories.Create(ctx, app.ID); err != nil {
		return models.App{}, fmt.Errorf("create repository: %w", err)
	}
	err := p.Store.CreateApp(ctx, &app)
	if models.IsCode(err, models.Conflict) {
		err = models.Errorf(models.Conflict, "the app name %q is taken", name).WithField("name").WithRemedy("choose another")
	}
	if err != nil {
		if undo := p.Repositories.Remove(context.WithoutCancel(ctx), app.ID); undo != nil {
			p.Log.Error("remove unused repository", "app", name, "error", undo)
		}
		return models.App{}, err
	}
	p.record(ctx, actor, &app, "app.create", name)
	return app, nil
}

// App returns the named App when actor may see it; otherwise it is NotFound, as
// an App that does not exist.
func (p *Platform) App(ctx context.Context, actor models.Actor, name string) (models.App, error) {
	missing := models.Errorf(models.NotFound, "there is no app %q", narrative.Clean(name)).WithField("app").
		WithRemedy("`sky apps list` shows yours; `sky apps create NAME` makes one")
	if models.CheckAppName(name) != nil {
		return models.App{}, missing
	}
	app, err := p.Store.AppByName(ctx, name)
	if models.IsCode(err, models.NotFound) || (err == nil && app.OwnerID != actor.UserID && !actor.Admin) {
		return models.App{}, missing
	}
	return app, err
}

// Apps lists the Apps that actor may see.
func (p *Platform) Apps(ctx context.Context, actor models.Actor) ([]models.App, error) {
	if actor.Admin {
		return p.Store.Apps(ctx, nil)
	}
	return p.Store.Apps(ctx, &actor.UserID)
}

// AppSettings are the settings to change; nil leaves one as it is.
type AppSettings struct {
	DeployBranch *string
	HealthPath   *string
	Buildpack    *string
	WritableRoot *bool
	RootUser     *bool
}

// ChangeApp changes an App's settings. They apply to the next release.
func (p *Platform) ChangeApp(ctx context.Context, actor models.Actor, name string, change AppSettings) (models.App, error) {
	app, err := p.App(ctx, actor, name)
	if err != nil {
		return models.App{}, err
	}
	app, err = p.Store.UpdateApp(ctx, app.ID, func(app *models.App) error { return change.apply(app) })
	if err != nil {
		return models.App{}, err
	}
	p.record(ctx, actor, &app, "app.change", "")
	return app, nil
}

func (s AppSettings) apply(app *models.App) error {
	app.UpdatedAt = now()
	if s.DeployBranch != nil {
		if err := models.CheckBranch(*s.DeployBranch); err != nil {
			return err
		}
		app.DeployBranch = *s.DeployBranch
	}
	if s.HealthPath != nil {
		if *s.HealthPath != "" && (!strings.HasPrefix(*s.HealthPath, "/") || strings.ContainsAny(*s.HealthPath, " \r\n")) {
			return models.Errorf(models.Invalid, "%q is not a path", *s.HealthPath).WithField("health_path").
				WithRemedy("begin it with a slash, such as /healthz; an empty one probes the port")
		}
		app.HealthPath = *s.HealthPath
	}
	if s.Buildpack != nil {
		if err := buildpipeline.CheckBuildpack(*s.Buildpack); err != nil {
			return err
		}
		app.Buildpack = *s.Buildpack
	}
	if s.WritableRoot != nil {
		app.WritableRoot = *s.WritableRoot
	}
	if s.RootUser != nil {
		app.RootUser = *s.RootUser
	}
	return nil
}

// DestroyApp stops the App and removes all that is its own: instances, images,
// repository, config and logs. confirm must repeat its name.
func (p *Platform) DestroyApp(ctx context.Context, actor models.Actor, name, confirm string) error {
	app, err := p.App(ctx, actor, name)
	if err != nil {
		return err
	}
	if confirm != name {
		return models.Errorf(models.Invalid, "the app is destroyed only when its name is repeated").WithField("confirm").
			WithRemedy("pass --confirm %s; this cannot be undone", name)
	}
	builds, err := p.Store.Builds(ctx, app.ID, 1<<30)
	if err != nil {
		return err
	}
	for _, build := range builds {
		if w := p.lanes.find(app.ID, func(id models.ID) bool { return id == build.ID }); w != nil {
			p.cancelWork(build, w)
		}
	}
	return p.lanes.do(ctx, app.ID, func(ctx context.Context) error { return p.destroy(ctx, actor, app) })
}

func (p *Platform) destroy(ctx context.Context, actor models.Actor, app models.App) error {
	builds, err := p.Store.Builds(ctx, app.ID, 1<<30)
	if err != nil {
		return err
	}
	if err := p.dropInstances(ctx, app); err != nil {
		return err
	}
	if err := p.Store.DeleteApp(ctx, app.ID); err != nil {
		return err
	}
	p.refreshAll(ctx)
	p.record(ctx, actor, &app, "app.destroy", app.Name)
	// From here on the app is gone for its owner; what is left is housekeeping.
	for _, build := range builds {
		p.warn("remove build log", app, p.Logs.Remove(buildStream(build.ID)))
	}
	p.warn("remove log", app, p.Logs.Remove(appStream(app.ID)))
	p.warn("remove repository", app, p.Repositories.Remove(ctx, app.ID))
	p.warn("remove images", app, p.Builder.RemoveImages(ctx, app))
	return nil
}

func (p *Platform) warn(step string, app models.App, err error) {
	if err != nil {
		p.Log.Warn(step, "app", app.Name, "error", err)
	}
}

// AppStatus is what an App does, as its agents observe it.
type AppStatus struct {
	App       models.App
	State     string // pending, building, running, degraded, stopped, failed
	URL       string
	Release   *models.Release
	Formation models.Formation
	Instances []InstanceStatus
}

// Status derives what the App does now.
func (p *Platform) Status(ctx context.Context, app models.App) (AppStatus, error) {
	status := AppStatus{App: app, URL: p.Settings.URL(app.Name)}
	if app.LiveReleaseID != nil {
		release, err := p.Store.Release(ctx, *app.LiveReleaseID)
		if err != nil {
			return AppStatus{}, err
		}
		status.Release, status.Formation = &release, formation(app, release)
	}
	instances, err := p.instances(ctx, app)
	if err != nil {
		return AppStatus{}, err
	}
	status.Instances = instances
	status.State = p.state(app, instances)
	return status, nil
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
