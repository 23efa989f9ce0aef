package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
)

// BuildInput is a request about one Build.
type BuildInput struct {
	AppInput
	Number int `path:"number" minimum:"0" doc:"The build's number; 0 is the newest"`
}

func (s *server) builds(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, appPath+"/builds", "list-builds", "List an app's builds", models.AppRead), s.listBuilds)
	huma.Register(routes, operation(http.MethodGet, appPath+"/builds/{number}", "get-build", "Show a build", models.AppRead), s.getBuild)
	huma.Register(routes, operation(http.MethodGet, appPath+"/builds/{number}/why", "explain-build", "Explain what a build did, and why", models.AppRead), s.explainBuild)
	deploy := operation(http.MethodPost, appPath+"/deploy", "deploy-app", "Build and roll out a commit that was pushed already, or take a prebuilt image", models.AppDeploy)
	deploy.DefaultStatus = http.StatusAccepted
	huma.Register(routes, deploy, s.deploy)
	huma.Register(routes, operation(http.MethodPost, appPath+"/builds/{number}/cancel", "cancel-build", "Cancel a build", models.AppDeploy), s.cancelBuild)
}

func (s *server) listBuilds(ctx context.Context, input *struct {
	AppInput
	PageInput
	State string `query:"state" enum:"queued,running,succeeded,failed,cancelled" doc:"Only those in this state"`
}) (*body[v1.Page[v1.Build]], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	builds, err := s.Platform.Builds(ctx, app, models.BuildState(input.State), input.page())
	return pageOf(ctx, s, builds, wireBuild, err)
}

func (s *server) getBuild(ctx context.Context, input *BuildInput) (*body[v1.Build], error) {
	build, err := s.build(ctx, input)
	wire := wireBuild(build)
	wire.Dockerfile = build.Dockerfile
	return answer(ctx, s, wire, err)
}

func (s *server) cancelBuild(ctx context.Context, input *BuildInput) (*body[v1.Build], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	build, err := s.Platform.CancelBuild(ctx, actor(ctx), app, input.Number)
	return answer(ctx, s, wireBuild(build), err)
}

func (s *server) deploy(ctx context.Context, input *struct {
	AppInput
	Body v1.Deploy
}) (*body[v1.Build], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	if input.Body.Image != "" {
		build, err := s.Platform.DeployImage(ctx, actor(ctx), app, input.Body.Image)
		return answer(ctx, s, wireBuild(build), err)
	}
	build, err := s.Platform.Deploy(ctx, actor(ctx), app, input.Body.Ref)
	return answer(ctx, s, wireBuild(build), err)
}

func (s *server) explainBuild(ctx context.Context, input *BuildInput) (*body[v1.BuildExplanation], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	why, err := s.Platform.Explain(ctx, app, input.Number)
	return answer(ctx, s, v1.BuildExplanation{
		Build: wireBuild(why.Build), Former: why.Former, Reasons: listed(why.Reasons),
		Steps: each(why.Build.Steps, func(step models.BuildStep) v1.BuildStep { return v1.BuildStep(step) }),
	}, err)
}

func (s *server) build(ctx context.Context, input *BuildInput) (models.Build, error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return models.Build{}, err
	}
	return s.Platform.BuildNumber(ctx, app, input.Number)
}

func wireBuild(build models.Build) v1.Build {
	return v1.Build{
		Number: build.Number, State: string(build.State), Commit: build.Commit, Subject: build.Subject,
		Runtime: build.Runtime, Image: build.Image, Builder: build.Builder, Error: build.Error,
		CreatedAt: build.CreatedAt, StartedAt: build.StartedAt, FinishedAt: build.FinishedAt,
	}
}
