package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// PreviewInput is a request about one preview.
type PreviewInput struct {
	AppInput
	Number int `path:"number" minimum:"1" doc:"The pull request's number"`
}

func (s *server) previews(routes huma.API) {
	const path = appPath + "/previews"
	huma.Register(routes, operation(http.MethodGet, path, "list-previews", "List the previews of an app's pull requests", models.AppRead), s.listPreviews)
	huma.Register(routes, operation(http.MethodPost, path+"/{number}/approve", "approve-preview", "Let a fork's commit be built", models.AppDeploy), s.approvePreview)
	huma.Register(routes, operation(http.MethodDelete, path+"/{number}", "close-preview", "End a preview", models.AppDeploy), s.closePreview)
}

func wirePreview(view platform.PreviewView) v1.Preview {
	return v1.Preview{
		Number: view.Number, Title: view.Title, Author: view.Author, Fork: view.Fork, State: string(view.State), Reason: view.Reason,
		Commit: view.Head, Approved: view.Approved, App: view.App, URL: view.URL, ExpiresAt: view.ExpiresAt, CreatedAt: view.CreatedAt,
	}
}

func (s *server) listPreviews(ctx context.Context, input *AppInput) (*body[[]v1.Preview], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	views, err := s.Platform.Previews(ctx, app)
	return answer(ctx, s, each(views, wirePreview), err)
}

func (s *server) approvePreview(ctx context.Context, input *struct {
	PreviewInput
	Body v1.PreviewApproval
}) (*body[v1.Preview], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.ApprovePreview(ctx, actor(ctx), app, platform.Approval{
		Number: input.Number, Commit: input.Body.Commit, Config: input.Body.Config,
	})
	return answer(ctx, s, wirePreview(view), err)
}

func (s *server) closePreview(ctx context.Context, input *PreviewInput) (*struct{}, error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return s.done(ctx, s.Platform.ClosePreview(ctx, actor(ctx), app, input.Number))
}
