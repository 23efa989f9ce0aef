package platform

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// previewing links the app with previews on, and gives it config.
func previewing(t *testing.T, change GitHubLinkChange) *linked {
	t.Helper()
	l := newLinked(t)
	on, hidden := true, []string{"HIDDEN"}
	change.Previews, change.PreviewHidden = &on, &hidden
	require.NoError(t, l.storeConfig(t.Context(), l.Store, l.app.ID, ConfigChange{Set: map[string]string{"SECRET": "canary", "HIDDEN": "canary"}}))
	l.link(change)
	l.quiet()
	return l
}

// fork is a pull request of somebody whom nobody knows.
func (l *linked) fork() (number int, commit string) {
	l.t.Helper()
	l.host.AddUser("mallory")
	_, err := l.host.Fork(shopRepository, "mallory")
	require.NoError(l.t, err)
	commit = l.forkPush("evil")
	number, err = l.host.OpenPull(shopRepository, "mallory:feature", "main", "free money")
	require.NoError(l.t, err)
	return number, commit
}

func (l *linked) forkPush(text string) string {
	l.t.Helper()
	sha, err := l.host.Push(github.Push{Repo: "mallory/shop", Branch: "feature", Commits: commitOf(text, "index.html")})
	require.NoError(l.t, err)
	return sha
}

func (l *linked) branchPull(branch string) (number int, commit string) {
	l.t.Helper()
	commit = l.commit(branch, branch, map[string]string{"index.html": branch})
	number, err := l.host.OpenPull(shopRepository, branch, "main", branch)
	require.NoError(l.t, err)
	return number, commit
}

func (l *linked) previewRow(number int) models.GitHubPreview {
	l.t.Helper()
	preview, err := l.Store.GitHubPreview(l.t.Context(), l.own().ID, number)
	if models.IsCode(err, models.NotFound) {
		return models.GitHubPreview{}
	}
	require.NoError(l.t, err)
	return preview
}

// shows waits until the pull request's preview serves the commit.
func (l *linked) shows(number int, commit string) models.App {
	l.t.Helper()
	var app models.App
	l.eventually("the preview shows "+commit, func() bool {
		preview := l.previewRow(number)
		if preview.AppID == nil || l.liveCommit(*preview.AppID) != commit {
			return false
		}
		var err error
		app, err = l.Store.App(l.t.Context(), *preview.AppID)
		return err == nil
	})
	return app
}

func (l *linked) approve(number int, commit string, config bool) {
	l.t.Helper()
	_, err := l.ApprovePreview(l.t.Context(), l.actor, l.app, number, commit, config)
	require.NoError(l.t, err)
}

func (l *linked) configOf(app models.App) map[string]string {
	l.t.Helper()
	config, err := l.config(l.t.Context(), app.ID)
	require.NoError(l.t, err)
	return config
}

// TestForkThatWantsSecrets: no commit of a fork is built that nobody approved, and
// none reads what nobody let it read.
func TestForkThatWantsSecrets(t *testing.T) {
	l := previewing(t, GitHubLinkChange{})
	number, evil := l.fork()
	l.quiet()
	l.comesRound()
	require.Equal(t, models.OutcomeApproval, l.last("pull_request").Outcome)
	require.Equal(t, models.PreviewWaiting, l.previewRow(number).State)
	require.Nil(t, l.previewRow(number).AppID, "there is not even an app")
	require.NotContains(t, l.builds(), evil)
	require.Contains(t, l.comment(number), "waits for approval")

	for _, other := range []string{oid(3), evil[:12], "", "x", evil + "0"} {
		_, err := l.ApprovePreview(t.Context(), l.actor, l.app, number, other, false)
		require.True(t, models.IsCode(err, models.Stale), "%s: %v", other, err)
	}
	l.approve(number, evil, false)
	app := l.shows(number, evil)
	require.Empty(t, l.configOf(app), "its code may read nothing")
	require.False(t, app.RootUser)

	second := l.forkPush("more evil")
	l.quiet()
	require.Equal(t, models.PreviewWaiting, l.previewRow(number).State, "another commit needs another approval")
	require.NotContains(t, l.builds(), second)
	l.approve(number, second, true)
	l.shows(number, second)
	require.Equal(t, map[string]string{"SECRET": "canary"}, l.configOf(app), "less what is hidden from previews")

	third := l.forkPush("read what the second might")
	l.quiet()
	l.approve(number, third, false)
	l.shows(number, third)
	require.Empty(t, l.configOf(app), "what the second might read, the third may not")
}

// TestForkThatMovesBeneathTheApproval: a commit that comes between the approval and
// the fetch is not built, and can be approved afterwards.
func TestForkThatMovesBeneathTheApproval(t *testing.T) {
	l := previewing(t, GitHubLinkChange{})
	number, shown := l.fork()
	l.quiet()
	release := l.host.Stall("/acme/shop.git")
	l.approve(number, shown, true)
	l.eventually("it is fetched", func() bool { return l.previewRow(number).AppID != nil })
	l.host.Lose(-1, "pull_request")
	sneaked := l.forkPush("sneaked in")
	release()
	l.quiet()
	l.comesRound()
	l.quiet()
	require.NotContains(t, l.builds(), sneaked)
	require.Equal(t, models.PreviewWaiting, l.previewRow(number).State)
	_, err := l.ApprovePreview(t.Context(), l.actor, l.app, number, shown, true)
	require.True(t, models.IsCode(err, models.Stale), "%v", err)
	l.approve(number, sneaked, false)
	app := l.shows(number, sneaked)
	require.Empty(t, l.configOf(app))
}

// TestPreviewOfABranch has the config that is not hidden, follows its pull request
// and leaves nothing.
func TestPreviewOfABranch(t *testing.T) {
	l := previewing(t, GitHubLinkChange{})
	number, first := l.branchPull("feature")
	app := l.shows(number, first)
	l.quiet()
	require.Equal(t, map[string]string{"SECRET": "canary"}, l.configOf(app))
	require.Equal(t, models.OutcomePreview, l.last("pull_request").Outcome)
	second := l.commit("feature", "second", map[string]string{"index.html": "2"})
	l.shows(number, second)
	l.quiet()
	l.eventually("GitHub has its address", func() bool { return len(l.host.Comments(shopRepository, number)) == 1 })
	require.Contains(t, l.comment(number), l.Settings.URL(app.Name))
	require.NoError(t, l.host.ClosePull(shopRepository, number, false))
	l.quiet()
	l.gone(number, app)
	require.Len(t, l.host.Comments(shopRepository, number), 1, "one comment, changed in place")
	require.Contains(t, l.comment(number), "gone")
	for _, deployment := range l.host.Deployments(shopRepository) {
		if deployment.Environment == app.Name {
			require.Equal(t, "inactive", deployment.State())
		}
	}
	for range 2 {
		l.comesRound()
	}
	require.Nil(t, l.previewRow(number).AppID)
	require.NoError(t, l.host.ReopenPull(shopRepository, number))
	l.shows(number, second)
}

func (l *linked) comment(number int) string {
	l.t.Helper()
	comments := l.host.Comments(shopRepository, number)
	require.NotEmpty(l.t, comments)
	return comments[len(comments)-1].Body
}

// gone asserts that nothing is left of a preview.
func (l *linked) gone(number int, app models.App) {
	l.t.Helper()
	ctx := l.t.Context()
	preview := l.previewRow(number)
	require.Equal(l.t, models.PreviewClosed, preview.State)
	require.Nil(l.t, preview.AppID)
	require.Empty(l.t, preview.Approved)
	_, err := l.Store.App(ctx, app.ID)
	require.True(l.t, models.IsCode(err, models.NotFound))
	_, err = l.Store.GitHubLinkOf(ctx, app.ID)
	require.True(l.t, models.IsCode(err, models.NotFound))
	instances, err := l.Store.Instances(ctx, app.ID)
	require.NoError(l.t, err)
	require.Empty(l.t, instances)
	_, err = l.Repositories.Ref(ctx, app.ID, "refs/heads/main")
	require.Error(l.t, err, "its repository is gone")
}

// TestPreviewsThatEnd by themselves, or by hand, come back with the next commit, and
// not before.
func TestPreviewsThatEnd(t *testing.T) {
	for name, end := range map[string]func(l *linked, number int) error{
		"expired": func(l *linked, _ int) error { return l.expirePreviews(l.t.Context(), now().Add(73*time.Hour)) },
		"by hand": func(l *linked, number int) error { return l.ClosePreview(l.t.Context(), l.actor, l.app, number) },
	} {
		t.Run(name, func(t *testing.T) {
			l := previewing(t, GitHubLinkChange{})
			number, first := l.branchPull("feature")
			app := l.shows(number, first)
			l.quiet()
			require.NoError(t, l.expirePreviews(t.Context(), now().Add(71*time.Hour)))
			require.NotNil(t, l.previewRow(number).AppID)
			require.NoError(t, end(l, number))
			l.gone(number, app)
			for range 2 {
				l.comesRound()
				l.quiet()
			}
			require.Nil(t, l.previewRow(number).AppID, "the catch-up does not bring it back")
			l.shows(number, l.commit("feature", "next", map[string]string{"index.html": "next"}))
		})
	}
}

// TestPreviewQuota: one more than the link allows waits until there is room.
func TestPreviewQuota(t *testing.T) {
	one := 1
	l := previewing(t, GitHubLinkChange{PreviewMost: &one})
	first, commit := l.branchPull("one")
	l.shows(first, commit)
	second, later := l.branchPull("two")
	l.quiet()
	require.Equal(t, models.OutcomeQuota, l.last("pull_request").Outcome)
	require.Equal(t, models.PreviewRefused, l.previewRow(second).State)
	require.NotContains(t, l.builds(), later)
	require.NoError(t, l.host.ClosePull(shopRepository, first, false))
	l.quiet()
	l.comesRound()
	l.shows(second, later)
}

// TestPreviewsOfWhatEnds go with it.
func TestPreviewsOfWhatEnds(t *testing.T) {
	for name, end := range map[string]func(l *linked) error{
		"unlinked":     func(l *linked) error { return l.UnlinkGitHub(l.t.Context(), l.actor, l.app) },
		"destroyed":    func(l *linked) error { return l.DestroyApp(l.t.Context(), l.actor, "shop", "shop") },
		"switched off": func(l *linked) error { return l.switchOff() },
	} {
		t.Run(name, func(t *testing.T) {
			l := previewing(t, GitHubLinkChange{})
			number, commit := l.branchPull("feature")
			app := l.shows(number, commit)
			l.quiet()
			require.NoError(t, end(l))
			_, err := l.Store.App(t.Context(), app.ID)
			require.True(t, models.IsCode(err, models.NotFound))
			require.Contains(t, l.comment(number), "gone")
			require.Equal(t, name != "switched off", len(l.host.Hooks(shopRepository)) == 0)
		})
	}
}

func (l *linked) switchOff() error {
	off := false
	_, err := l.ChangeGitHubLink(l.t.Context(), l.actor, l.app, "", GitHubLinkChange{Previews: &off})
	return err
}

// TestPreviewsOfADeletedUser end with the account: nobody else would end them.
func TestPreviewsOfADeletedUser(t *testing.T) {
	l := newLinked(t)
	bob := models.User{ID: models.NewID(), Name: "bob"}
	require.NoError(t, l.Store.CreateUser(t.Context(), &bob))
	member := models.Membership{ID: models.NewID(), OrganisationID: l.app.OrganisationID, UserID: bob.ID, Role: models.RoleDeveloper}
	require.NoError(t, l.Store.CreateMembership(t.Context(), &member))
	admin := l.actor
	l.stage.actor = models.Actor{UserID: bob.ID, Name: "bob", Scopes: models.AllScopes()}
	on := true
	l.link(GitHubLinkChange{Previews: &on})
	number, commit := l.branchPull("feature")
	app := l.shows(number, commit)
	l.quiet()
	require.NoError(t, l.DeleteUser(t.Context(), admin, "bob"))
	_, err := l.Store.App(t.Context(), app.ID)
	require.True(t, models.IsCode(err, models.NotFound), "%v", err)
	_, err = l.Store.App(t.Context(), l.app.ID)
	require.NoError(t, err, "the app itself stays")
}

// TestPreviewsMadeAtOnce: a delivery, the catch-up and an approval make one app and
// one build.
func TestPreviewsMadeAtOnce(t *testing.T) {
	l := previewing(t, GitHubLinkChange{})
	l.host.Lose(-1, "pull_request")
	number, commit := l.branchPull("feature")
	access, err := l.linkAccess(t.Context(), l.own())
	require.NoError(t, err)
	pull, err := access.client.Pull(t.Context(), shopRepository, number)
	require.NoError(t, err)
	link := l.own()
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			if what, err := l.considerOpenPull(t.Context(), link, pull, nil); err != nil || what.Outcome == models.OutcomeFailed {
				t.Error(what, err)
			}
		})
	}
	group.Wait()
	l.shows(number, commit)
	l.quiet()
	built := 0
	for _, one := range l.builds() {
		if one == commit {
			built++
		}
	}
	require.Equal(t, 1, built)
	require.Equal(t, models.PreviewActive, l.previewRow(number).State)
}

// TestCommentsThatAreRefused keep no preview from being made, or from waiting.
func TestCommentsThatAreRefused(t *testing.T) {
	l := previewing(t, GitHubLinkChange{})
	l.host.Fail("/api/v3/repos/acme/shop/issues", http.StatusForbidden, 1000)
	number, commit := l.branchPull("feature")
	l.shows(number, commit)
	forked, _ := l.fork()
	l.quiet()
	require.Equal(t, models.OutcomeApproval, l.last("pull_request").Outcome)
	require.Equal(t, models.PreviewWaiting, l.previewRow(forked).State)
	require.NoError(t, l.host.ClosePull(shopRepository, number, false))
	l.quiet()
	require.Nil(t, l.previewRow(number).AppID)
}

// TestPullRequestsAgainstOtherBranches have no preview, nor when they move there.
func TestPullRequestsAgainstOtherBranches(t *testing.T) {
	l := previewing(t, GitHubLinkChange{})
	l.commit("develop", "develop", map[string]string{"a": "b"})
	l.commit("feature", "feature", map[string]string{"c": "d"})
	_, err := l.host.OpenPull(shopRepository, "feature", "develop", "elsewhere")
	require.NoError(t, err)
	l.quiet()
	l.comesRound()
	require.Equal(t, models.OutcomeOtherBranch, l.last("pull_request").Outcome)
	previews, err := l.Previews(t.Context(), l.app)
	require.NoError(t, err)
	require.Empty(t, previews)
}

// TestPreviewNames fit, and tell pull requests apart.
func TestPreviewNames(t *testing.T) {
	for _, number := range []int{1, 99999, 1 << 40} {
		for _, name := range []string{"a", "shop", "a-name-that-is-as-long-as-names-may-be-x"} {
			app := previewApp(models.App{Name: name}, models.GitHubLink{}, models.GitHubPreview{Number: number})
			require.NoError(t, models.CheckAppName(app.Name), app.Name)
			require.Contains(t, app.Name, fmt.Sprintf("-pr-%d", number))
		}
	}
}
