package github

import (
	"context"
	"strings"

	gh "github.com/google/go-github/v60/github"
)

// Client asks with one token. It may be used by many goroutines.
type Client struct{ rest *gh.Client }

// Account is somebody at GitHub.
type Account struct {
	ID    int64
	Login string
}

// Repository is one that a token may see.
type Repository struct {
	ID            int64
	Name          string // owner/name
	DefaultBranch string
	Private       bool
	// Admin says whether the token may keep webhooks there, Push whether it may
	// write statuses.
	Admin bool
	Push  bool
	// Installation is the GitHub App's that shows it; 0 where none does.
	Installation int64
}

// Branch is a branch of a repository.
type Branch struct {
	Name   string
	Commit string
}

// perPage is how many rows one request asks for; GitHub gives at most 100.
const perPage = 100

// Account returns whose the token is.
func (c *Client) Account(ctx context.Context) (Account, error) {
	user, _, err := c.rest.Users.Get(ctx, "")
	if err != nil {
		return Account{}, wrong(ctx, "ask who you are", err)
	}
	return Account{user.GetID(), user.GetLogin()}, nil
}

// Repositories returns a page of the repositories that an OAuth token's owner
// reaches, those pushed last first, and the number of the next page; 0 is none.
func (c *Client) Repositories(ctx context.Context, page int) ([]Repository, int, error) {
	options := &gh.RepositoryListByAuthenticatedUserOptions{Sort: "pushed", ListOptions: gh.ListOptions{Page: page, PerPage: perPage}}
	rows, answer, err := c.rest.Repositories.ListByAuthenticatedUser(ctx, options)
	if err != nil {
		return nil, 0, wrong(ctx, "list repositories", err)
	}
	return each(rows, repository), answer.NextPage, nil
}

// Installations returns the installations of the GitHub App that the token's owner
// reaches.
func (c *Client) Installations(ctx context.Context) ([]int64, error) {
	var numbers []int64
	for page := 1; page != 0; {
		rows, answer, err := c.rest.Apps.ListUserInstallations(ctx, &gh.ListOptions{Page: page, PerPage: perPage})
		if err != nil {
			return nil, wrong(ctx, "list installations", err)
		}
		numbers = append(numbers, each(rows, (*gh.Installation).GetID)...)
		page = answer.NextPage
	}
	return numbers, nil
}

// Installed returns a page of the repositories of an installation that the token's
// owner reaches too, and the number of the next page; 0 is none.
func (c *Client) Installed(ctx context.Context, installation int64, page int) ([]Repository, int, error) {
	rows, answer, err := c.rest.Apps.ListUserRepos(ctx, installation, &gh.ListOptions{Page: page, PerPage: perPage})
	if err != nil {
		return nil, 0, wrong(ctx, "list repositories", err)
	}
	found := each(rows.Repositories, repository)
	for i := range found {
		found[i].Installation = installation
	}
	return found, answer.NextPage, nil
}

// Repository returns the one with this name.
func (c *Client) Repository(ctx context.Context, name string) (Repository, error) {
	owner, repo := split(name)
	row, _, err := c.rest.Repositories.Get(ctx, owner, repo)
	if err != nil {
		return Repository{}, wrong(ctx, "look the repository up", err)
	}
	return repository(row), nil
}

// RepositoryByID returns the one with this id, whatever it is called by now.
func (c *Client) RepositoryByID(ctx context.Context, id int64) (Repository, error) {
	row, _, err := c.rest.Repositories.GetByID(ctx, id)
	if err != nil {
		return Repository{}, wrong(ctx, "look the repository up", err)
	}
	return repository(row), nil
}

// Branches returns a page of a repository's branches, and the number of the next
// page; 0 is none.
func (c *Client) Branches(ctx context.Context, name string, page int) ([]Branch, int, error) {
	owner, repo := split(name)
	options := &gh.BranchListOptions{ListOptions: gh.ListOptions{Page: page, PerPage: perPage}}
	rows, answer, err := c.rest.Repositories.ListBranches(ctx, owner, repo, options)
	if err != nil {
		return nil, 0, wrong(ctx, "list branches", err)
	}
	return each(rows, func(row *gh.Branch) Branch { return Branch{row.GetName(), row.GetCommit().GetSHA()} }), answer.NextPage, nil
}

// BranchesFrom returns the branches whose names begin with prefix.
func (c *Client) BranchesFrom(ctx context.Context, name, prefix string) ([]Branch, error) {
	owner, repo := split(name)
	rows, _, err := c.rest.Git.ListMatchingRefs(ctx, owner, repo, &gh.ReferenceListOptions{Ref: "heads/" + prefix})
	if err != nil {
		return nil, wrong(ctx, "list branches", err)
	}
	return each(rows, func(row *gh.Reference) Branch {
		return Branch{strings.TrimPrefix(row.GetRef(), "refs/heads/"), row.GetObject().GetSHA()}
	}), nil
}

// Pull returns a pull request.
func (c *Client) Pull(ctx context.Context, name string, number int) (Pull, error) {
	owner, repo := split(name)
	row, _, err := c.rest.PullRequests.Get(ctx, owner, repo, number)
	if err != nil {
		return Pull{}, wrong(ctx, "look the pull request up", err)
	}
	return pull(row), nil
}

// OpenPulls returns the open pull requests against a branch.
func (c *Client) OpenPulls(ctx context.Context, name, base string) ([]Pull, error) {
	owner, repo := split(name)
	var found []Pull
	for page := 1; page != 0; {
		options := &gh.PullRequestListOptions{State: "open", Base: base, ListOptions: gh.ListOptions{Page: page, PerPage: perPage}}
		rows, answer, err := c.rest.PullRequests.List(ctx, owner, repo, options)
		if err != nil {
			return nil, wrong(ctx, "list pull requests", err)
		}
		found = append(found, each(rows, pull)...)
		page = answer.NextPage
	}
	return found, nil
}

func pull(row *gh.PullRequest) Pull {
	return Pull{
		Number: row.GetNumber(), Title: row.GetTitle(), Author: row.GetUser().GetLogin(), Open: row.GetState() == "open",
		Head: row.GetHead().GetSHA(), HeadRepository: row.GetHead().GetRepo().GetID(),
		Base: row.GetBase().GetRef(), BaseRepository: row.GetBase().GetRepo().GetID(),
	}
}

func repository(row *gh.Repository) Repository {
	permissions := row.GetPermissions()
	return Repository{
		ID: row.GetID(), Name: row.GetFullName(), DefaultBranch: row.GetDefaultBranch(), Private: row.GetPrivate(),
		Admin: permissions["admin"], Push: permissions["push"],
	}
}

// split cuts owner/name, which models.CheckRepository has checked.
func split(name string) (owner, repository string) {
	owner, repository, _ = strings.Cut(name, "/")
	return owner, repository
}

func each[From, To any](rows []From, convert func(From) To) []To {
	converted := make([]To, 0, len(rows))
	for _, row := range rows {
		converted = append(converted, convert(row))
	}
	return converted
}
