package github

import (
	"context"
	"encoding/json"

	gh "github.com/google/go-github/v60/github"
)

// State is how a build stands, in GitHub's words for commit statuses.
type State string

// The states.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
	Failed  State = "error" // Sky's fault, not the commit's
)

// Report is what a commit's page says of its build.
type Report struct {
	Build       string // Sky's own id of it
	Commit      string
	State       State
	Context     string // who reports, such as sky/shop
	Description string
	LogURL      string
	// URL is where the result answers, Environment what it is called, and Transient
	// whether it ends with its pull request.
	URL         string
	Environment string
	Transient   bool
}

// maxDescription is what GitHub takes of a description.
const maxDescription = 140

// SetStatus writes a commit status.
func (c *Client) SetStatus(ctx context.Context, repository string, report Report) error {
	owner, repo := split(repository)
	_, _, err := c.rest.Repositories.CreateStatus(ctx, owner, repo, report.Commit, &gh.RepoStatus{
		State: gh.String(string(report.State)), Context: gh.String(report.Context),
		Description: gh.String(shortened(report.Description)), TargetURL: gh.String(report.LogURL),
	})
	return wrong(ctx, "write the commit's status", err)
}

// CreateDeployment tells GitHub of a deployment and returns its number. Other
// checks of the commit do not hold it up: it is under way already.
func (c *Client) CreateDeployment(ctx context.Context, repository string, report Report) (int64, error) {
	owner, repo := split(repository)
	made, _, err := c.rest.Repositories.CreateDeployment(ctx, owner, repo, &gh.DeploymentRequest{
		Ref: gh.String(report.Commit), Environment: gh.String(report.Environment), AutoMerge: gh.Bool(false),
		RequiredContexts: &[]string{}, Payload: announced{report.Build}, Description: gh.String(shortened(report.Description)),
		TransientEnvironment: gh.Bool(report.Transient), ProductionEnvironment: gh.Bool(!report.Transient),
	})
	return made.GetID(), wrong(ctx, "announce the deployment", err)
}

// announced is what Sky knows its own deployments by.
type announced struct {
	Build string `json:"sky_build"`
}

// FindDeployment returns the number of the deployment that Sky told GitHub of
// before, or 0.
func (c *Client) FindDeployment(ctx context.Context, repository string, report Report) (int64, error) {
	owner, repo := split(repository)
	rows, _, err := c.rest.Repositories.ListDeployments(ctx, owner, repo, &gh.DeploymentsListOptions{
		SHA: report.Commit, Environment: report.Environment, ListOptions: gh.ListOptions{PerPage: perPage},
	})
	for _, row := range rows {
		told := announced{}
		if json.Unmarshal(row.Payload, &told) == nil && told.Build == report.Build {
			return row.GetID(), nil
		}
	}
	return 0, wrong(ctx, "look deployments up", err)
}

// SetDeployment writes how a deployment stands.
func (c *Client) SetDeployment(ctx context.Context, repository string, number int64, report Report) error {
	owner, repo := split(repository)
	state := string(report.State)
	if report.State == Pending {
		state = "in_progress"
	}
	request := &gh.DeploymentStatusRequest{
		State: gh.String(state), LogURL: gh.String(report.LogURL), Description: gh.String(shortened(report.Description)), AutoInactive: gh.Bool(true),
	}
	if report.State == Success {
		request.EnvironmentURL = gh.String(report.URL)
	}
	_, _, err := c.rest.Repositories.CreateDeploymentStatus(ctx, owner, repo, number, request)
	return wrong(ctx, "write how the deployment stands", err)
}

// EndDeployment says that a deployment serves no more.
func (c *Client) EndDeployment(ctx context.Context, repository string, number int64) error {
	owner, repo := split(repository)
	_, _, err := c.rest.Repositories.CreateDeploymentStatus(ctx, owner, repo, number, &gh.DeploymentStatusRequest{State: gh.String("inactive")})
	return wrong(ctx, "end the deployment", err)
}

// Comment writes to a pull request, in the comment with this id where there is
// one, and returns the comment's id.
func (c *Client) Comment(ctx context.Context, repository string, pull int, id int64, text string) (int64, error) {
	owner, repo := split(repository)
	comment := &gh.IssueComment{Body: gh.String(text)}
	if id != 0 {
		_, answer, err := c.rest.Issues.EditComment(ctx, owner, repo, id, comment)
		if answer == nil || answer.StatusCode != 404 { // somebody removed it
			return id, wrong(ctx, "change the comment", err)
		}
	}
	made, _, err := c.rest.Issues.CreateComment(ctx, owner, repo, pull, comment)
	return made.GetID(), wrong(ctx, "comment on the pull request", err)
}

func shortened(text string) string {
	runes := []rune(text)
	if len(runes) <= maxDescription {
		return text
	}
	return string(runes[:maxDescription-1]) + "…"
}
