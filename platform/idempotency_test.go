package platform

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func ask(key string) Request {
	return Request{Key: key, Method: "POST", Target: "/api/paas/tokens", Body: []byte(`{"name":"x"}`)}
}

const answerCanary = "sky_pat_hunter2-canary"

// counted answers with status and counts how often it was asked.
func counted(times *int, status int) func() Answer {
	return func() Answer {
		*times++
		return Answer{Status: status, ContentType: "application/json", Header: map[string]string{"ETag": `"7"`}, Body: []byte(answerCanary)}
	}
}

func TestOnce(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		times := 0
		first, err := g.Once(t.Context(), g.admin, ask("k"), counted(&times, 201))
		require.NoError(t, err)
		require.False(t, first.Replayed)
		again, err := g.Once(t.Context(), g.admin, ask("k"), counted(&times, 500))
		require.NoError(t, err)
		require.True(t, again.Replayed)
		again.Replayed = false
		require.Equal(t, first, again)
		require.Equal(t, 1, times)

		row, err := g.Store.IdempotencyKey(t.Context(), g.admin.UserID, "k")
		require.NoError(t, err)
		require.NotContains(t, string(row.Answer), "canary")
		_, err = g.Vault.open(ofUser(models.NewID(), "answer "+row.ID.String()), row.Answer)
		require.Error(t, err)

		weaker := g.admin
		weaker.Scopes = models.Scopes{models.ScopeRead}
		body, target, method := ask("k"), ask("k"), ask("k")
		body.Body, target.Target, method.Method = []byte(`{"name":"y"}`), "/api/paas/keys", "PUT"
		for name, other := range map[string]struct {
			actor   models.Actor
			request Request
		}{
			"body": {g.admin, body}, "path": {g.admin, target}, "method": {g.admin, method}, "a weaker token": {weaker, ask("k")},
		} {
			_, err := g.Once(t.Context(), other.actor, other.request, counted(&times, 201))
			require.Equal(t, models.Invalid, models.CodeOf(err), name)
			require.Equal(t, "Idempotency-Key", models.AsError(err).Field)
		}
		g.person(t, "bob")
		bob, _ := g.login(t, "bob")
		_, err = g.Once(t.Context(), bob, ask("k"), counted(&times, 201))
		require.NoError(t, err)
		require.Equal(t, 2, times, "a key is one user's own")
		for _, wrong := range []string{"", strings.Repeat("x", 256), "a\x00b", "tab\t", "ümlaut"} {
			_, err := g.Once(t.Context(), g.admin, ask(wrong), counted(&times, 201))
			requireCode(t, models.Invalid, err)
		}
		for _, status := range []int{200, 403, 422} {
			times = 0
			for range 2 {
				_, err = g.Once(t.Context(), g.admin, ask(fmt.Sprint("kept ", status)), counted(&times, status))
				require.NoError(t, err)
			}
			require.Equal(t, 1, times)
		}
		times = 0
		for range 2 {
			_, err = g.Once(t.Context(), g.admin, ask("failed"), counted(&times, 503))
			require.NoError(t, err)
		}
		require.Equal(t, 2, times, "failures of Sky's own are tried again")
	})
}

func TestOnceInParallel(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		times, replayed := 0, make(chan bool, 20)
		var group sync.WaitGroup
		for range cap(replayed) {
			group.Go(func() {
				answer, err := g.Once(t.Context(), g.admin, ask("k"), counted(&times, 201))
				if err == nil && string(answer.Body) == answerCanary {
					replayed <- answer.Replayed
				}
			})
		}
		group.Wait()
		close(replayed)
		counts := map[bool]int{}
		for again := range replayed {
			counts[again]++
		}
		require.Equal(t, map[bool]int{false: 1, true: 19}, counts)
		require.Equal(t, 1, times)
	})
}

// TestOnceAfterACrash: what a request did that was cut off is not known, and
// nothing pretends to know it.
func TestOnceAfterACrash(t *testing.T) {
	g := sqliteGate(t)
	g.access()
	cut := func(key string, began time.Time) models.IdempotencyKey {
		row := models.IdempotencyKey{
			ID: models.NewID(), UserID: g.admin.UserID, Key: key, RequestHash: ask(key).hash(g.admin), CreatedAt: began, ExpiresAt: began.Add(time.Hour),
		}
		require.NoError(t, g.Store.CreateIdempotencyKey(t.Context(), &row))
		return row
	}
	times := 0
	cut("former process", g.access().since.Add(-time.Minute))
	_, err := g.Once(t.Context(), g.admin, ask("former process"), counted(&times, 201))
	require.ErrorContains(t, err, "not known")
	cut("another replica", now())
	_, err = g.Once(t.Context(), g.admin, ask("another replica"), counted(&times, 201))
	require.ErrorContains(t, err, "still at work")
	requireCode(t, models.Conflict, err)
	require.NotEmpty(t, models.AsError(err).Remedy)
	cut("expired", now().Add(-2*time.Hour))
	_, err = g.Once(t.Context(), g.admin, ask("expired"), counted(&times, 201))
	require.NoError(t, err)
	require.Equal(t, 1, times)

	require.Panics(t, func() { _, _ = g.Once(t.Context(), g.admin, ask("panic"), func() Answer { panic("x") }) })
	_, err = g.Once(t.Context(), g.admin, ask("panic"), counted(&times, 201))
	require.NoError(t, err)
	require.Equal(t, 2, times)

	// Who waits for the first leaves when they hang up.
	ctx, hangUp := context.WithCancel(t.Context())
	_, err = g.Once(t.Context(), g.admin, ask("slow"), func() Answer {
		hangUp()
		_, err := g.Once(ctx, g.admin, ask("slow"), counted(&times, 201))
		require.ErrorContains(t, err, "still at work")
		return Answer{Status: 201}
	})
	require.NoError(t, err)
}

func TestAnswersArePurged(t *testing.T) {
	clocked(t, func(t *testing.T, g *gate) {
		times := 0
		for range 2 {
			_, err := g.Once(t.Context(), g.admin, ask("k"), counted(&times, 201))
			require.NoError(t, err)
		}
		pass(23 * time.Hour)
		require.NoError(t, g.purgeAccess(t.Context(), now()))
		_, err := g.Store.IdempotencyKey(t.Context(), g.admin.UserID, "k")
		require.NoError(t, err)
		pass(2 * time.Hour)
		require.NoError(t, g.purgeAccess(t.Context(), now()))
		_, err = g.Store.IdempotencyKey(t.Context(), g.admin.UserID, "k")
		requireCode(t, models.NotFound, err)
	})
}
