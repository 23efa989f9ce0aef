package platform

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestUnsignedDeliveriesLeaveACount: whatever is not signed with the link's own
// secret is Unauthorized, and of it nothing is kept but how often it came.
func TestUnsignedDeliveriesLeaveACount(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	good := l.signed("push", "forged", l.pushOf(oid(7)))
	for name, spoil := range map[string]func(*Incoming){
		"none":         func(in *Incoming) { in.Signature = "" },
		"sha1":         func(in *Incoming) { in.Signature = "sha1=" + strings.Repeat("0", 40) },
		"sha1 as 256":  func(in *Incoming) { in.Signature = "sha256=" + strings.Repeat("0", 40) },
		"empty secret": func(in *Incoming) { in.Signature = sign("", in.Body) },
		"other secret": func(in *Incoming) { in.Signature = sign("guess", in.Body) },
		"other body":   func(in *Incoming) { in.Body = append(in.Body, ' ') },
		"no hex":       func(in *Incoming) { in.Signature = "sha256=zz" },
		"no prefix":    func(in *Incoming) { in.Signature = strings.TrimPrefix(in.Signature, "sha256=") },
		"form":         func(in *Incoming) { in.ContentType = "application/x-www-form-urlencoded" },
		"text":         func(in *Incoming) { in.ContentType = "text/plain" },
	} {
		in := good
		in.Body = append([]byte{}, good.Body...)
		spoil(&in)
		_, err := l.Deliver(t.Context(), in)
		if name == "form" { // it is signed, and has no payload in it
			require.Error(t, err, name)
			continue
		}
		require.True(t, models.IsCode(err, models.Unauthorized), "%s: %v", name, err)
	}
	refused := l.ledger(l.app, "unknown")
	require.Len(t, refused, 1, "one row a day")
	require.GreaterOrEqual(t, refused[0].Repeats, 8)
	require.Equal(t, models.OutcomeBadSignature, refused[0].Outcome)
	require.Equal(t, models.DeliveryRefused, refused[0].State)
	whole, err := l.Delivery(t.Context(), l.app, refused[0].ID.String())
	require.NoError(t, err)
	require.Empty(t, whole.Body)
	_, err = l.ReplayDelivery(t.Context(), l.actor, l.app, refused[0].ID.String())
	require.True(t, models.IsCode(err, models.Conflict))
	require.Empty(t, l.ledger(l.app, "push"))
	require.Equal(t, []string{first}, l.builds())
}

// TestDeliveriesOfAnotherApp: one app's secret opens no other app's address, and
// says nothing of another repository.
func TestDeliveriesOfAnotherApp(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	other, err := l.CreateApp(t.Context(), l.actor, NewApp{Name: "other"})
	require.NoError(t, err)
	view, err := l.LinkGitHub(t.Context(), l.actor, other, shopRepository, GitHubLinkChange{})
	require.NoError(t, err)
	in := l.signed("push", "stray", l.pushOf(oid(7)))
	in.Link = view.ID.String()
	_, err = l.Deliver(t.Context(), in)
	require.True(t, models.IsCode(err, models.Unauthorized), "%v", err)

	elsewhere := l.pushOf(oid(7))
	elsewhere["repository"] = map[string]any{"id": l.own().RepositoryID + 1}
	_, err = l.Deliver(t.Context(), l.signed("push", "elsewhere", elsewhere))
	require.True(t, models.IsCode(err, models.NotFound), "%v", err)
	for _, link := range []string{models.NewID().String(), "nonsense", "../" + view.ID.String()} {
		in.Link = link
		_, err = l.Deliver(t.Context(), in)
		require.True(t, models.IsCode(err, models.NotFound), "%s: %v", link, err)
	}
	in.Link = ""
	_, err = l.Deliver(t.Context(), in)
	require.True(t, models.IsCode(err, models.NotFound), "there is no GitHub App: %v", err)
	l.quiet()
	require.Empty(t, l.ledger(l.app, "push"))
	require.Empty(t, l.ledger(other, "push"))
}

// TestRepeatedDeliveries: the same id is counted, the same commit is a duplicate,
// and what was overtaken is superseded. Nothing is built twice.
func TestRepeatedDeliveries(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.host.Repeat(1, 5, "push")
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	l.live(second)
	l.quiet()
	require.Equal(t, 4, l.last("push").Repeats)
	sent := l.deliveryOf(second)
	require.Equal(t, []int{202, 202, 202, 202, 202}, sent.Statuses)
	require.NoError(t, l.host.Redeliver(sent.GUID))
	l.quiet()
	require.Equal(t, 5, l.last("push").Repeats)
	require.Len(t, l.ledger(l.app, "push"), 1)

	_, err := l.host.Send(shopRepository, l.own().HookID, "push", sent.Payload)
	require.NoError(t, err)
	l.quiet()
	require.Equal(t, models.OutcomeDuplicate, l.last("push").Outcome, "the same push by another id")
	third := l.commit("main", "third", map[string]string{"index.html": "three"})
	l.live(third)
	l.quiet()
	_, err = l.host.Send(shopRepository, l.own().HookID, "push", sent.Payload)
	require.NoError(t, err)
	l.quiet()
	require.Equal(t, models.OutcomeSuperseded, l.last("push").Outcome, l.last("push").Reason)
	require.NoError(t, l.host.Redeliver(sent.GUID))
	l.quiet()
	require.Equal(t, third, l.liveCommit(l.app.ID))
	require.Equal(t, []string{first, second, third}, l.builds())
}

// TestLostDeliveries: the catch-up deploys what they left behind, once.
func TestLostDeliveries(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.host.Lose(2, "push")
	l.commit("main", "second", map[string]string{"index.html": "two"})
	third := l.commit("main", "third", map[string]string{"index.html": "three"})
	for range 3 {
		l.comesRound()
		l.quiet()
	}
	require.Equal(t, third, l.liveCommit(l.app.ID))
	require.Equal(t, []string{first, third}, l.builds())
	require.Equal(t, []models.Outcome{models.OutcomeDeployed, models.OutcomeDeployed}, l.outcomes(eventCatchUp))
	require.NoError(t, l.host.Redeliver(l.deliveryOf(third).GUID))
	l.quiet()
	require.Equal(t, models.OutcomeDuplicate, l.last("push").Outcome, "it comes after all")
	require.Len(t, l.builds(), 2)
}

// TestReorderedDeliveries come in reverse.
func TestReorderedDeliveries(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.host.Hold("push")
	var pushed []string
	for i := range 4 {
		pushed = append(pushed, l.commit("main", fmt.Sprint("change ", i), map[string]string{"index.html": fmt.Sprint(i)}))
	}
	for i := range pushed {
		l.host.Release(l.deliveryOf(pushed[len(pushed)-1-i]).GUID)
		l.quiet()
	}
	require.Equal(t, pushed[3], l.liveCommit(l.app.ID))
	require.Equal(t, []string{first, pushed[3]}, l.builds())
	require.Equal(t, []models.Outcome{
		models.OutcomeDeployed, models.OutcomeSuperseded, models.OutcomeSuperseded, models.OutcomeSuperseded,
	}, l.outcomes("push"))
}

// TestStormOfDeliveries: thousands at once, half of them doubles, are all kept and
// make few builds.
func TestStormOfDeliveries(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	l.host.Hold("push")
	var commits []string
	for i := range 10 {
		commits = append(commits, l.commit("main", fmt.Sprint("change ", i), map[string]string{"index.html": fmt.Sprint(i)}))
	}
	l.quiet()
	const distinct, workers = 2500, 32
	var deliveries []Incoming
	for i := range distinct {
		deliveries = append(deliveries, l.signed("push", fmt.Sprint("storm-", i), l.pushOf(commits[i*len(commits)/distinct])))
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	l.storm(append(deliveries, deliveries...), workers)
	l.quiet()
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(64<<20), "nothing of them stays in memory")

	require.Equal(t, commits[9], l.liveCommit(l.app.ID))
	require.LessOrEqual(t, len(l.builds()), 3, "the first commit, and the last")
	kept, repeats, cursor := 0, 0, ""
	for {
		page, err := l.Deliveries(t.Context(), l.app, DeliveriesAsked{Event: "push"}, models.PageRequest{Limit: 200, Cursor: cursor})
		require.NoError(t, err)
		for _, row := range page.Items {
			kept, repeats = kept+1, repeats+row.Repeats
			require.NotEqual(t, models.DeliveryReceived, row.State)
			require.NotEmpty(t, row.Outcome)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Equal(t, distinct, kept, "none is lost")
	require.Equal(t, distinct, repeats)
}

// storm delivers by so many at once.
func (l *linked) storm(deliveries []Incoming, workers int) {
	l.t.Helper()
	next := make(chan Incoming)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for in := range next {
				if _, err := l.Deliver(l.t.Context(), in); err != nil {
					l.t.Error(err)
				}
			}
		})
	}
	for _, in := range deliveries {
		next <- in
	}
	close(next)
	group.Wait()
}

// TestDeliveriesToWhatStops are refused, rather than kept waiting for ever.
func TestDeliveriesToWhatStops(t *testing.T) {
	l := newLinked(t)
	l.link(GitHubLinkChange{})
	in := l.signed("push", "late", l.pushOf(oid(7)))
	l.Stop()
	_, err := l.Deliver(t.Context(), in)
	require.True(t, models.IsCode(err, models.Unavailable), "%v", err)
}

// meeting has two who read a commit at the same time wait for one another, for as
// long as one that is alone can wait.
type meeting struct {
	Repositories
	met chan struct{}
}

func (m meeting) Commit(ctx context.Context, app models.ID, oid string) (models.Commit, error) {
	select {
	case m.met <- struct{}{}:
	case <-m.met:
	case <-time.After(300 * time.Millisecond):
	}
	return m.Repositories.Commit(ctx, app, oid)
}

// TestTwoPlacesDecideOnOneHead at once: it is built once.
func TestTwoPlacesDecideOnOneHead(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	l.host.Lose(-1, "push")
	second := l.pushed(github.Push{Branch: "main", Commits: commitOf("second", "index.html")})
	link := l.own()
	l.Stop()
	met := make(chan struct{})
	l.configure = append(l.configure, func(p *Platform) { p.Repositories = meeting{p.Repositories, met} })
	l.open(t)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			if _, err := l.follow(t.Context(), link, cause{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	l.quiet()
	require.Equal(t, []string{first, second}, l.builds())
	require.Equal(t, second, l.liveCommit(l.app.ID))
}

// TestCatchUpWhileAnotherEventWaits: a delivery that is not about the branch says
// nothing of its head.
func TestCatchUpWhileAnotherEventWaits(t *testing.T) {
	l := newLinked(t)
	first := l.link(GitHubLinkChange{})
	l.quiet()
	release := l.host.Stall("/api/v3/repositories/")
	require.NoError(t, l.host.SetDefaultBranch(shopRepository, "main")) // asks for the repository
	require.NoError(t, l.host.Quiet(t.Context()))
	l.host.Lose(1, "push")
	second := l.commit("main", "second", map[string]string{"index.html": "two"})
	access, err := l.linkAccess(t.Context(), l.own())
	require.NoError(t, err)
	require.NoError(t, l.catchUpHead(t.Context(), l.own(), access))
	release()
	l.live(second)
	l.quiet()
	require.Equal(t, []string{first, second}, l.builds())
}
