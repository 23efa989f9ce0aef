package github

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	gh "github.com/google/go-github/v60/github"
	"github.com/stretchr/testify/require"
)

// of keeps the deliveries of one event.
func of(event string, all []received) (found []received) {
	for _, one := range all {
		if one.header.Get("X-GitHub-Event") == event {
			found = append(found, one)
		}
	}
	return found
}

// parsed checks a delivery's signature as a receiver does, and reads it.
func parsed[T any](t *testing.T, one received) T {
	t.Helper()
	request := &http.Request{Header: one.header, Body: http.NoBody}
	body, err := gh.ValidatePayloadFromBody(one.header.Get("Content-Type"), bytes.NewReader(one.body), one.header.Get(gh.SHA256SignatureHeader), []byte("s3cret"))
	require.NoError(t, err)
	event, err := gh.ParseWebHook(gh.WebHookType(request), body)
	require.NoError(t, err)
	return event.(T)
}

func TestPushTellsHooks(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	hooked(t, client, to, "push")
	before := h.Head("acme/shop", "main")
	after, err := h.Push(Push{Repo: "acme/shop", Branch: "main", Commits: []Commit{
		{Message: "add", Files: map[string]string{"web/a.txt": "a"}},
		{Message: "change", Files: map[string]string{"README": "new"}, Remove: []string{"web/a.txt"}},
	}})
	require.NoError(t, err)
	require.NoError(t, h.Quiet(deadline(t)))

	require.Len(t, of("ping", to.all()), 1)
	sent := of("push", to.all())
	require.Len(t, sent, 1)
	event := parsed[*gh.PushEvent](t, sent[0])
	require.Equal(t, "refs/heads/main", event.GetRef())
	require.Equal(t, []string{before, after}, []string{event.GetBefore(), event.GetAfter()})
	require.Equal(t, []string{"web/a.txt"}, event.Commits[0].Added)
	require.Equal(t, []string{"README"}, event.Commits[1].Modified)
	require.Equal(t, []string{"web/a.txt"}, event.Commits[1].Removed)
	require.Equal(t, after, event.HeadCommit.GetID())
	require.False(t, event.GetCreated() || event.GetDeleted() || event.GetForced())
	require.Equal(t, "acme/shop", event.Repo.GetFullName())
	require.NotEmpty(t, sent[0].header.Get("X-GitHub-Delivery"))
	require.Equal(t, "repository", sent[0].header.Get("X-GitHub-Hook-Installation-Target-Type"))
}

func TestPushTellsHowARefMoved(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	hooked(t, client, to, "push")
	first := h.Head("acme/shop", "main")
	push(t, h, "main", "second", map[string]string{"a": "a"})
	_, err := h.Push(Push{Repo: "acme/shop", Branch: "main", Base: first, Force: true, Commits: []Commit{{Message: "other", Files: map[string]string{"b": "b"}}}})
	require.NoError(t, err)
	_, err = h.Push(Push{Repo: "acme/shop", Branch: "side", Base: "main"})
	require.NoError(t, err)
	require.NoError(t, h.DeleteBranch("acme/shop", "side"))
	_, err = h.PushTag("acme/shop", "v1", "main", "one")
	require.NoError(t, err)
	require.NoError(t, h.Quiet(deadline(t)))

	sent := of("push", to.all())
	require.Len(t, sent, 5)
	require.True(t, parsed[*gh.PushEvent](t, sent[1]).GetForced())
	made := parsed[*gh.PushEvent](t, sent[2])
	require.True(t, made.GetCreated())
	require.Equal(t, "refs/heads/main", made.GetBaseRef())
	require.Empty(t, made.Commits)
	removed := parsed[*gh.PushEvent](t, sent[3])
	require.True(t, removed.GetDeleted())
	require.Equal(t, zero, removed.GetAfter())
	require.Nil(t, removed.HeadCommit)
	require.Equal(t, "refs/tags/v1", parsed[*gh.PushEvent](t, sent[4]).GetRef())
}

func TestDeliveriesAreLostRepeatedAndReordered(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	hooked(t, client, to, "push")
	h.Lose(1, "push")
	push(t, h, "main", "lost", map[string]string{"a": "1"})
	h.Repeat(1, 5, "push")
	push(t, h, "main", "repeated", map[string]string{"a": "2"})
	require.NoError(t, h.Quiet(deadline(t)))
	sent := of("push", to.all())
	require.Len(t, sent, 5)
	require.Equal(t, sent[0].header.Get("X-GitHub-Delivery"), sent[4].header.Get("X-GitHub-Delivery"))

	h.Hold("push")
	push(t, h, "main", "third", map[string]string{"a": "3"})
	push(t, h, "main", "fourth", map[string]string{"a": "4"})
	var held []string
	for _, d := range h.Deliveries() {
		if d.State == Held {
			held = append(held, d.GUID)
		}
	}
	h.Release(held[1], held[0])
	h.Release()
	require.NoError(t, h.Redeliver(held[0]))
	require.NoError(t, h.Quiet(deadline(t)))
	sent = of("push", to.all())[5:]
	require.Len(t, sent, 3)
	for i, guid := range []string{held[1], held[0], held[0]} {
		require.Equal(t, guid, sent[i].header.Get("X-GitHub-Delivery"))
	}
	last, err := h.WaitDelivery(deadline(t), func(d Delivery) bool { return d.Redelivery })
	require.NoError(t, err)
	require.Equal(t, []int{http.StatusAccepted}, last.Statuses)
}

func TestFormDelivery(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	_, _, err := client.Repositories.CreateHook(t.Context(), "acme", "shop", &gh.Hook{
		Config: &gh.HookConfig{URL: gh.String(to.URL), ContentType: gh.String("form"), Secret: gh.String("s3cret")},
	})
	require.NoError(t, err)
	require.NoError(t, h.Quiet(deadline(t)))
	form, err := url.ParseQuery(string(to.all()[0].body))
	require.NoError(t, err)
	require.Contains(t, form.Get("payload"), `"zen"`)
	parsed[*gh.PingEvent](t, to.all()[0])
}

func TestUnreachableReceiverIsRecorded(t *testing.T) {
	h, client := shop(t)
	to := newReceiver(t)
	hooked(t, client, to, "push")
	require.NoError(t, h.Quiet(deadline(t)))
	to.Close()
	push(t, h, "main", "unheard", map[string]string{"a": "1"})
	failed, err := h.WaitDelivery(deadline(t), func(d Delivery) bool { return d.State == Failed })
	require.NoError(t, err)
	require.NotEmpty(t, failed.Error)
}

func TestPublishedExamplesAreSent(t *testing.T) {
	examples := WebhookExamples(t)
	require.Len(t, examples, 329)
	h, client := shop(t)
	to := newReceiver(t)
	hook := hooked(t, client, to, "push")
	for _, example := range examples[:3] {
		_, err := h.Send("acme/shop", hook.GetID(), example.Event, example.Payload)
		require.NoError(t, err)
	}
	require.NoError(t, h.Quiet(deadline(t)))
	require.Len(t, to.all(), 4)
}
