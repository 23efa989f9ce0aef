package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

const appPath = customerPrefix + "/applications/{app}"

// AppInput is a request about one App. It is exported because huma reads only
// exported embedded fields.
type AppInput struct {
	App string `path:"app" doc:"The app's name" maxLength:"40"`
}

func (s *server) apps(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, customerPrefix+"/applications", "list-apps", "List apps", models.AppRead), s.listApps)
	huma.Register(routes, creating(customerPrefix+"/applications", "create-app", "Create an app", models.AppCreate), s.createApp)
	huma.Register(routes, operation(http.MethodGet, appPath, "get-app", "Show an app", models.AppRead), s.getApp)
	huma.Register(routes, operation(http.MethodPatch, appPath, "change-app", "Change an app's settings", models.AppConfigure), s.changeApp)
	huma.Register(routes, operation(http.MethodDelete, appPath, "destroy-app", "Destroy an app with all it has", models.AppDestroy), s.destroyApp)
	huma.Register(routes, operation(http.MethodGet, appPath+"/instances", "list-instances", "List what an app runs", models.AppRead), s.listInstances)
}

func (s *server) listApps(ctx context.Context, input *struct {
	PageInput
	Organisation string `query:"organisation" maxLength:"40" doc:"Only those of this organisation"`
	Search       string `query:"search" maxLength:"100" doc:"Only those whose name has this in it"`
}) (*body[v1.Page[v1.App]], error) {
	apps, err := s.Platform.Apps(ctx, actor(ctx), platform.AppsAsked{Organisation: input.Organisation, Search: input.Search}, input.page())
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	statuses, err := s.Platform.Statuses(ctx, apps.Items)
	return pageOf(ctx, s, models.Page[platform.AppStatus]{Items: statuses, Next: apps.Next}, s.wireApp, err)
}

func (s *server) createApp(ctx context.Context, input *body[v1.NewApp]) (*tagged[v1.App], error) {
	app, err := s.Platform.CreateApp(ctx, actor(ctx), platform.NewApp(input.Body))
	return s.appAnswer(ctx, app, err)
}

func (s *server) getApp(ctx context.Context, input *AppInput) (*tagged[v1.App], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	return s.appAnswer(ctx, app, err)
}

func (s *server) changeApp(ctx context.Context, input *struct {
	AppInput
	IfMatchInput
	Body v1.AppChange
}) (*tagged[v1.App], error) {
	app, err := s.Platform.ChangeApp(ctx, actor(ctx), input.App, input.revision(), appSettings(input.Body))
	return s.appAnswer(ctx, app, err)
}

func appSettings(change v1.AppChange) platform.AppSettings {
	return platform.AppSettings{
		DeployBranch: change.DeployBranch, HealthPath: change.HealthPath, WritableRoot: change.WritableRoot, RootUser: change.RootUser,
		BuildSettings: platform.BuildSettings(change.BuildSettingsChange),
	}
}

// listed is a list that JSON has as one, also when it is empty.
func listed(names []string) []string { return append([]string{}, names...) }

func (s *server) destroyApp(ctx context.Context, input *struct {
	AppInput
	Confirm string `query:"confirm" maxLength:"40" doc:"Repeats the app's name"`
}) (*struct{}, error) {
	return s.done(ctx, s.Platform.DestroyApp(ctx, actor(ctx), input.App, input.Confirm))
}

func (s *server) listInstances(ctx context.Context, input *AppInput) (*body[[]v1.Instance], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	status, err := s.Platform.Status(ctx, app)
	return answer(ctx, s, each(status.Instances, wireInstance), err)
}

// appAnswer adds to an App what is observed of it.
func (s *server) appAnswer(ctx context.Context, app models.App, err error) (*tagged[v1.App], error) {
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	status, err := s.Platform.Status(ctx, app)
	return revised(ctx, s, s.wireApp(status), app.Revision(), err)
}

func (s *server) wireApp(status platform.AppStatus) v1.App {
	app := status.App
	wire := v1.App{
		ID: app.ID.String(), Name: app.Name, Organisation: status.Organisation, Plan: status.Plan, Region: app.Region, State: status.State, URL: status.URL, GitURL: s.GitURL(app.Name),
		DeployBranch: app.DeployBranch, Formation: map[string]int{}, HealthPath: app.HealthPath,
		WritableRoot: app.WritableRoot, RootUser: app.RootUser, CreatedAt: app.CreatedAt,
		BuildSettings: v1.BuildSettings{
			Buildpack: app.Buildpack, RootDir: app.RootDir, BuildCommand: app.BuildCommand, StartCommand: app.StartCommand,
			Dockerfile: app.Dockerfile, DockerTarget: app.DockerTarget,
			BuildVariables: listed(app.BuildVariables), BuildArguments: listed(app.BuildArguments),
		},
	}
	for process, count := range status.Formation {
		wire.Formation[process] = count
	}
	if status.Release != nil {
		wire.Release, wire.Commit = status.Release.Name(), status.Release.Commit
	}
	return wire
}

func wireInstance(instance platform.InstanceStatus) v1.Instance {
	return v1.Instance{
		ID: instance.ID.String(), Process: instance.Process, Ordinal: instance.Ordinal, Release: instance.Release,
		State: string(instance.State), Since: instance.Since, Restarts: instance.Restarts, Reason: instance.Reason,
		Node: instance.Node,
	}
}
