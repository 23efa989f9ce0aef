package platform

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestRevokedToken: what it cannot fetch fails and says what to do; what is live
// goes on, and what was missed is deployed once somebody connects again.
func TestRevokedToken(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	for _, token := range l.host.Tokens("acme") {
		l.host.RevokeToken(token)
	}
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.quiet()
	failed := l.last("push")
	require.Equal(t, models.OutcomeFailed, failed.Outcome)
	require.Equal(t, models.DeliveryFailed, failed.State)
	require.Contains(t, failed.Reason, "sky github connect")
	require.Contains(t, l.own().Trouble, "sky github connect")
	connection, _, err := l.GitHubConnection(t.Context(), l.actor)
	require.NoError(t, err)
	require.NotEmpty(t, connection.Trouble)
	require.Equal(t, first, l.liveCommit(l.app.ID))
	l.comesRound()
	require.Equal(t, first, l.liveCommit(l.app.ID))
	l.connect()
	l.live(second)
	l.quiet()
	require.Empty(t, l.own().Trouble)
	require.Equal(t, []string{first, second}, l.builds())
	require.Equal(t, models.OutcomeDeployed, l.last(eventCatchUp).Outcome)
}

// TestOneRepositoryThatIsForbidden is no reason to distrust the token, which is
// good for others.
func TestOneRepositoryThatIsForbidden(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	l.quiet()
	for _, status := range []int{http.StatusForbidden, http.StatusUnauthorized} {
		l.host.Fail("/acme/shop.git", status, 4)
		l.commit("main", "change", map[string]string{"index.html": http.StatusText(status)})
		l.quiet()
		require.Equal(t, models.OutcomeFailed, l.last("push").Outcome)
		require.NotEmpty(t, l.own().Trouble)
		connection, _, err := l.GitHubConnection(t.Context(), l.actor)
		require.NoError(t, err)
		require.Empty(t, connection.Trouble, "%d", status)
		l.host.Up()
	}
	l.comesRound()
	l.live(l.host.Head(shopRepository, "main"))
	require.Empty(t, l.own().Trouble)
}

// TestRepositoryThatGoes away and comes back, by other names.
func TestRepositoryThatMoves(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	l.quiet()
	push := func(name, text string) string {
		t.Helper()
		sha, err := l.host.Push(github.Push{Repo: name, Branch: "main", Commits: commitOf(text, "index.html")})
		require.NoError(t, err)
		return sha
	}
	require.NoError(t, l.host.RenameRepository(shopRepository, "store"))
	l.quiet()
	require.Equal(t, "acme/store", l.own().Repository)
	require.Equal(t, models.OutcomeNoted, l.last("repository").Outcome)
	l.live(push("acme/store", "renamed"))

	l.host.Lose(1, "repository")
	require.NoError(t, l.host.RenameRepository("acme/store", "kiosk"))
	require.NoError(t, l.host.AddRepository("acme/store", false)) // somebody takes the name that is free
	taken := push("acme/store", "of somebody else")
	l.comesRound()
	require.Equal(t, "acme/kiosk", l.own().Repository)
	l.host.Lose(1, "push")
	kiosk := push("acme/kiosk", "by its third name")
	l.comesRound()
	l.live(kiosk)
	require.NotContains(t, l.builds(), taken, "another repository is never built")

	l.host.AddUser("bob")
	require.NoError(t, l.host.TransferRepository("acme/kiosk", "bob"))
	require.NoError(t, l.host.AddCollaborator("bob/kiosk", "acme", "admin"))
	l.comesRound()
	require.Equal(t, "bob/kiosk", l.own().Repository)
	l.live(push("bob/kiosk", "transferred"))
}

// TestRepositoryThatIsGone: the link says so, and nothing happens to what is live.
func TestRepositoryThatIsGone(t *testing.T) {
	for name, lost := range map[string]int{"told": 0, "found out": 1} {
		t.Run(name, func(t *testing.T) {
			l := newLinked(t)
			first := l.link(GitHubLinkChange{})
			l.quiet()
			l.host.Lose(lost, "repository")
			require.NoError(t, l.host.DeleteRepository(shopRepository))
			l.quiet()
			l.comesRound()
			require.NotEmpty(t, l.own().Trouble)
			require.Equal(t, first, l.liveCommit(l.app.ID))
			require.Equal(t, []string{first}, l.builds())
			_, err := l.DeployFromGitHub(t.Context(), l.actor, l.app, "")
			require.True(t, models.IsCode(err, models.NotFound), "%v", err)
			require.NoError(t, l.UnlinkGitHub(t.Context(), l.actor, l.app), "it can be unlinked all the same")
		})
	}
}

// TestRepositoryThatIsTakenFromWhoLinked is deployed no more.
func TestRepositoryThatIsTakenFromWhoLinked(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	l.host.AddUser("bob")
	require.NoError(t, l.host.TransferRepository(shopRepository, "bob"))
	l.quiet()
	l.comesRound()
	require.NotEmpty(t, l.own().Trouble)
	_, err := l.host.Push(github.Push{Repo: "bob/shop", Branch: "main", Commits: commitOf("bob's", "index.html")})
	require.NoError(t, err)
	l.quiet()
	require.Equal(t, models.OutcomeFailed, l.last("push").Outcome)
	require.Equal(t, first, l.liveCommit(l.app.ID))
}

// TestGitHubIsDown: deliveries that came before wait, whatever GitHub answers, and
// are decided once it is back.
func TestGitHubIsDown(t *testing.T) {
	for name, status := range map[string]int{"closed": github.StatusClosed, "502": http.StatusBadGateway, "500": http.StatusInternalServerError, "429": http.StatusTooManyRequests} {
		t.Run(name, func(t *testing.T) {
			l := newLinked(t)
			first := l.link(GitHubLinkChange{})
			l.quiet()
			l.host.Down(status)
			second := l.commit("main", "second", map[string]string{"index.html": "two"})
			l.eventually("it waits", func() bool { return l.last("push").Outcome == models.OutcomeWaiting })
			require.Equal(t, models.DeliveryReceived, l.last("push").State)
			require.NotEmpty(t, l.last("push").Reason)
			l.comesRoundVain()
			require.Empty(t, l.own().Trouble, "that is no fault of the link's")
			connection, _, err := l.GitHubConnection(t.Context(), l.actor)
			require.NoError(t, err)
			require.Empty(t, connection.Trouble)
			require.Equal(t, first, l.liveCommit(l.app.ID))
			l.host.Up()
			l.hasten(taskDeliveries, l.app.ID)
			l.live(second)
			l.quiet()
			require.Equal(t, []models.Outcome{models.OutcomeDeployed}, l.outcomes("push"))
			require.Equal(t, []string{first, second}, l.builds())
		})
	}
}

// comesRoundVain has the catch-up look, though it cannot see anything.
func (l *linked) comesRoundVain() {
	l.t.Helper()
	err := l.catchUp(l.t.Context(), l.own().ID)
	require.Error(l.t, err)
	require.Positive(l.t, pauseAfter(err, 1), "it is tried again: %v", err)
}

// TestADayLongOutage: the task was given up; the catch-up takes its deliveries up.
func TestADayLongOutage(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	_, err := l.Store.AddDelivery(t.Context(), &models.WebhookDelivery{ // without a task: that one has failed
		ID: models.NewID(), AppID: &l.app.ID, Scope: l.app.ID.String(), Provider: gitHubProvider, Delivery: "yesterday", Event: "push",
		Ref: "refs/heads/main", Commit: oid(8), Body: []byte{}, State: models.DeliveryReceived, CreatedAt: now().Add(-2 * taskPatience),
	})
	require.NoError(t, err)
	l.host.Lose(1, "push")
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.comesRound()
	l.live(second)
	l.quiet()
	require.Equal(t, models.OutcomeDeployed, l.last("push").Outcome)
	require.Equal(t, []string{first, second}, l.builds())
}

// TestRateLimits keep statuses waiting, and deployments going.
func TestRateLimits(t *testing.T) {
	for name, limit := range map[string]github.RateLimit{
		"primary": {RetryAfter: 40 * time.Minute}, "secondary": {Secondary: true, RetryAfter: 40 * time.Minute},
		"429": {Status: http.StatusTooManyRequests, RetryAfter: 40 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLinked(t)
			l.link(GitHubLinkChange{})
			l.quiet()
			l.host.Limit(limit)
			second := l.commit("main", "second", map[string]string{"index.html": "two"})
			l.live(second)
			l.settled()
			require.Equal(t, models.OutcomeDeployed, l.last("push").Outcome)
			build := l.last("push").Build.ID
			told := l.refusedReport(build)
			require.Contains(t, told.Error, "rate limit")
			require.Empty(t, told.State)
			err := l.report(t.Context(), build)
			require.Greater(t, pauseAfter(err, 1), 30*time.Minute, "GitHub is left alone as long as it asks: %v", err)
			require.Empty(t, l.status(second).State)
			l.host.Up()
			l.hasten(taskReport, build)
			l.eventually("it is told later", func() bool { return l.status(second).State == "success" })
			l.quiet()
			told, err = l.Store.GitHubReport(t.Context(), build)
			require.NoError(t, err)
			require.Empty(t, told.Error)
			require.Len(t, l.host.Deployments(shopRepository), 2, "one for each build")
		})
	}
}

// refusedReport waits for what GitHub did not take of a Build.
func (l *linked) refusedReport(build models.ID) (told models.GitHubReport) {
	l.t.Helper()
	l.eventually("GitHub was not told", func() bool {
		var err error
		told, err = l.Store.GitHubReport(l.t.Context(), build)
		return err == nil && told.Error != ""
	})
	return told
}

// TestStatusesThatAreRefused for good are not tried for ever, and harm nothing.
func TestStatusesThatAreRefused(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	l.quiet()
	l.host.Fail("/api/v3/repos/acme/shop/statuses", http.StatusForbidden, 1000)
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.live(second)
	l.quiet()
	build := l.last("push").Build
	require.Equal(t, models.BuildSucceeded, build.State)
	told := l.refusedReport(build.ID)
	require.Equal(t, "success", told.State, "that is all that will be said")
	require.Contains(t, told.Error, "does not let Sky write the commit's status")
	asked := 0
	for _, request := range l.host.Requests() {
		if strings.HasSuffix(request.Path, "/statuses/"+second) {
			asked++
		}
	}
	require.LessOrEqual(t, asked, 2, "once for each state")
	require.Empty(t, l.own().Trouble)
}

// TestWhoMayNoLongerDeploy: what they linked deploys nothing, until somebody else
// takes the link over.
func TestWhoMayNoLongerDeploy(t *testing.T) {
	l := newLinked(t)
	bob := models.User{ID: models.NewID(), Name: "bob"}
	require.NoError(t, l.Store.CreateUser(t.Context(), &bob))
	member := models.Membership{ID: models.NewID(), OrganisationID: l.app.OrganisationID, UserID: bob.ID, Role: models.RoleDeveloper}
	require.NoError(t, l.Store.CreateMembership(t.Context(), &member))
	admin := l.actor
	l.stage.actor = models.Actor{UserID: bob.ID, Name: "bob", Scopes: models.AllScopes()}
	first := l.link(GitHubLinkChange{})
	l.quiet()
	organisation, err := l.Store.Organisation(t.Context(), l.app.OrganisationID)
	require.NoError(t, err)
	require.NoError(t, l.RemoveMember(t.Context(), admin, organisation.Name, "bob"))
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.quiet()
	require.Equal(t, models.OutcomeFailed, l.last("push").Outcome)
	require.Contains(t, l.last("push").Reason, "sky github repair")
	require.Equal(t, first, l.liveCommit(l.app.ID))
	l.stage.actor = admin
	l.connect()
	l.quiet()
	require.Equal(t, first, l.liveCommit(l.app.ID), "not by who merely connects")
	_, err = l.RepairGitHubLink(t.Context(), admin, l.app)
	require.NoError(t, err)
	l.live(second)
	require.Len(t, l.host.Hooks(shopRepository), 1)
}

// TestCrashBeforeADecision: the delivery was kept when Sky died.
func TestCrashBeforeADecision(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	release := l.host.Stall("/acme/shop.git")
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	require.NoError(t, l.host.Quiet(t.Context()))
	l.Stop()
	release()
	require.Equal(t, models.DeliveryReceived, l.last("push").State)
	l.open(t)
	l.live(second)
	l.quiet()
	require.Equal(t, []string{first, second}, l.builds())
	require.Equal(t, []models.Outcome{models.OutcomeDeployed}, l.outcomes("push"))
}

// TestCrashDuringABuild: it is built on, not lined up again.
func TestCrashDuringABuild(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	l.quiet()
	whole := l.stage.build.build
	begun := make(chan struct{})
	l.stage.build.build = func(ctx context.Context, _ buildpipeline.Job) error {
		close(begun)
		<-ctx.Done()
		return context.Cause(ctx)
	}
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	<-begun
	l.settled()
	l.Stop()
	l.stage.build.build = whole
	l.open(t)
	l.comesRound()
	l.live(second)
	l.quiet()
	builds, err := l.Store.Builds(t.Context(), l.app.ID, 10)
	require.NoError(t, err)
	require.Len(t, builds, 2, "one for each commit")
	l.eventually("GitHub knows", func() bool { return l.status(second).State == "success" })
	require.Len(t, l.host.Deployments(shopRepository), 2)
}

// TestCrashAfterTheSwitch: the release was live when Sky died, but nobody was told.
func TestCrashAfterTheSwitch(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	l.quiet()
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.live(second)
	l.quiet()
	told := len(l.host.Statuses(shopRepository, second))
	release, err := l.Store.ReleaseOfBuild(t.Context(), l.last("push").Build.ID)
	require.NoError(t, err)
	deployment, err := l.Store.DeploymentOf(t.Context(), release.ID)
	require.NoError(t, err)
	l.Stop()
	deployment.State = models.DeploymentRolling
	require.NoError(t, l.Store.SaveDeployment(t.Context(), &deployment))
	require.NoError(t, l.Store.PutGitHubReport(t.Context(), &models.GitHubReport{BuildID: *release.BuildID, State: "pending"}))
	l.open(t)
	l.eventually("GitHub knows", func() bool { return len(l.host.Statuses(shopRepository, second)) > told })
	require.Equal(t, "success", l.status(second).State)
	newest, err := l.Store.DeploymentOf(t.Context(), deployment.ReleaseID)
	require.NoError(t, err)
	require.Equal(t, models.DeploymentLive, newest.State)
}

// TestCrashBeforeAnAnswer: GitHub made the deployment, and Sky died before it knew.
func TestCrashBeforeAnAnswer(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	release, err := l.Store.Release(t.Context(), *l.stage.live(t).LiveReleaseID)
	require.NoError(t, err)
	known, err := l.Store.GitHubReport(t.Context(), *release.BuildID)
	require.NoError(t, err)
	told := len(l.host.Statuses(shopRepository, first))
	require.NoError(t, l.Store.PutGitHubReport(t.Context(), &models.GitHubReport{BuildID: *release.BuildID}))
	l.hasten(taskReport, *release.BuildID)
	l.eventually("it is told", func() bool { return len(l.host.Statuses(shopRepository, first)) > told })
	l.idle()
	require.Len(t, l.host.Deployments(shopRepository), 1, "that one is found again")
	again, err := l.Store.GitHubReport(t.Context(), *release.BuildID)
	require.NoError(t, err)
	require.Equal(t, known.Deployment, again.Deployment)
}
