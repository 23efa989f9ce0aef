package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

func (s *server) gitHubLinks(routes huma.API) {
	const path = appPath + "/github"
	huma.Register(routes, creating(path, "link-github", "Link an app with a repository at GitHub", models.AppConfigure), s.linkGitHub)
	huma.Register(routes, operation(http.MethodGet, path, "get-github-link", "Show an app's link with GitHub", models.AppRead), s.getGitHubLink)
	huma.Register(routes, operation(http.MethodPatch, path, "change-github-link", "Change an app's link with GitHub", models.AppConfigure), s.changeGitHubLink)
	huma.Register(routes, operation(http.MethodDelete, path, "unlink-github", "End an app's link with GitHub", models.AppConfigure), s.unlinkGitHub)
	huma.Register(routes, operation(http.MethodPost, path+"/repair", "repair-github-link", "Make the webhook anew, and take the link over", models.AppConfigure), s.repairGitHubLink)
	deploy := operation(http.MethodPost, path+"/deploy", "deploy-from-github", "Deploy a branch, a tag or a commit of the linked repository", models.AppDeploy)
	deploy.DefaultStatus = http.StatusAccepted
	huma.Register(routes, deploy, s.deployFromGitHub)
}

func linkChange(wire v1.GitHubLinkChange) platform.GitHubLinkChange {
	return platform.GitHubLinkChange{
		Branch: wire.Branch, Paths: wire.Paths, AutoDeploy: wire.AutoDeploy, Previews: wire.Previews, PreviewPlan: wire.PreviewPlan,
		PreviewHours: wire.PreviewHours, PreviewMost: wire.PreviewMost, PreviewHidden: wire.PreviewHidden,
	}
}

func wireLinkView(view platform.LinkView) v1.GitHubLink {
	through := "account"
	if view.Installation != 0 {
		through = "app"
	}
	return v1.GitHubLink{
		Repository: view.Repository, URL: view.RepositoryURL, Branch: view.Branch(), Ref: view.Ref, Paths: listed(view.Paths), AutoDeploy: view.AutoDeploy,
		Head: view.Head, LinkedBy: view.LinkedBy, Through: through, Trouble: view.Trouble, Previews: view.Previews, PreviewPlan: view.PreviewPlan,
		PreviewHours: view.PreviewHours, PreviewMost: view.PreviewMost, PreviewHidden: listed(view.PreviewHidden),
		CheckedAt: view.CheckedAt, CreatedAt: view.CreatedAt,
	}
}

func (s *server) linkGitHub(ctx context.Context, input *struct {
	AppInput
	Body v1.NewGitHubLink
}) (*body[v1.GitHubLink], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppConfigure, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.LinkGitHub(ctx, actor(ctx), app, input.Body.Repository, linkChange(input.Body.GitHubLinkChange))
	return answer(ctx, s, wireLinkView(view), err)
}

func (s *server) getGitHubLink(ctx context.Context, input *AppInput) (*tagged[v1.GitHubLink], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.GitHubLink(ctx, app)
	return revised(ctx, s, wireLinkView(view), view.Revision(), err)
}

func (s *server) changeGitHubLink(ctx context.Context, input *struct {
	AppInput
	IfMatchInput
	Body v1.GitHubLinkChange
}) (*tagged[v1.GitHubLink], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppConfigure, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.ChangeGitHubLink(ctx, actor(ctx), app, input.revision(), linkChange(input.Body))
	return revised(ctx, s, wireLinkView(view), view.Revision(), err)
}

func (s *server) unlinkGitHub(ctx context.Context, input *AppInput) (*struct{}, error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppConfigure, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return s.done(ctx, s.Platform.UnlinkGitHub(ctx, actor(ctx), app))
}

func (s *server) repairGitHubLink(ctx context.Context, input *AppInput) (*body[v1.GitHubLink], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppConfigure, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.RepairGitHubLink(ctx, actor(ctx), app)
	return answer(ctx, s, wireLinkView(view), err)
}

func (s *server) deployFromGitHub(ctx context.Context, input *struct {
	AppInput
	Body v1.GitHubDeploy
}) (*body[v1.Build], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	build, err := s.Platform.DeployFromGitHub(ctx, actor(ctx), app, input.Body.Ref)
	return answer(ctx, s, wireBuild(build), err)
}
