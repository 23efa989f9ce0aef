package github

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
)

// refused asserts the status that an error of the client carries.
func refused(t *testing.T, status int, response *gh.Response, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, status, response.StatusCode, err)
}

func TestListsArePaged(t *testing.T) {
	h, client := shop(t)
	for i := range 5 {
		_, err := h.Push(Push{Repo: "acme/shop", Branch: fmt.Sprintf("b/%d", i), Base: "main"})
		require.NoError(t, err)
	}
	options := &gh.BranchListOptions{ListOptions: gh.ListOptions{PerPage: 4}}
	first, response, err := client.Repositories.ListBranches(t.Context(), "acme", "shop", options)
	require.NoError(t, err)
	require.Len(t, first, 4)
	require.Equal(t, []int{2, 2}, []int{response.NextPage, response.LastPage})
	options.Page = response.NextPage
	rest, response, err := client.Repositories.ListBranches(t.Context(), "acme", "shop", options)
	require.NoError(t, err)
	require.Len(t, rest, 2)
	require.Zero(t, response.NextPage)

	branch, _, err := client.Repositories.GetBranch(t.Context(), "acme", "shop", "b/3", 1)
	require.NoError(t, err)
	require.Equal(t, h.Head("acme/shop", "b/3"), branch.GetCommit().GetSHA())
	refs, _, err := client.Git.ListMatchingRefs(t.Context(), "acme", "shop", &gh.ReferenceListOptions{Ref: "heads/b/"})
	require.NoError(t, err)
	require.Len(t, refs, 5)
}

func TestHooksAreGuarded(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	hook := hooked(t, client, to, "push", "pull_request")
	require.Equal(t, "********", hook.GetConfig().GetSecret())
	_, response, err := client.Repositories.CreateHook(t.Context(), "acme", "shop", &gh.Hook{
		Events: []string{"push"}, Config: &gh.HookConfig{URL: gh.String(to.URL)},
	})
	refused(t, http.StatusUnprocessableEntity, response, err)
	require.ErrorContains(t, err, "Hook already exists")

	require.NoError(t, h.AddCollaborator("acme/shop", "bob", "push"))
	_, response, err = api(t, h, h.AddToken("bob", "repo")).Repositories.ListHooks(t.Context(), "acme", "shop", nil)
	refused(t, http.StatusNotFound, response, err)

	_, _, err = client.Repositories.EditHook(t.Context(), "acme", "shop", hook.GetID(), &gh.Hook{
		Config: &gh.HookConfig{URL: gh.String(to.URL + "/new"), ContentType: gh.String("json"), Secret: gh.String("other")},
	})
	require.NoError(t, err)
	require.Equal(t, "other", h.Hooks("acme/shop")[0].Secret)
	_, err = client.Repositories.DeleteHook(t.Context(), "acme", "shop", hook.GetID())
	require.NoError(t, err)
	require.Empty(t, h.Hooks("acme/shop"))
}

func TestTokensSeeWhatTheyMay(t *testing.T) {
	h, client := shop(t)
	_, response, err := api(t, h, "ghp_wrong").Users.Get(t.Context(), "")
	refused(t, http.StatusUnauthorized, response, err)
	require.ErrorContains(t, err, "Bad credentials")
	_, response, err = api(t, h, h.AddToken("mallory", "repo")).Repositories.Get(t.Context(), "acme", "shop")
	refused(t, http.StatusNotFound, response, err)

	require.NoError(t, h.RenameRepository("acme/shop", "store"))
	repo, _, err := client.Repositories.Get(t.Context(), "acme", "shop")
	require.NoError(t, err, "a former name leads on")
	require.Equal(t, "acme/store", repo.GetFullName())
	require.NoError(t, h.DeleteRepository("acme/store"))
	_, response, err = client.Repositories.GetByID(t.Context(), repo.GetID())
	refused(t, http.StatusNotFound, response, err)
}

func TestStatusesAndDeployments(t *testing.T) {
	h, client := shop(t)
	sha := h.Head("acme/shop", "main")
	write := func(sha, state string) (*gh.Response, error) {
		_, response, err := client.Repositories.CreateStatus(t.Context(), "acme", "shop", sha, &gh.RepoStatus{State: gh.String(state), Context: gh.String("sky")})
		return response, err
	}
	response, err := write(zero, "success")
	refused(t, http.StatusUnprocessableEntity, response, err)
	_, err = write(sha, "pending")
	require.NoError(t, err)
	require.Equal(t, "pending", h.Statuses("acme/shop", sha)[0].State)

	request := &gh.DeploymentRequest{Ref: gh.String(sha), Environment: gh.String("preview")}
	_, response, err = client.Repositories.CreateDeployment(t.Context(), "acme", "shop", request)
	refused(t, http.StatusConflict, response, err)
	request.RequiredContexts = &[]string{}
	made, _, err := client.Repositories.CreateDeployment(t.Context(), "acme", "shop", request)
	require.NoError(t, err)
	_, _, err = client.Repositories.CreateDeploymentStatus(t.Context(), "acme", "shop", made.GetID(), &gh.DeploymentStatusRequest{State: gh.String("success")})
	require.NoError(t, err)
	deployments := h.Deployments("acme/shop")
	require.Equal(t, "success", deployments[0].State())
	require.Equal(t, "preview", deployments[0].Environment)
}

func TestFaultsOnOrder(t *testing.T) {
	h, client := shop(t)
	get := func() error { _, _, err := client.Repositories.Get(t.Context(), "acme", "shop"); return err }
	h.Fail("/api/v3/repos", http.StatusBadGateway, 1)
	require.ErrorContains(t, get(), "502")
	require.NoError(t, get())
	h.Down(StatusClosed)
	require.ErrorContains(t, get(), "EOF")
	h.Up()
	require.NoError(t, get())

	h.Limit(RateLimit{Secondary: true, RetryAfter: 7 * time.Second, Requests: 1})
	var abuse *gh.AbuseRateLimitError
	require.ErrorAs(t, get(), &abuse)
	require.Equal(t, 7*time.Second, abuse.GetRetryAfter())
	client = api(t, h, h.AddToken("acme", "repo"))
	h.Limit(RateLimit{Requests: 1})
	var limited *gh.RateLimitError
	require.ErrorAs(t, get(), &limited)

	client = api(t, h, h.AddToken("acme", "repo"))
	release := h.Stall("/api/v3/repos")
	done := make(chan error, 1)
	go func() { done <- get() }()
	release()
	require.NoError(t, <-done)
	require.NotEmpty(t, h.Requests())
}
