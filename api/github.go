package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

const gitHubPath = customerPrefix + "/github"

func (s *server) gitHub(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/github", "get-github", "Show the GitHub that Sky is connected with", models.PlatformManage), s.getGitHub)
	huma.Register(routes, operation(http.MethodPut, adminPrefix+"/github", "set-github", "Connect Sky with a GitHub", models.PlatformManage), s.setGitHub)
	huma.Register(routes, operation(http.MethodDelete, adminPrefix+"/github", "forget-github", "Disconnect Sky from its GitHub", models.PlatformManage), s.forgetGitHub)
	huma.Register(routes, creating(gitHubPath+"/authorize", "authorize-github", "Begin to connect your account at GitHub", models.AccountManage), s.authorizeGitHub)
	huma.Register(routes, creating(gitHubPath+"/connection", "confirm-github", "Finish to connect your account at GitHub", models.AccountManage), s.confirmGitHub)
	huma.Register(routes, operation(http.MethodGet, gitHubPath+"/connection", "get-github-connection", "Show your account at GitHub", models.AccountRead), s.getGitHubConnection)
	huma.Register(routes, operation(http.MethodDelete, gitHubPath+"/connection", "disconnect-github", "Disconnect your account at GitHub", models.AccountManage), s.disconnectGitHub)
	huma.Register(routes, operation(http.MethodGet, gitHubPath+"/repositories", "list-github-repositories", "List the repositories that you reach", models.AccountRead), s.listGitHubRepositories)
	huma.Register(routes, operation(http.MethodGet, gitHubPath+"/repositories/{owner}/{repository}/branches", "list-github-branches", "List a repository's branches", models.AccountRead), s.listGitHubBranches)
	s.gitHubLinks(routes)
	s.deliveries(routes)
	s.previews(routes)
}

// wireGitHubHost is the host as the API shows it: without its secrets.
func (s *server) wireGitHubHost(host models.GitHubHost) v1.GitHubHost {
	wire := v1.GitHubHost{
		URL: host.URL, ClientID: host.ClientID, AppID: host.Number, AppSlug: host.Slug,
		CallbackURL: s.Platform.Settings.PublicURL + platform.CallbackPath, UpdatedAt: host.UpdatedAt,
	}
	if host.IsApp() {
		wire.WebhookURL = s.Platform.Settings.PublicURL + platform.WebhookPath
	}
	return wire
}

func (s *server) getGitHub(ctx context.Context, _ *struct{}) (*body[v1.GitHubHost], error) {
	host, err := s.Platform.ShowGitHubHost(ctx, actor(ctx))
	return answer(ctx, s, s.wireGitHubHost(host), err)
}

func (s *server) setGitHub(ctx context.Context, input *body[v1.NewGitHubHost]) (*body[v1.GitHubHost], error) {
	wanted := input.Body
	host, err := s.Platform.SetGitHubHost(ctx, actor(ctx), platform.NewGitHubHost{
		URL: wanted.URL, ClientID: wanted.ClientID, ClientSecret: wanted.ClientSecret,
		Number: wanted.AppID, PrivateKey: wanted.PrivateKey, WebhookSecret: wanted.WebhookSecret,
	})
	return answer(ctx, s, s.wireGitHubHost(host), err)
}

func (s *server) forgetGitHub(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return s.done(ctx, s.Platform.ForgetGitHubHost(ctx, actor(ctx)))
}

func (s *server) authorizeGitHub(ctx context.Context, input *body[v1.NewGitHubAuthorization]) (*body[v1.GitHubAuthorization], error) {
	begun, err := s.Platform.AuthorizeGitHub(ctx, actor(ctx), input.Body.Public)
	return answer(ctx, s, v1.GitHubAuthorization{ID: begun.ID.String(), URL: begun.URL, NeedsCode: begun.NeedsCode, ExpiresAt: begun.ExpiresAt}, err)
}

func (s *server) confirmGitHub(ctx context.Context, input *body[v1.GitHubCode]) (*body[v1.GitHubConnection], error) {
	connection, err := s.Platform.ConfirmGitHub(ctx, actor(ctx), input.Body.Authorization, input.Body.Code)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	_, host, err := s.Platform.GitHubConnection(ctx, actor(ctx))
	return answer(ctx, s, wireGitHubConnection(connection, host), err)
}

func wireGitHubConnection(connection models.GitHubConnection, host models.GitHubHost) v1.GitHubConnection {
	return v1.GitHubConnection{
		Login: connection.Login, URL: host.URL, Scopes: connection.Scopes, Trouble: connection.Trouble, CreatedAt: connection.CreatedAt,
	}
}

func (s *server) getGitHubConnection(ctx context.Context, _ *struct{}) (*body[v1.GitHubConnection], error) {
	connection, host, err := s.Platform.GitHubConnection(ctx, actor(ctx))
	return answer(ctx, s, wireGitHubConnection(connection, host), err)
}

func (s *server) disconnectGitHub(ctx context.Context, _ *struct{}) (*struct{}, error) {
	return s.done(ctx, s.Platform.DisconnectGitHub(ctx, actor(ctx)))
}

// GitHubListInput asks for a part of a list of GitHub's, which decides itself how
// long that is.
type GitHubListInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Is not heeded: GitHub decides"`
	Cursor string `query:"cursor" maxLength:"100" doc:"What the page before had as next"`
}

func (s *server) listGitHubRepositories(ctx context.Context, input *struct {
	GitHubListInput
	Search string `query:"search" maxLength:"100" doc:"Only those whose name holds this"`
}) (*body[v1.Page[v1.GitHubRepository]], error) {
	page, err := s.Platform.GitHubRepositories(ctx, actor(ctx), input.Search, input.Cursor)
	return pageOf(ctx, s, page, func(row github.Repository) v1.GitHubRepository {
		return v1.GitHubRepository{
			Name: row.Name, DefaultBranch: row.DefaultBranch, Private: row.Private, Linkable: row.Admin || (row.Push && row.Installation != 0),
		}
	}, err)
}

func (s *server) listGitHubBranches(ctx context.Context, input *struct {
	GitHubListInput
	Owner      string `path:"owner" maxLength:"100" doc:"The repository's owner"`
	Repository string `path:"repository" maxLength:"100" doc:"The repository's name"`
	Prefix     string `query:"prefix" maxLength:"200" doc:"Only those that begin with this"`
}) (*body[v1.Page[v1.GitHubBranch]], error) {
	page, err := s.Platform.GitHubBranches(ctx, actor(ctx), input.Owner+"/"+input.Repository, input.Prefix, input.Cursor)
	return pageOf(ctx, s, page, func(row github.Branch) v1.GitHubBranch { return v1.GitHubBranch(row) }, err)
}
