package platform

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// gitRepositories are real ones, that fetch from a real git http-backend.
type gitRepositories struct {
	*gitserver.Repositories
	fetcher gitserver.Fetcher
}

func (r gitRepositories) remote(remote Remote) gitserver.Remote {
	return gitserver.Remote{URL: remote.URL, Token: remote.Token, Client: &http.Client{Timeout: patience}}
}

func (r gitRepositories) RemoteHead(ctx context.Context, remote Remote, ref string) (string, error) {
	return r.fetcher.Head(ctx, r.remote(remote), ref)
}

func (r gitRepositories) Fetch(ctx context.Context, app models.ID, remote Remote, ref string) (string, error) {
	return r.fetcher.Fetch(ctx, app, r.remote(remote), ref)
}

func (r gitRepositories) Files(ctx context.Context, app models.ID, commit string) (Files, error) {
	tree, err := r.Tree(ctx, app, commit)
	return gitFiles{tree}, err
}

type gitFiles struct{ *gitserver.Tree }

func (gitFiles) Warnings() ([]string, error) { return nil, nil }

// linked is a stage whose Platform is connected with a GitHub stand-in, which
// delivers to it.
type linked struct {
	*stage
	t    *testing.T
	host *github.Host
	door *httptest.Server

	mu    sync.Mutex
	built []string // commits, in the order in which they were
}

const shopRepository = "acme/shop"

func newLinked(t *testing.T) *linked {
	t.Helper()
	l := &linked{t: t, host: github.Start(t)}
	l.door = httptest.NewServer(http.HandlerFunc(l.serve))
	t.Cleanup(l.door.Close)
	repos := &gitserver.Repositories{Dir: filepath.Join(t.TempDir(), "repositories"), Log: slog.New(slog.DiscardHandler)}
	l.stage = newStage(t, func(p *Platform) {
		p.Repositories = gitRepositories{repos, gitserver.Fetcher{Repositories: repos}}
		p.Settings.PublicURL, p.Settings.CatchUpEvery = l.door.URL, time.Hour
	})
	l.stage.build.build = func(_ context.Context, job buildpipeline.Job) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.built = append(l.built, job.Commit)
		return nil
	}
	l.host.AddUser("acme")
	require.NoError(t, l.host.AddRepository(shopRepository, true))
	registered := l.host.AddOAuthApp(l.door.URL + CallbackPath)
	_, err := l.SetGitHubHost(t.Context(), l.actor, NewGitHubHost{
		URL: l.host.URL, ClientID: registered.ClientID, ClientSecret: registered.ClientSecret,
	})
	require.NoError(t, err)
	return l
}

// serve is the door that GitHub delivers to, and that browsers come back to.
func (l *linked) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == CallbackPath {
		done, err := l.ArriveFromGitHub(r.Context(), models.Actor{}, Arrival{
			State: r.URL.Query().Get("state"), Code: r.URL.Query().Get("code"), Error: r.URL.Query().Get("error"),
		})
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, err.Error())
			return
		}
		_, _ = io.WriteString(w, done.Code)
		return
	}
	body, _ := io.ReadAll(r.Body)
	_, err := l.Deliver(r.Context(), Incoming{
		Link: strings.Trim(strings.TrimPrefix(r.URL.Path, WebhookPath), "/"), Event: r.Header.Get("X-GitHub-Event"),
		Delivery: r.Header.Get("X-GitHub-Delivery"), ContentType: r.Header.Get("Content-Type"), Signature: r.Header.Get("X-Hub-Signature-256"), Body: body,
	})
	switch models.CodeOf(err) {
	case models.Unauthorized:
		w.WriteHeader(http.StatusUnauthorized)
	case models.NotFound:
		w.WriteHeader(http.StatusNotFound)
	default:
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	}
}

// connect connects the admin with acme at GitHub, as a terminal does.
func (l *linked) connect() {
	l.t.Helper()
	begun, err := l.AuthorizeGitHub(l.t.Context(), l.actor, false)
	require.NoError(l.t, err)
	require.True(l.t, begun.NeedsCode)
	code := l.browse(begun.URL)
	_, err = l.ConfirmGitHub(l.t.Context(), l.actor, begun.ID.String(), code)
	require.NoError(l.t, err)
}

// browse opens an address as a browser does, and returns what it ends on.
func (l *linked) browse(address string) string {
	l.t.Helper()
	answer, err := http.Get(address) //nolint:noctx // a test's
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, answer.Body.Close()) }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(l.t, err)
	return string(text)
}

// link pushes a first commit to GitHub and links the app with it.
func (l *linked) link(change GitHubLinkChange) string {
	l.t.Helper()
	l.connect()
	first := l.commit("main", "first", map[string]string{"index.html": "one"})
	_, err := l.LinkGitHub(l.t.Context(), l.actor, l.app, shopRepository, change)
	require.NoError(l.t, err)
	l.live(first)
	return first
}

// commit pushes to GitHub, which delivers it.
func (l *linked) commit(branch, message string, files map[string]string) string {
	l.t.Helper()
	sha, err := l.host.Push(github.Push{Repo: shopRepository, Branch: branch, Commits: []github.Commit{{Message: message, Files: files}}})
	require.NoError(l.t, err)
	return sha
}

// eventually waits for what the platform does by itself.
func (l *linked) eventually(what string, holds func() bool) {
	l.t.Helper()
	require.Eventually(l.t, holds, patience, 5*time.Millisecond, what)
}

// live waits until the app serves the commit.
func (l *linked) live(commit string) {
	l.t.Helper()
	l.eventually("live "+commit, func() bool { return l.liveCommit(l.app.ID) == commit })
}

func (l *linked) liveCommit(id models.ID) string {
	app, err := l.Store.App(context.WithoutCancel(l.t.Context()), id)
	if err != nil || app.LiveReleaseID == nil {
		return ""
	}
	release, err := l.Store.Release(l.t.Context(), *app.LiveReleaseID)
	if err != nil {
		return ""
	}
	return release.Commit
}

// outcomes are what became of an app's deliveries of an event, the oldest first.
func (l *linked) outcomes(event string) []models.Outcome {
	l.t.Helper()
	page, err := l.Deliveries(l.t.Context(), l.app, DeliveriesAsked{Event: event}, models.PageRequest{Limit: 200})
	require.NoError(l.t, err)
	outcomes := make([]models.Outcome, 0, len(page.Items))
	for _, row := range page.Items {
		outcomes = append([]models.Outcome{row.Outcome}, outcomes...)
	}
	return outcomes
}

// settled waits until every delivery that came is decided on.
func (l *linked) settled() {
	l.t.Helper()
	require.NoError(l.t, l.host.Quiet(l.t.Context()))
	l.eventually("deliveries are decided on", func() bool {
		open, err := l.Store.OpenDeliveries(l.t.Context(), l.app.ID, 1)
		return err == nil && len(open) == 0
	})
}

// status is the newest that GitHub has of a commit.
func (l *linked) status(commit string) github.Status {
	statuses := l.host.Statuses(shopRepository, commit)
	if len(statuses) == 0 {
		return github.Status{}
	}
	return statuses[len(statuses)-1]
}

func (l *linked) builds() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.built...)
}

func TestPushToGitHubGoesLive(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.live(second)
	l.quiet()
	require.Equal(t, []string{first, second}, l.builds(), "each is built once")
	require.Equal(t, []models.Outcome{models.OutcomeDeployed}, l.outcomes("push"))
	require.Equal(t, []models.Outcome{models.OutcomeNoted}, l.outcomes("ping"))
	ref, err := l.Repositories.Ref(t.Context(), l.app.ID, "refs/heads/main")
	require.NoError(t, err)
	require.Equal(t, second, ref, "the deploy branch is what is live")

	l.eventually("the status is green", func() bool {
		return l.status(second).State == "success"
	})
	status := l.status(second)
	require.Equal(t, "sky/shop", status.Context)
	require.Contains(t, status.TargetURL, "/builds/shop/2")
	l.eventually("the deployment is live", func() bool {
		deployments := l.host.Deployments(shopRepository)
		return len(deployments) == 2 && deployments[1].State() == "success"
	})
	require.Len(t, l.host.Deployments(shopRepository), 2, "one for each build")
	hooks := l.host.Hooks(shopRepository)
	require.Len(t, hooks, 1)
	require.NotEmpty(t, hooks[0].Secret)
}

func TestBrokenBuildTurnsRed(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.stage.build.build = func(context.Context, buildpipeline.Job) error {
		return models.Errorf(models.Failed, "npm ERR! missing script")
	}
	broken := l.commit("main", "break it", map[string]string{"index.html": "broken"})
	l.eventually("the status is red", func() bool {
		return l.status(broken).State == "failure" && strings.Contains(l.status(broken).Description, "npm ERR!")
	})
	require.Equal(t, first, l.liveCommit(l.app.ID))
}
