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
	huma.Register(routes, operation(http.MethodGet, customerPrefix+"/applications", "list-apps", "List apps"), s.listApps)
	create := operation(http.MethodPost, customerPrefix+"/applications", "create-app", "Create an app")
	create.DefaultStatus = http.StatusCreated
	huma.Register(routes, create, s.createApp)
	huma.Register(routes, operation(http.MethodGet, appPath, "get-app", "Show an app"), s.getApp)
	huma.Register(routes, operation(http.MethodPatch, appPath, "change-app", "Change an app's settings"), s.changeApp)
	huma.Register(routes, operation(http.MethodDelete, appPath, "destroy-app", "Destroy an app with all it has"), s.destroyApp)
	huma.Register(routes, operation(http.MethodGet, appPath+"/instances", "list-instances", "List what an app runs"), s.listInstances)
}

func (s *server) listApps(ctx context.Context, _ *struct{}) (*body[[]v1.App], error) {
	apps, err := s.Platform.Apps(ctx, actor(ctx))
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	wire := make([]v1.App, 0, len(apps))
	for _, app := range apps {
		status, err := s.Platform.Status(ctx, app)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		wire = append(wire, s.wireApp(status))
	}
	return &body[[]v1.App]{wire}, nil
}

func (s *server) createApp(ctx context.Context, input *body[v1.NewApp]) (*body[v1.App], error) {
	app, err := s.Platform.CreateApp(ctx, actor(ctx), input.Body.Name)
	return s.appAnswer(ctx, app, err)
}

func (s *server) getApp(ctx context.Context, input *AppInput) (*body[v1.App], error) {
	app, err := s.Platform.App(ctx, actor(ctx), input.App)
	return s.appAnswer(ctx, app, err)
}

func (s *server) changeApp(ctx context.Context, input *struct {
	AppInput
	Body v1.AppChange
}) (*body[v1.App], error) {
	app, err := s.Platform.ChangeApp(ctx, actor(ctx), input.App, platform.AppSettings(input.Body))
	return s.appAnswer(ctx, app, err)
}

func (s *server) destroyApp(ctx context.Context, input *struct {
	AppInput
	Confirm string `query:"confirm" doc:"Repeats the app's name"`
}) (*struct{}, error) {
	if err := s.Platform.DestroyApp(ctx, actor(ctx), input.App, input.Confirm); err != nil {
		return nil, s.problem(ctx, err)
	}
	return nil, nil
}

func (s *server) listInstances(ctx context.Context, input *AppInput) (*body[[]v1.Instance], error) {
	app, err := s.Platform.App(ctx, actor(ctx), input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	status, err := s.Platform.Status(ctx, app)
	return answer(ctx, s, each(status.Instances, wireInstance), err)
}

// appAnswer adds to an App what is observed of it.
func (s *server) appAnswer(ctx context.Context, app models.App, err error) (*body[v1.App], error) {
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	status, err := s.Platform.Status(ctx, app)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &body[v1.App]{s.wireApp(status)}, nil
}

func (s *server) wireApp(status platform.AppStatus) v1.App {
	app := status.App
	wire := v1.App{
		ID: app.ID.String(), Name: app.Name, State: status.State, URL: status.URL, GitURL: s.GitURL(app.Name),
		DeployBranch: app.DeployBranch, Formation: map[string]int{}, HealthPath: app.HealthPath,
		Buildpack: app.Buildpack, WritableRoot: app.WritableRoot, RootUser: app.RootUser, CreatedAt: app.CreatedAt,
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
