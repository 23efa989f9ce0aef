package platform

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/testenv/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

// buildGate holds builds back, each until it is let through.
type buildGate struct {
	mu      sync.Mutex
	begun   map[string]chan struct{}
	allowed map[string]chan struct{}
}

// hold makes every build wait until pass.
func (l *linked) hold() *buildGate {
	g := &buildGate{begun: map[string]chan struct{}{}, allowed: map[string]chan struct{}{}}
	note := l.stage.build.build
	l.stage.build.build = func(ctx context.Context, job buildpipeline.Job) error {
		if err := note(ctx, job); err != nil {
			return err
		}
		g.open(g.begun, job.Commit)
		select {
		case <-g.at(g.allowed, job.Commit):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return g
}

func (g *buildGate) at(of map[string]chan struct{}, commit string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if of[commit] == nil {
		of[commit] = make(chan struct{})
	}
	return of[commit]
}

// begins waits until the commit is being built.
func (g *buildGate) begins(commit string) { <-g.at(g.begun, commit) }

// pass lets the commit's builds end.
func (g *buildGate) pass(commit string) { g.open(g.allowed, commit) }

func (g *buildGate) open(of map[string]chan struct{}, commit string) {
	at := g.at(of, commit)
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-at:
	default:
		close(at)
	}
}

// filter sets the link's path filters.
func (l *linked) filter(paths ...string) {
	l.t.Helper()
	_, err := l.ChangeGitHubLink(l.t.Context(), l.actor, l.app, "", GitHubLinkChange{Paths: &paths})
	require.NoError(l.t, err)
	l.quiet()
}

// own is the link of the stage's App, as it is now.
func (l *linked) own() models.GitHubLink {
	l.t.Helper()
	link, err := l.Store.GitHubLinkOf(l.t.Context(), l.app.ID)
	require.NoError(l.t, err)
	return link
}

// ledger is an App's deliveries of an event, the oldest first.
func (l *linked) ledger(app models.App, event string) []DeliveryView {
	l.t.Helper()
	page, err := l.Deliveries(l.t.Context(), app, DeliveriesAsked{Event: event}, models.PageRequest{Limit: 200})
	require.NoError(l.t, err)
	rows := make([]DeliveryView, 0, len(page.Items))
	for _, row := range page.Items {
		rows = append([]DeliveryView{row}, rows...)
	}
	return rows
}

// last is the newest delivery of an event; the zero one where none came.
func (l *linked) last(event string) DeliveryView {
	l.t.Helper()
	rows := l.ledger(l.app, event)
	if len(rows) == 0 {
		return DeliveryView{}
	}
	return rows[len(rows)-1]
}

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// signed is a delivery to the stage's link, as GitHub would sign it.
func (l *linked) signed(event, id string, payload any) Incoming {
	l.t.Helper()
	body, err := json.Marshal(payload)
	require.NoError(l.t, err)
	secret, err := l.hookOf(l.own())
	require.NoError(l.t, err)
	return Incoming{
		Link: l.own().ID.String(), Event: event, Delivery: id, ContentType: "application/json", Signature: sign(secret.Secret, body), Body: body,
	}
}

// pushOf is the payload of a push to main.
func (l *linked) pushOf(commit string) map[string]any {
	return map[string]any{
		"ref": "refs/heads/main", "before": models.ZeroObject, "after": commit,
		"repository": map[string]any{"id": l.own().RepositoryID, "full_name": shopRepository},
	}
}

// deliveryOf is what GitHub sent of a push.
func (l *linked) deliveryOf(commit string) github.Delivery {
	l.t.Helper()
	found, err := l.host.WaitDelivery(l.t.Context(), func(d github.Delivery) bool {
		return d.Event == "push" && strings.Contains(string(d.Payload), fmt.Sprintf(`"after":"%s"`, commit))
	})
	require.NoError(l.t, err)
	return found
}

// comesRound has the catch-up look at every link now, and waits until it has.
func (l *linked) comesRound() {
	l.t.Helper()
	before := now()
	require.NoError(l.t, l.catchUpDue(l.t.Context(), before.Add(2*l.catchUpEvery())))
	l.eventually("the catch-up has looked", func() bool {
		links, err := l.Store.GitHubLinks(l.t.Context(), before)
		return err == nil && len(links) == 0
	})
	l.idle()
}

// idle waits until no task is due.
func (l *linked) idle() {
	l.t.Helper()
	l.eventually("no task is due", func() bool {
		busy, err := l.Store.TasksUnderWay(l.t.Context(), now())
		return err == nil && busy == 0
	})
}

// hasten has a Task that waits for another try tried now.
func (l *linked) hasten(kind string, id models.ID) {
	l.t.Helper()
	require.NoError(l.t, l.askFor(l.t.Context(), kind, about{ID: id}))
}

// quiet waits until deliveries are decided on and builds have ended.
func (l *linked) quiet() {
	l.t.Helper()
	l.settled()
	l.idle()
	require.NoError(l.t, l.lanes.do(l.t.Context(), l.app.ID, func(context.Context) error { return nil }))
	l.idle()
}

// push moves a branch at GitHub, as p says.
func (l *linked) pushed(p github.Push) string {
	l.t.Helper()
	p.Repo = shopRepository
	sha, err := l.host.Push(p)
	require.NoError(l.t, err)
	return sha
}

func commitOf(message string, files ...string) []github.Commit {
	c := github.Commit{Message: message, Files: map[string]string{}}
	for _, file := range files {
		c.Files[file] = message
	}
	return []github.Commit{c}
}

func storeFilter(outcome models.Outcome) store.DeliveryFilter {
	return store.DeliveryFilter{Outcome: outcome}
}
