package v1

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// GitHubHost is the GitHub that Sky is connected with. Its secrets are never shown.
type GitHubHost struct {
	URL         string    `json:"url" example:"https://github.com"`
	ClientID    string    `json:"client_id" doc:"Of the OAuth app, or of the GitHub App"`
	AppID       int64     `json:"app_id" doc:"Of the GitHub App; 0 is none"`
	AppSlug     string    `json:"app_slug" doc:"Of the GitHub App"`
	CallbackURL string    `json:"callback_url" doc:"What to register at GitHub as the callback"`
	WebhookURL  string    `json:"webhook_url" doc:"What to register at GitHub as a GitHub App's webhook"`
	UpdatedAt   time.Time `json:"updated_at" doc:"When it was set"`
}

// NewGitHubHost connects Sky with a GitHub.
type NewGitHubHost struct {
	URL           string `json:"url,omitempty" maxLength:"300" doc:"https://github.com, or a GitHub Enterprise server"`
	ClientID      string `json:"client_id" maxLength:"200" doc:"Of the OAuth app, or of the GitHub App"`
	ClientSecret  string `json:"client_secret" maxLength:"200" doc:"Is never shown"`
	AppID         int64  `json:"app_id,omitempty" minimum:"0" doc:"Of a GitHub App"`
	PrivateKey    string `json:"private_key,omitempty" maxLength:"16384" doc:"Of the GitHub App, in PEM; is never shown"`
	WebhookSecret string `json:"webhook_secret,omitempty" maxLength:"200" doc:"Of the GitHub App's webhook; is never shown"`
}

// NewGitHubAuthorization begins a connection with an account at GitHub.
type NewGitHubAuthorization struct {
	Public bool `json:"public,omitempty" doc:"Ask for public repositories only"`
}

// GitHubAuthorization is a connection that is being made.
type GitHubAuthorization struct {
	ID        string    `json:"id" doc:"Its id"`
	URL       string    `json:"url" doc:"Where to go with a browser"`
	NeedsCode bool      `json:"needs_code" doc:"Whether the browser will show a code that finishes it"`
	ExpiresAt time.Time `json:"expires_at" doc:"When it has to be finished"`
}

// GitHubCode finishes a connection that was begun with a token.
type GitHubCode struct {
	Authorization string `json:"authorization" maxLength:"40" doc:"Its id"`
	Code          string `json:"code" maxLength:"20" doc:"What the browser shows"`
}

// GitHubConnection is your account at GitHub.
type GitHubConnection struct {
	Login     string    `json:"login" doc:"Your name there"`
	URL       string    `json:"url" doc:"The GitHub"`
	Scopes    string    `json:"scopes" doc:"What Sky may do there"`
	Trouble   string    `json:"trouble" doc:"Why it does not work; empty while it does"`
	CreatedAt time.Time `json:"created_at" doc:"When it was made"`
}

// GitHubRepository is a repository that you reach.
type GitHubRepository struct {
	Name          string `json:"name" example:"acme/shop"`
	DefaultBranch string `json:"default_branch" example:"main"`
	Private       bool   `json:"private" doc:"Whether it is"`
	Linkable      bool   `json:"linkable" doc:"Whether you may link an app with it"`
}

// GitHubBranch is a branch of a repository.
type GitHubBranch struct {
	Name   string `json:"name" example:"main"`
	Commit string `json:"commit" doc:"What it leads to"`
}

// GitHubLinkChange holds the settings of a link to make or to change; what is left
// out stays, or is the default.
type GitHubLinkChange struct {
	Branch        *string   `json:"branch,omitempty" maxLength:"200" doc:"What it leads to is deployed; by default the repository's own default branch"`
	Paths         *[]string `json:"paths,omitempty" maxItems:"50" doc:"Deploy only changes of files that these patterns match, such as apps/web/** or !**/*.md"`
	AutoDeploy    *bool     `json:"auto_deploy,omitempty" doc:"Deploy pushes by themselves"`
	Previews      *bool     `json:"previews,omitempty" doc:"Make an app for every pull request"`
	PreviewPlan   *string   `json:"preview_plan,omitempty" maxLength:"40" doc:"The plan of previews; empty is the app's own"`
	PreviewHours  *int      `json:"preview_hours,omitempty" doc:"How long a preview lives after the last change"`
	PreviewMost   *int      `json:"preview_most,omitempty" doc:"How many there are at a time"`
	PreviewHidden *[]string `json:"preview_hidden,omitempty" maxItems:"200" doc:"Variables of the app that previews do not get"`
}

// NewGitHubLink links an app with a repository.
type NewGitHubLink struct {
	Repository string `json:"repository" maxLength:"210" example:"acme/shop"`
	GitHubLinkChange
}

// GitHubLink is an app's link with a repository.
type GitHubLink struct {
	Repository    string     `json:"repository" example:"acme/shop"`
	URL           string     `json:"url" doc:"The repository's page"`
	Branch        string     `json:"branch" doc:"What deploys; empty for the preview of a pull request"`
	Ref           string     `json:"ref" doc:"The same, as git calls it"`
	Paths         []string   `json:"paths" doc:"The path filters"`
	AutoDeploy    bool       `json:"auto_deploy" doc:"Whether pushes deploy by themselves"`
	Head          string     `json:"head" doc:"The newest commit that was decided on"`
	LinkedBy      string     `json:"linked_by" doc:"In whose name it deploys"`
	Through       string     `json:"through" enum:"account,app" doc:"Whose token reaches the repository: that person's account, or the GitHub App"`
	Trouble       string     `json:"trouble" doc:"Why it does not work; empty while it does"`
	Previews      bool       `json:"previews" doc:"Whether pull requests get apps"`
	PreviewPlan   string     `json:"preview_plan" doc:"Their plan; empty is the app's own"`
	PreviewHours  int        `json:"preview_hours" doc:"How long they live"`
	PreviewMost   int        `json:"preview_most" doc:"How many there are at a time"`
	PreviewHidden []string   `json:"preview_hidden" doc:"Variables that they do not get"`
	CheckedAt     *time.Time `json:"checked_at,omitempty" doc:"When Sky last looked for missed pushes"`
	CreatedAt     time.Time  `json:"created_at" doc:"When it was made"`
}

// GitHubDeploy asks to deploy something of the linked repository.
type GitHubDeploy struct {
	Ref string `json:"ref,omitempty" maxLength:"200" doc:"A branch, a tag or a whole commit name; empty is the linked branch"`
}

// Delivery is what GitHub delivered, and what became of it.
type Delivery struct {
	ID         string     `json:"id" doc:"Its id in Sky"`
	Delivery   string     `json:"delivery" doc:"Its id at GitHub; catch-up and manual are Sky's own"`
	Event      string     `json:"event" example:"push"`
	Ref        string     `json:"ref" doc:"What it is about"`
	Commit     string     `json:"commit" doc:"What the ref leads to by it"`
	State      string     `json:"state" enum:"received,done,ignored,failed,refused" doc:"Where it is"`
	Outcome    string     `json:"outcome" example:"deployed" doc:"What became of it"`
	Reason     string     `json:"reason" doc:"Why"`
	Build      int        `json:"build" doc:"The build that it made; 0 is none"`
	BuildState string     `json:"build_state" doc:"Where that is"`
	Repeats    int        `json:"repeats" doc:"How often it came again"`
	CreatedAt  time.Time  `json:"created_at" doc:"When it came"`
	FinishedAt *time.Time `json:"finished_at,omitempty" doc:"When it was decided"`
	Payload    string     `json:"payload,omitempty" doc:"What GitHub sent; only of a single delivery"`
}

// Preview is an app for one pull request.
type Preview struct {
	Number    int        `json:"number" doc:"Of the pull request"`
	Title     string     `json:"title" doc:"The pull request's"`
	Author    string     `json:"author" doc:"Who opened it"`
	Fork      bool       `json:"fork" doc:"Whether its commits come from another repository"`
	State     string     `json:"state" enum:"waiting,active,refused,closed" doc:"Where it is"`
	Reason    string     `json:"reason" doc:"Why it is not active"`
	Commit    string     `json:"commit" doc:"The newest"`
	Approved  string     `json:"approved" doc:"The commit of a fork that a member let be built"`
	App       string     `json:"app" doc:"The app that shows it; empty while there is none"`
	URL       string     `json:"url" doc:"Where it answers"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When it ends, unless something changes"`
	CreatedAt time.Time  `json:"created_at" doc:"When it was made"`
}

// PreviewApproval lets a fork's commit be built.
type PreviewApproval struct {
	Commit string `json:"commit" maxLength:"64" doc:"The whole name of the commit that you looked at; refused when there is a newer one"`
	Config bool   `json:"config,omitempty" doc:"Let the fork's code read the app's variables"`
}

const gitHubPath = customer + "/github"

// GitHub returns what Sky is connected with.
func (c *Client) GitHub(ctx context.Context) (GitHubHost, error) {
	return call[GitHubHost](ctx, c, http.MethodGet, admin+"/github", nil)
}

// SetGitHub connects Sky with a GitHub.
func (c *Client) SetGitHub(ctx context.Context, host NewGitHubHost) (GitHubHost, error) {
	return call[GitHubHost](ctx, c, http.MethodPut, admin+"/github", host)
}

// ForgetGitHub disconnects Sky from its GitHub.
func (c *Client) ForgetGitHub(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, admin+"/github", nil)
}

// AuthorizeGitHub begins to connect your account at GitHub.
func (c *Client) AuthorizeGitHub(ctx context.Context, public bool) (GitHubAuthorization, error) {
	return call[GitHubAuthorization](ctx, c, http.MethodPost, gitHubPath+"/authorize", NewGitHubAuthorization{public})
}

// ConfirmGitHub finishes it.
func (c *Client) ConfirmGitHub(ctx context.Context, code GitHubCode) (GitHubConnection, error) {
	return call[GitHubConnection](ctx, c, http.MethodPost, gitHubPath+"/connection", code)
}

// GitHubConnection returns your account at GitHub.
func (c *Client) GitHubConnection(ctx context.Context) (GitHubConnection, error) {
	return call[GitHubConnection](ctx, c, http.MethodGet, gitHubPath+"/connection", nil)
}

// DisconnectGitHub forgets it, and has GitHub revoke the token.
func (c *Client) DisconnectGitHub(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, gitHubPath+"/connection", nil)
}

// GitHubRepositories lists the repositories that you reach.
func (c *Client) GitHubRepositories(ctx context.Context, search string) ([]GitHubRepository, error) {
	return list[GitHubRepository](ctx, c, gitHubPath+"/repositories?search="+url.QueryEscape(search))
}

// GitHubBranches lists a repository's branches, those that begin with prefix.
func (c *Client) GitHubBranches(ctx context.Context, repository, prefix string) ([]GitHubBranch, error) {
	return list[GitHubBranch](ctx, c, gitHubPath+"/repositories/"+repository+"/branches?prefix="+url.QueryEscape(prefix))
}

// LinkGitHub links an app with a repository.
func (c *Client) LinkGitHub(ctx context.Context, app string, link NewGitHubLink) (GitHubLink, error) {
	return call[GitHubLink](ctx, c, http.MethodPost, appPath(app)+"/github", link)
}

// GitHubLink returns an app's link.
func (c *Client) GitHubLink(ctx context.Context, app string) (GitHubLink, error) {
	return call[GitHubLink](ctx, c, http.MethodGet, appPath(app)+"/github", nil)
}

// ChangeGitHubLink changes it.
func (c *Client) ChangeGitHubLink(ctx context.Context, app string, change GitHubLinkChange) (GitHubLink, error) {
	return call[GitHubLink](ctx, c, http.MethodPatch, appPath(app)+"/github", change)
}

// UnlinkGitHub ends it.
func (c *Client) UnlinkGitHub(ctx context.Context, app string) error {
	return c.do(ctx, http.MethodDelete, appPath(app)+"/github", nil)
}

// RepairGitHubLink makes its webhook anew and takes it over.
func (c *Client) RepairGitHubLink(ctx context.Context, app string) (GitHubLink, error) {
	return call[GitHubLink](ctx, c, http.MethodPost, appPath(app)+"/github/repair", nil)
}

// DeployFromGitHub deploys something of the linked repository.
func (c *Client) DeployFromGitHub(ctx context.Context, app, ref string) (Build, error) {
	return call[Build](ctx, c, http.MethodPost, appPath(app)+"/github/deploy", GitHubDeploy{ref})
}

// Deliveries lists what GitHub delivered to an app, the newest first.
func (c *Client) Deliveries(ctx context.Context, app, outcome string) ([]Delivery, error) {
	page, err := call[Page[Delivery]](ctx, c, http.MethodGet, appPath(app)+"/github/deliveries?limit=100&outcome="+url.QueryEscape(outcome), nil)
	return page.Items, err
}

// Delivery returns one delivery with its payload.
func (c *Client) Delivery(ctx context.Context, app, id string) (Delivery, error) {
	return call[Delivery](ctx, c, http.MethodGet, appPath(app)+"/github/deliveries/"+url.PathEscape(id), nil)
}

// ReplayDelivery has a delivery decided on once more.
func (c *Client) ReplayDelivery(ctx context.Context, app, id string) (Delivery, error) {
	return call[Delivery](ctx, c, http.MethodPost, appPath(app)+"/github/deliveries/"+url.PathEscape(id)+"/replay", nil)
}

// Previews lists the previews of an app's pull requests.
func (c *Client) Previews(ctx context.Context, app string) ([]Preview, error) {
	return call[[]Preview](ctx, c, http.MethodGet, appPath(app)+"/previews", nil)
}

// ApprovePreview lets a fork's commit be built.
func (c *Client) ApprovePreview(ctx context.Context, app string, number int, approval PreviewApproval) (Preview, error) {
	return call[Preview](ctx, c, http.MethodPost, previewPath(app, number)+"/approve", approval)
}

// ClosePreview ends a preview.
func (c *Client) ClosePreview(ctx context.Context, app string, number int) error {
	return c.do(ctx, http.MethodDelete, previewPath(app, number), nil)
}

func previewPath(app string, number int) string {
	return appPath(app) + "/previews/" + strconv.Itoa(number)
}
