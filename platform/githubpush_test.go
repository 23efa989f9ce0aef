package platform

import (
	"context"
	"testing"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestForcePushDuringABuild: the branch goes there and back while builds run; what
// it leads to in the end is live, whatever was built on the way.
func TestForcePushDuringABuild(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	g := l.hold()
	a := l.commit("main", "a", map[string]string{"index.html": "a"})
	g.begins(a)
	b := l.pushed(github.Push{Branch: "main", Base: first, Force: true, Commits: commitOf("b", "index.html")})
	l.settled()
	back := l.pushed(github.Push{Branch: "main", Base: a, Force: true})
	require.Equal(t, a, back)
	l.settled()
	require.Equal(t, []models.Outcome{models.OutcomeDeployed, models.OutcomeDeployed, models.OutcomeDeployed}, l.outcomes("push"))
	g.pass(a)
	l.quiet()
	require.Equal(t, a, l.liveCommit(l.app.ID), "the branch is at a")
	require.NotContains(t, l.builds(), b, "what was superseded is not built")
}

// TestBackToWhatIsLiveDuringABuild: what is live already is built again, because
// what is being built would replace it. Path filters do not keep it from that.
func TestBackToWhatIsLiveDuringABuild(t *testing.T) {
	for name, paths := range map[string][]string{"all files": nil, "filtered": {"web/**"}} {
		t.Run(name, func(t *testing.T) {
			l := newLinked(t)
			l.link(GitHubLinkChange{})
			l.filter(paths...)
			first := l.commit("main", "first", map[string]string{"web/index.html": "first"})
			l.live(first)
			l.quiet()
			g := l.hold()
			b := l.commit("main", "b", map[string]string{"web/index.html": "b"})
			g.begins(b)
			l.pushed(github.Push{Branch: "main", Base: first, Force: true})
			l.settled()
			g.pass(b)
			g.pass(first)
			l.quiet()
			require.Equal(t, first, l.liveCommit(l.app.ID))
			require.Equal(t, models.OutcomeDeployed, l.last("push").Outcome)
		})
	}
}

// TestForcePushGoesLive: what does not follow what is live replaces it.
func TestForcePushGoesLive(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.live(l.commit("main", "second", map[string]string{"index.html": "two"}))
	other := l.pushed(github.Push{Branch: "main", Base: first, Force: true, Commits: commitOf("other", "index.html")})
	l.live(other)
	l.quiet()
	ref, err := l.Repositories.Ref(t.Context(), l.app.ID, "refs/heads/main")
	require.NoError(t, err)
	require.Equal(t, other, ref)
}

// TestWhatIsNotDeployed: each has its outcome, and nothing else is built.
func TestWhatIsNotDeployed(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	expect := func(outcome models.Outcome) {
		t.Helper()
		l.quiet()
		require.Equal(t, outcome, l.last("push").Outcome, l.last("push").Reason)
		require.NotEmpty(t, l.last("push").Reason)
		require.Equal(t, first, l.liveCommit(l.app.ID))
	}
	skipped := l.commit("main", "docs [skip ci]", map[string]string{"README": "x"})
	expect(models.OutcomeSkipped)
	l.commit("feature", "side", map[string]string{"index.html": "side"})
	expect(models.OutcomeOtherBranch)
	_, err := l.host.PushTag(shopRepository, "v1", "main", "")
	require.NoError(t, err)
	expect(models.OutcomeOtherBranch)
	_, err = l.host.PushTag(shopRepository, "main", "feature", "a tag that is called as the branch")
	require.NoError(t, err)
	expect(models.OutcomeOtherBranch)
	require.NoError(t, l.host.DeleteTag(shopRepository, "main"))
	expect(models.OutcomeOtherBranch)
	require.NoError(t, l.host.DeleteBranch(shopRepository, "feature"))
	expect(models.OutcomeOtherBranch)
	require.NoError(t, l.host.DeleteBranch(shopRepository, "main"))
	expect(models.OutcomeDeleted)
	require.Contains(t, l.own().Trouble, "main was deleted")
	l.comesRound()
	require.NotEmpty(t, l.own().Trouble)
	require.Equal(t, first, l.liveCommit(l.app.ID), "what is live goes on")
	l.pushed(github.Push{Branch: "main", Base: skipped})
	expect(models.OutcomeDuplicate)
	require.Empty(t, l.own().Trouble, "it is there again")
	again := l.commit("main", "again", map[string]string{"index.html": "again"})
	l.live(again)
	require.Equal(t, []string{first, again}, l.builds())
}

func TestAutomaticDeploymentIsOff(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	off, on := false, true
	_, err := l.ChangeGitHubLink(t.Context(), l.actor, l.app, "", GitHubLinkChange{AutoDeploy: &off})
	require.NoError(t, err)
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.quiet()
	require.Equal(t, models.OutcomeOff, l.last("push").Outcome)
	require.Equal(t, first, l.liveCommit(l.app.ID))
	l.comesRound()
	require.Equal(t, first, l.liveCommit(l.app.ID), "the catch-up does not deploy it either")
	_, err = l.ChangeGitHubLink(t.Context(), l.actor, l.app, "", GitHubLinkChange{AutoDeploy: &on})
	require.NoError(t, err)
	l.live(second)
	l.quiet()
	require.Equal(t, []string{first, second}, l.builds())
}

// TestDeployByHand takes a branch, a tag and a commit, and nothing else.
func TestDeployByHand(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	side := l.commit("feature", "side", map[string]string{"index.html": "side"})
	tagged := l.commit("other", "tagged", map[string]string{"index.html": "tagged"})
	_, err := l.host.PushTag(shopRepository, "v1", "other", "annotated")
	require.NoError(t, err)
	l.quiet()
	for ref, commit := range map[string]string{"feature": side, "v1": tagged, first: first, "": first} {
		build, err := l.DeployFromGitHub(t.Context(), l.actor, l.app, ref)
		require.NoError(t, err, ref)
		require.Equal(t, commit, build.Commit, ref)
		l.live(commit)
		l.quiet()
		require.Equal(t, models.OutcomeDeployed, l.last(eventManual).Outcome)
		require.Equal(t, build.ID, *l.last(eventManual).BuildID)
	}
	built := len(l.builds())
	for _, ref := range []string{"nope", "--upload-pack=id", "HEAD;id", "../x", "refs/heads/main\n", oid(9), first[:7]} {
		_, err := l.DeployFromGitHub(t.Context(), l.actor, l.app, ref)
		require.Error(t, err, ref)
		require.False(t, models.IsCode(err, models.Internal), "%s: %v", ref, err)
	}
	require.Len(t, l.builds(), built)
	l.comesRound()
	require.Len(t, l.builds(), built, "the catch-up does not undo what was done by hand")
}

// TestReplayByHand deploys again what failed to build.
func TestReplayByHand(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	count := l.stage.build.build
	l.stage.build.build = func(context.Context, buildpipeline.Job) error { return models.Errorf(models.Failed, "broken") }
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.quiet()
	failed := l.last("push")
	require.Equal(t, models.BuildFailed, failed.Build.State)
	l.comesRound()
	require.Equal(t, failed.ID, l.last("push").ID, "nothing is tried again by itself")
	l.stage.build.build = count
	ping := l.last("ping")
	_, err := l.ReplayDelivery(t.Context(), l.actor, l.app, ping.ID.String())
	require.NoError(t, err)
	l.quiet()
	l.comesRound()
	require.NotContains(t, l.builds(), second, "to replay a ping deploys nothing")
	_, err = l.ReplayDelivery(t.Context(), l.actor, l.app, failed.ID.String())
	require.NoError(t, err)
	l.live(second)
	l.quiet()
	again := l.last("push")
	require.Equal(t, failed.ID, again.ID)
	require.Equal(t, models.OutcomeDeployed, again.Outcome)
	require.NotEqual(t, failed.BuildID, again.BuildID)
	_, err = l.ReplayDelivery(t.Context(), l.actor, l.app, again.ID.String())
	require.NoError(t, err)
	l.quiet()
	require.Equal(t, models.OutcomeDuplicate, l.last("push").Outcome, "it is live")
}

// TestPathFiltersLookAtWhatIsLive: not at the push before, which may have been
// filtered, skipped or broken.
func TestPathFiltersLookAtWhatIsLive(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.filter("web/**", "!**/*.md")
	filtered := func(message string, files ...string) {
		t.Helper()
		l.pushed(github.Push{Branch: "main", Commits: commitOf(message, files...)})
		l.quiet()
		require.Equal(t, models.OutcomeFiltered, l.last("push").Outcome, message)
		require.Equal(t, first, l.liveCommit(l.app.ID))
	}
	filtered("docs", "docs/a.txt")
	filtered("readme", "web/README.md", "other/x")
	l.pushed(github.Push{Branch: "main", Commits: commitOf("web [skip ci]", "web/index.html")})
	l.quiet()
	require.Equal(t, models.OutcomeSkipped, l.last("push").Outcome)
	later := l.pushed(github.Push{Branch: "main", Commits: commitOf("more docs", "docs/b.txt")})
	l.live(later)
	l.quiet()
	require.Equal(t, []string{first, later}, l.builds(), "web/index.html is not live yet")
	removed := l.pushed(github.Push{Branch: "main", Commits: []github.Commit{{Message: "less", Remove: []string{"web/index.html"}}}})
	l.live(removed)
}

// TestCommitThatIsNotVisibleYet is waited for, and then deployed.
func TestCommitThatIsNotVisibleYet(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	hidden := l.pushed(github.Push{Branch: "main", Hidden: true, Commits: commitOf("hidden", "index.html")})
	l.eventually("it waits", func() bool { return l.last("push").Outcome == models.OutcomeWaiting })
	require.Contains(t, l.last("push").Reason, "does not show "+short(hidden)+" yet")
	require.Equal(t, models.DeliveryReceived, l.last("push").State)
	require.NoError(t, l.host.Publish(shopRepository))
	l.hasten(taskDeliveries, l.app.ID)
	l.live(hidden)
	l.quiet()
	require.Equal(t, models.OutcomeDeployed, l.last("push").Outcome)
	require.Equal(t, []string{first, hidden}, l.builds())
}

// TestANewCommitBehindOneThatIsNotVisible: what git shows is deployed, and the
// newer push is not taken for an older one.
func TestANewCommitBehindOneThatIsNotVisible(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.host.Hold("push")
	seen := l.commit("main", "seen", map[string]string{"index.html": "seen"})
	hidden := l.pushed(github.Push{Branch: "main", Hidden: true, Commits: commitOf("hidden", "index.html")})
	release := l.host.Stall("/acme/shop.git")
	l.host.Release()
	require.NoError(t, l.host.Quiet(t.Context()))
	release()
	l.live(seen)
	l.eventually("the other waits", func() bool { return l.last("push").Outcome == models.OutcomeWaiting })
	require.NoError(t, l.host.Publish(shopRepository))
	l.hasten(taskDeliveries, l.app.ID)
	l.live(hidden)
	l.quiet()
	require.Equal(t, []models.Outcome{models.OutcomeDeployed, models.OutcomeDeployed}, l.outcomes("push"))
	require.Equal(t, []string{first, seen, hidden}, l.builds())
}

// TestCommitThatNeverBecomesVisible ends as superseded: the branch is elsewhere.
func TestCommitThatNeverBecomesVisible(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	_, err := l.Deliver(t.Context(), l.signed("push", "never", l.pushOf(oid(8))))
	require.NoError(t, err)
	l.eventually("it waits", func() bool { return l.last("push").Outcome == models.OutcomeWaiting })
	row := l.last("push").WebhookDelivery
	row.CreatedAt = now().Add(-visibleWithin)
	_, unseen, err := l.unseen(t.Context(), l.app, []models.WebhookDelivery{row}, first)
	require.NoError(t, err)
	require.Empty(t, unseen, "after a while it is waited for no more")
	_, err = l.followTo(t.Context(), l.app, l.own(), first, cause{pushes: []models.WebhookDelivery{row}})
	require.NoError(t, err)
	require.Equal(t, models.OutcomeSuperseded, l.last("push").Outcome)
	require.Contains(t, l.last("push").Reason, short(first))
	require.Equal(t, []string{first}, l.builds())
}

// TestGitPushInBetween: whatever comes last is live, from wherever.
func TestGitPushInBetween(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	g := l.hold()
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	g.begins(second)
	l.settled()
	side := l.commit("feature", "side", map[string]string{"index.html": "side"})
	l.settled()
	_, err := l.Repositories.Fetch(t.Context(), l.app.ID, mustRemote(l), "refs/heads/feature")
	require.NoError(t, err)
	app, err := l.Store.App(t.Context(), l.app.ID)
	require.NoError(t, err)
	pushed := make(chan error, 1)
	update := &models.RefUpdate{Name: "refs/heads/main", Old: first, New: side}
	go func() {
		l.Receive(context.WithoutCancel(t.Context()), &models.Push{App: app, Actor: l.actor, Updates: []*models.RefUpdate{update}, Out: &screen{}})
		pushed <- update.Err
	}()
	l.eventually("the push waits", func() bool {
		build, err := l.underWay(t.Context(), app)
		return err == nil && build != nil && build.Commit == side
	})
	third := l.commit("main", "third", map[string]string{"index.html": "three"})
	l.settled()
	g.pass(second)
	g.pass(third)
	require.Error(t, <-pushed, "a newer push came")
	l.live(third)
	l.quiet()
	require.NotContains(t, l.builds(), side)
}

func mustRemote(l *linked) Remote {
	access, err := l.linkAccess(l.t.Context(), l.own())
	require.NoError(l.t, err)
	return access.remote(l.own())
}
