package github

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
)

// judge holds every answer that passes through it to GitHub's description.
type judge struct {
	t        *testing.T
	document *openapi3.T
	judged   map[string]bool // operations
}

func newJudge(t *testing.T) *judge {
	t.Helper()
	j := &judge{t: t, document: &openapi3.T{}, judged: map[string]bool{}}
	require.NoError(t, json.Unmarshal(described(t), j.document))
	require.NoError(t, openapi3.NewLoader().ResolveRefsIn(j.document, nil))
	return j
}

// client is one whose answers are judged.
func (j *judge) client(h *Host, token string) *gh.Client {
	client, err := gh.NewClient(&http.Client{Transport: j}).WithAuthToken(token).WithEnterpriseURLs(h.URL, h.URL)
	require.NoError(j.t, err)
	return client
}

// RoundTrip passes a request on and judges what it gets.
func (j *judge) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil {
		j.answer(request, response, body)
	}
	return response, err
}

func (j *judge) answer(request *http.Request, response *http.Response, body []byte) {
	what := request.Method + " " + request.URL.Path
	template, operation := j.operation(request)
	if operation == nil {
		j.t.Errorf("%s: not in the description", what)
		return
	}
	promised := operation.Responses.Value(strconv.Itoa(response.StatusCode))
	if promised == nil {
		j.t.Errorf("%s: the description knows no answer %d: %s", what, response.StatusCode, body)
		return
	}
	j.judged[request.Method+" "+template] = true
	media := promised.Value.Content.Get("application/json")
	if media == nil {
		return
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		j.t.Errorf("%s: %v", what, err)
	} else if err := media.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		j.t.Errorf("%s answered %d: %s", what, response.StatusCode, reasons(err))
	}
}

// reasons are a validation's complaints without the schemas.
func reasons(err error) string {
	var several openapi3.MultiError
	if !errors.As(err, &several) {
		several = openapi3.MultiError{err}
	}
	var lines []string
	for _, err := range several {
		var one *openapi3.SchemaError
		if errors.As(err, &one) {
			lines = append(lines, "/"+strings.Join(one.JSONPointer(), "/")+": "+one.Reason)
		} else {
			lines = append(lines, err.Error())
		}
	}
	return strings.Join(lines, "\n")
}

// operation finds what the description says of a request: of the paths that fit,
// the one that is spelt out most.
func (j *judge) operation(request *http.Request) (template string, found *openapi3.Operation) {
	asked := strings.TrimPrefix(request.URL.EscapedPath(), "/api/v3")
	if strings.HasPrefix(asked, "/repositories/") { // not described: it answers as the named one
		asked = "/repos/owner/name"
	}
	for path, item := range j.document.Paths.Map() {
		closer := template == "" || spelt(path) > spelt(template)
		if operation := item.GetOperation(request.Method); operation != nil && closer && fits(path, asked) {
			template, found = path, operation
		}
	}
	return template, found
}

// spelt counts a template's parts that are no parameters.
func spelt(template string) int { return strings.Count(template, "/") - strings.Count(template, "{") }

// fits reports whether a path is one of a template, whose last parameter may
// take several parts.
func fits(template, path string) bool {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	if len(have) > len(want) && strings.HasSuffix(template, "/{ref}") {
		have = have[:len(want)]
	}
	return slices.EqualFunc(want, have, func(w, h string) bool { return w == h || strings.HasPrefix(w, "{") })
}

// did asserts that a call worked.
func did[T any](t *testing.T) func(T, *gh.Response, error) T {
	return func(value T, _ *gh.Response, err error) T {
		t.Helper()
		require.NoError(t, err)
		return value
	}
}

func TestAnswersAreAsPublished(t *testing.T) {
	j := newJudge(t)
	h, _ := shop(t)
	client := j.client(h, h.AddToken("acme", "repo"))
	t.Run("repositories", func(t *testing.T) { j.repositories(t, h, client) })
	t.Run("hooks", func(t *testing.T) { j.hooks(t, client) })
	t.Run("write back", func(t *testing.T) { j.writeBack(t, h, client) })
	t.Run("pull requests", func(t *testing.T) { j.pulls(t, h, client) })
	t.Run("apps", func(t *testing.T) { j.apps(t, h) })
	t.Run("refusals", func(t *testing.T) { j.refusals(t, h, client) })
	for _, operation := range strings.Split(strings.TrimSpace(operations), "\n") {
		require.True(t, j.judged[operation], "%s was not judged", operation)
	}
}

func (j *judge) repositories(t *testing.T, h *Host, client *gh.Client) {
	ctx := t.Context()
	did[*gh.User](t)(client.Users.Get(ctx, ""))
	did[[]*gh.Repository](t)(client.Repositories.ListByAuthenticatedUser(ctx, nil))
	found := did[*gh.RepositoriesSearchResult](t)(client.Search.Repositories(ctx, "sho user:acme", nil))
	require.Len(t, found.Repositories, 1)
	repo := did[*gh.Repository](t)(client.Repositories.Get(ctx, "acme", "shop"))
	did[*gh.Repository](t)(client.Repositories.GetByID(ctx, repo.GetID()))
	did[[]*gh.Branch](t)(client.Repositories.ListBranches(ctx, "acme", "shop", nil))
	did[*gh.Branch](t)(client.Repositories.GetBranch(ctx, "acme", "shop", "main", 0))
	did[[]*gh.Reference](t)(client.Git.ListMatchingRefs(ctx, "acme", "shop", &gh.ReferenceListOptions{Ref: "heads/ma"}))
	did[*gh.RepositoryCommit](t)(client.Repositories.GetCommit(ctx, "acme", "shop", "main", nil))
	did[*gh.RateLimits](t)(client.RateLimit.Get(ctx))
	fork, err := h.Fork("acme/shop", "bob")
	require.NoError(t, err)
	require.NoError(t, h.AddCollaborator(fork, "acme", "pull"))
	did[*gh.Repository](t)(client.Repositories.Get(ctx, "bob", "shop"))
}

func (j *judge) hooks(t *testing.T, client *gh.Client) {
	ctx := t.Context()
	to := newReceiver(t)
	hook := hooked(t, client, to, "push")
	did[[]*gh.Hook](t)(client.Repositories.ListHooks(ctx, "acme", "shop", nil))
	did[*gh.Hook](t)(client.Repositories.GetHook(ctx, "acme", "shop", hook.GetID()))
	did[*gh.Hook](t)(client.Repositories.EditHook(ctx, "acme", "shop", hook.GetID(), &gh.Hook{Active: gh.Bool(false)}))
	_, err := client.Repositories.PingHook(ctx, "acme", "shop", hook.GetID())
	require.NoError(t, err)
	_, err = client.Repositories.DeleteHook(ctx, "acme", "shop", hook.GetID())
	require.NoError(t, err)
}

func (j *judge) writeBack(t *testing.T, h *Host, client *gh.Client) {
	ctx, sha := t.Context(), h.Head("acme/shop", "main")
	did[*gh.RepoStatus](t)(client.Repositories.CreateStatus(ctx, "acme", "shop", sha, &gh.RepoStatus{State: gh.String("success")}))
	did[[]*gh.RepoStatus](t)(client.Repositories.ListStatuses(ctx, "acme", "shop", "main", nil))
	made := did[*gh.Deployment](t)(client.Repositories.CreateDeployment(ctx, "acme", "shop", &gh.DeploymentRequest{
		Ref: gh.String("main"), Environment: gh.String("preview"), Payload: map[string]string{"app": "shop"},
	}))
	did[[]*gh.Deployment](t)(client.Repositories.ListDeployments(ctx, "acme", "shop", nil))
	did[*gh.DeploymentStatus](t)(client.Repositories.CreateDeploymentStatus(ctx, "acme", "shop", made.GetID(), &gh.DeploymentStatusRequest{
		State: gh.String("in_progress"), LogURL: gh.String("http://sky.test/log"), EnvironmentURL: gh.String("http://shop.test"),
	}))
	did[[]*gh.DeploymentStatus](t)(client.Repositories.ListDeploymentStatuses(ctx, "acme", "shop", made.GetID(), nil))
	_, err := client.Repositories.DeleteDeployment(ctx, "acme", "shop", made.GetID())
	require.NoError(t, err)
}

func (j *judge) pulls(t *testing.T, h *Host, client *gh.Client) {
	ctx := t.Context()
	push(t, h, "topic", "topic", map[string]string{"b": "b"})
	number, err := h.OpenPull("acme/shop", "topic", "main", "Topic")
	require.NoError(t, err)
	did[[]*gh.PullRequest](t)(client.PullRequests.List(ctx, "acme", "shop", nil))
	did[*gh.PullRequest](t)(client.PullRequests.Get(ctx, "acme", "shop", number))
	comment := did[*gh.IssueComment](t)(client.Issues.CreateComment(ctx, "acme", "shop", number, &gh.IssueComment{Body: gh.String("hi")}))
	did[*gh.IssueComment](t)(client.Issues.GetComment(ctx, "acme", "shop", comment.GetID()))
	did[[]*gh.IssueComment](t)(client.Issues.ListComments(ctx, "acme", "shop", number, nil))
	did[*gh.IssueComment](t)(client.Issues.EditComment(ctx, "acme", "shop", comment.GetID(), &gh.IssueComment{Body: gh.String("ho")}))
	_, err = client.Issues.DeleteComment(ctx, "acme", "shop", comment.GetID())
	require.NoError(t, err)
	require.NoError(t, h.ClosePull("acme/shop", number, true))
	did[[]*gh.PullRequest](t)(client.PullRequests.List(ctx, "acme", "shop", &gh.PullRequestListOptions{State: "all"}))
	did[*gh.PullRequest](t)(client.PullRequests.Get(ctx, "acme", "shop", number))
}

func (j *judge) apps(t *testing.T, h *Host) {
	ctx := t.Context()
	app, err := h.AddApp(AppOptions{Slug: "sky", Owner: "acme", Callback: "http://sky.test/callback"})
	require.NoError(t, err)
	id, err := h.Install(app.ID, "acme", "acme/shop")
	require.NoError(t, err)
	itself := j.client(h, signed(t, app, 5*time.Minute))
	did[*gh.App](t)(itself.Apps.Get(ctx, ""))
	did[*gh.Installation](t)(itself.Apps.GetInstallation(ctx, id))
	did[*gh.Installation](t)(itself.Apps.FindRepositoryInstallation(ctx, "acme", "shop"))
	given := did[*gh.InstallationToken](t)(itself.Apps.CreateInstallationToken(ctx, id, nil))
	did[*gh.ListRepositories](t)(j.client(h, given.GetToken()).Apps.ListRepos(ctx, nil))

	config := signIn(h, OAuthApp{ClientID: app.ClientID, ClientSecret: app.ClientSecret})
	for _, revoke := range []string{"token", "grant"} {
		user, err := config.Exchange(ctx, approved(t, h, config.AuthCodeURL("s")).Get("code"))
		require.NoError(t, err)
		client := j.client(h, user.AccessToken)
		did[[]*gh.Installation](t)(client.Apps.ListUserInstallations(ctx, nil))
		did[*gh.ListRepositories](t)(client.Apps.ListUserRepos(ctx, id, nil))
		j.revoke(t, h, app, revoke, user.AccessToken)
	}
}

func (j *judge) revoke(t *testing.T, h *Host, app App, what, token string) {
	body := fmt.Sprintf(`{"access_token": %q}`, token)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, h.URL+"/api/v3/applications/"+app.ClientID+"/"+what, strings.NewReader(body))
	require.NoError(t, err)
	request.SetBasicAuth(app.ClientID, app.ClientSecret)
	response, err := j.RoundTrip(request)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, response.StatusCode)
	require.NotContains(t, h.Tokens("acme"), token)
}

func (j *judge) refusals(t *testing.T, h *Host, client *gh.Client) {
	ctx := t.Context()
	_, response, err := j.client(h, "wrong").Users.Get(ctx, "")
	refused(t, http.StatusUnauthorized, response, err)
	_, response, err = client.Repositories.Get(ctx, "acme", "none")
	refused(t, http.StatusNotFound, response, err)
	_, response, err = client.Repositories.CreateHook(ctx, "acme", "shop", &gh.Hook{Config: &gh.HookConfig{URL: gh.String("no")}})
	refused(t, http.StatusUnprocessableEntity, response, err)
	require.NoError(t, h.RenameRepository("acme/shop", "store"))
	did[*gh.Repository](t)(client.Repositories.Get(ctx, "acme", "shop"))
}

// operations are those that Sky may call.
const operations = `
GET /user
GET /user/repos
GET /search/repositories
GET /repos/{owner}/{repo}
GET /repos/{owner}/{repo}/branches
GET /repos/{owner}/{repo}/branches/{branch}
GET /repos/{owner}/{repo}/git/matching-refs/{ref}
GET /repos/{owner}/{repo}/commits/{ref}
GET /repos/{owner}/{repo}/hooks
POST /repos/{owner}/{repo}/hooks
GET /repos/{owner}/{repo}/hooks/{hook_id}
PATCH /repos/{owner}/{repo}/hooks/{hook_id}
DELETE /repos/{owner}/{repo}/hooks/{hook_id}
POST /repos/{owner}/{repo}/hooks/{hook_id}/pings
POST /repos/{owner}/{repo}/statuses/{sha}
GET /repos/{owner}/{repo}/commits/{ref}/statuses
POST /repos/{owner}/{repo}/deployments
GET /repos/{owner}/{repo}/deployments
DELETE /repos/{owner}/{repo}/deployments/{deployment_id}
POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses
GET /repos/{owner}/{repo}/deployments/{deployment_id}/statuses
GET /repos/{owner}/{repo}/pulls
GET /repos/{owner}/{repo}/pulls/{pull_number}
GET /repos/{owner}/{repo}/issues/{issue_number}/comments
POST /repos/{owner}/{repo}/issues/{issue_number}/comments
GET /repos/{owner}/{repo}/issues/comments/{comment_id}
PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}
DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}
DELETE /applications/{client_id}/grant
DELETE /applications/{client_id}/token
GET /user/installations
GET /user/installations/{installation_id}/repositories
GET /app
GET /app/installations/{installation_id}
GET /repos/{owner}/{repo}/installation
POST /app/installations/{installation_id}/access_tokens
GET /installation/repositories
GET /rate_limit
`
