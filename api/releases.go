package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/rollout"
)

func (s *server) releases(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, appPath+"/releases", "list-releases", "List an app's releases", models.AppRead), s.listReleases)
	list := operation(http.MethodGet, appPath+"/releases/{release}/sbom", "get-sbom", "List the packages in a release's image", models.AppRead)
	list.Description = "A CycloneDX document (a software bill of materials). It is made after a deployment, or else when it is first asked for."
	list.Responses = map[string]*huma.Response{"200": {
		Description: "CycloneDX 1.6 in JSON", Content: map[string]*huma.MediaType{sbomType: {Schema: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}},
	}}
	huma.Register(routes, list, s.sbom)
	huma.Register(routes, operation(http.MethodPost, appPath+"/rollback", "rollback", "Go back to a release", models.AppDeploy), s.rollback)
	huma.Register(routes, operation(http.MethodPost, appPath+"/promote", "promote", "Make a release of this app a release of another", models.AppDeploy), s.promote)
	huma.Register(routes, operation(http.MethodGet, appPath+"/env", "get-env", "List an app's environment", models.AppRead), s.getEnv)
	huma.Register(routes, operation(http.MethodPatch, appPath+"/env", "change-env", "Set and unset environment variables", models.AppConfigure), s.changeEnv)
}

func (s *server) listReleases(ctx context.Context, input *struct {
	AppInput
	PageInput
}) (*body[v1.Page[v1.Release]], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	releases, err := s.Platform.Releases(ctx, app, input.page())
	return pageOf(ctx, s, releases, wireRelease, err)
}

// sbomType is the media type that IANA has for CycloneDX in JSON.
const sbomType = "application/vnd.cyclonedx+json"

// plainAnswer is an answer that is sent as it is.
type plainAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *server) sbom(ctx context.Context, input *struct {
	AppInput
	Release string `path:"release" doc:"The release's name, such as v3" maxLength:"20"`
}) (*plainAnswer, error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	number, err := models.ParseReleaseName(input.Release)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	text, err := s.Platform.SBOM(ctx, app, number)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &plainAnswer{ContentType: sbomType, Body: text}, nil
}

func wireRelease(view platform.ReleaseView) v1.Release {
	release, deployment := view.Release, view.Deployment
	state := deployment.State
	if state == "" {
		state = models.DeploymentPending
	}
	return v1.Release{
		Name: release.Name(), Number: release.Number, State: string(state), Live: view.Live, Description: release.Description,
		Commit: release.Commit, Image: release.Image, Processes: release.Processes, Error: deployment.Error,
		CreatedAt: release.CreatedAt,
	}
}

func (s *server) rollback(ctx context.Context, input *struct {
	AppInput
	Body v1.Rollback
}) (*body[v1.Outcome], error) {
	return s.operate(ctx, input.App, models.AppDeploy, func(app models.App, log rollout.Log) (string, error) {
		number, err := releaseNumber(input.Body.Release)
		if err != nil {
			return "", err
		}
		release, err := s.Platform.Rollback(ctx, actor(ctx), app, number, log)
		return release.Name(), err
	})
}

// releaseNumber reads a release's name; "" is 0.
func releaseNumber(name string) (int, error) {
	if name == "" {
		return 0, nil
	}
	return models.ParseReleaseName(name)
}

func (s *server) promote(ctx context.Context, input *struct {
	AppInput
	Body v1.Promotion
}) (*body[v1.Outcome], error) {
	promotion, err := s.promotion(ctx, input.App, input.Body)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	told := &story{}
	release, err := s.Platform.Promote(ctx, actor(ctx), promotion, told)
	return told.answer(ctx, s, release.Name(), err)
}

func (s *server) promotion(ctx context.Context, from string, asked v1.Promotion) (platform.Promotion, error) {
	number, err := releaseNumber(asked.Release)
	if err != nil {
		return platform.Promotion{}, err
	}
	source, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, from)
	if err != nil {
		return platform.Promotion{}, err
	}
	to, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, asked.To)
	return platform.Promotion{From: source, To: to, Number: number}, err
}

func (s *server) getEnv(ctx context.Context, input *struct {
	AppInput
	Reveal bool `query:"reveal" doc:"Show the values; this is audited"`
}) (*body[map[string]string], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	config, err := s.Platform.Config(ctx, actor(ctx), app, input.Reveal)
	return answer(ctx, s, config, err)
}

func (s *server) changeEnv(ctx context.Context, input *struct {
	AppInput
	Body v1.EnvChange
}) (*body[v1.Outcome], error) {
	return s.operate(ctx, input.App, models.AppConfigure, func(app models.App, log rollout.Log) (string, error) {
		release, err := s.Platform.ChangeConfig(ctx, actor(ctx), app, platform.ConfigChange(input.Body), log)
		if release == nil {
			return "", err
		}
		return release.Name(), err
	})
}
