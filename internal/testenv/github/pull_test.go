package github

import (
	"testing"

	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
)

func TestPullRequestOfAFork(t *testing.T) {
	h, client := shop(t)
	require.NoError(t, h.SetPrivate("acme/shop", false))
	to := newReceiver(t)
	hooked(t, client, to, "pull_request")
	fork, err := h.Fork("acme/shop", "eve")
	require.NoError(t, err)
	commit := func(text string) string {
		sha, err := h.Push(Push{Repo: fork, Branch: "topic", Commits: []Commit{{Message: text, Files: map[string]string{"a": text}}}})
		require.NoError(t, err)
		return sha
	}
	commit("one")
	number, err := h.OpenPull("acme/shop", "eve:topic", "main", "From a fork")
	require.NoError(t, err)
	second := commit("two")
	require.NoError(t, h.ClosePull("acme/shop", number, true))
	require.NoError(t, h.Quiet(deadline(t)))

	var actions []string
	for _, one := range of("pull_request", to.all()) {
		event := parsed[*gh.PullRequestEvent](t, one)
		actions = append(actions, event.GetAction())
		require.Equal(t, "eve/shop", event.PullRequest.Head.Repo.GetFullName())
		require.True(t, event.PullRequest.Head.Repo.GetFork())
		require.Equal(t, []int{1, 1}, []int{event.PullRequest.GetChangedFiles(), event.PullRequest.GetAdditions()})
		require.Equal(t, "acme/shop", event.PullRequest.Base.Repo.GetFullName())
	}
	require.Equal(t, []string{"opened", "synchronize", "closed"}, actions)
	pulls := h.Pulls("acme/shop")
	require.Equal(t, second, pulls[0].HeadSHA)
	require.True(t, pulls[0].Merged)
	require.Equal(t, "one", fileOf(t, h, "acme/shop", "main~0^2~1", "a"))
}

func fileOf(t *testing.T, h *Host, repo, commit, path string) string {
	t.Helper()
	content, err := h.git.run(h.repository(repo).dir, nil, "show", commit+":"+path)
	require.NoError(t, err)
	return content
}

func TestCommentIsUpdatedInPlace(t *testing.T) {
	h, client := shop(t)
	push(t, h, "topic", "topic", map[string]string{"b": "b"})
	number, err := h.OpenPull("acme/shop", "topic", "main", "Topic")
	require.NoError(t, err)
	made, _, err := client.Issues.CreateComment(t.Context(), "acme", "shop", number, &gh.IssueComment{Body: gh.String("building")})
	require.NoError(t, err)
	_, _, err = client.Issues.EditComment(t.Context(), "acme", "shop", made.GetID(), &gh.IssueComment{Body: gh.String("live")})
	require.NoError(t, err)
	comments := h.Comments("acme/shop", number)
	require.Len(t, comments, 1)
	require.Equal(t, "live", comments[0].Body)
	require.NoError(t, h.DeleteBranch("acme/shop", "topic"))
	require.Equal(t, "closed", h.Pulls("acme/shop")[0].State)
}
