package store_test

import (
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

func newTask(kind, key string, at time.Time) *models.Task {
	task := &models.Task{ID: models.NewID(), Kind: kind, Payload: "{}", State: models.TaskQueued, RunAt: at, CreatedAt: at, UpdatedAt: at}
	if key != "" {
		task.UniqueKey = &key
	}
	return task
}

// TestTasksAreClaimedOnce: one worker has a task, until its lease ends; what it
// says afterwards counts no more.
func TestTasksAreClaimedOnce(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		ctx, at := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		require.NoError(t, s.AddTask(ctx, newTask("a", "", at)))
		require.NoError(t, s.AddTask(ctx, newTask("b", "", at.Add(time.Hour))))
		first, err := s.ClaimTask(ctx, "one", at, time.Minute)
		require.NoError(t, err)
		require.Equal(t, "a", first.Kind)
		require.Equal(t, 1, first.Attempt)
		_, err = s.ClaimTask(ctx, "two", at, time.Minute)
		require.Equal(t, models.NotFound, models.CodeOf(err), "b is not due")

		taken, err := s.ClaimTask(ctx, "two", at.Add(2*time.Minute), time.Minute)
		require.NoError(t, err)
		require.Equal(t, first.ID, taken.ID)
		require.Equal(t, 2, taken.Attempt)
		require.Equal(t, models.NotFound, models.CodeOf(s.RenewTask(ctx, first, at)), "the first worker lost it")
		require.NoError(t, s.FinishTask(ctx, first))
		require.NoError(t, s.RenewTask(ctx, taken, at.Add(time.Hour)), "what the first said changed nothing")

		require.NoError(t, s.RetryTask(ctx, taken, at.Add(3*time.Minute), "not yet"))
		retried, err := s.ClaimTask(ctx, "two", at.Add(3*time.Minute), time.Minute)
		require.NoError(t, err)
		require.Equal(t, "not yet", retried.Error)
		require.NoError(t, s.FinishTask(ctx, retried))
		_, err = s.ClaimTask(ctx, "two", at.Add(3*time.Minute), time.Minute)
		require.Equal(t, models.NotFound, models.CodeOf(err))
	})
}

// TestTasksRunOnceMore: what is asked for while it runs is done again.
func TestTasksRunOnceMore(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		ctx, at := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		require.NoError(t, s.AddTask(ctx, newTask("a", "key", at.Add(time.Hour))))
		require.NoError(t, s.AddTask(ctx, newTask("a", "key", at)), "the earlier time counts")
		task, err := s.ClaimTask(ctx, "one", at, time.Minute)
		require.NoError(t, err)
		_, err = s.ClaimTask(ctx, "one", at, time.Minute)
		require.Equal(t, models.NotFound, models.CodeOf(err), "there is one of it")
		require.NoError(t, s.AddTask(ctx, newTask("a", "key", at)))
		require.NoError(t, s.FinishTask(ctx, task))
		again, err := s.ClaimTask(ctx, "one", time.Now().UTC().Add(time.Second), time.Minute)
		require.NoError(t, err)
		require.Equal(t, task.ID, again.ID)
		require.NoError(t, s.ReleaseTasks(ctx, "one"))
		again, err = s.ClaimTask(ctx, "two", time.Now().UTC().Add(time.Second), time.Minute)
		require.NoError(t, err)
		require.NoError(t, s.FailTask(ctx, again, "for good"))
		require.NoError(t, s.AddTask(ctx, newTask("a", "key", at)), "one that failed is in nobody's way")
	})
}

// TestDeliveriesCountOnce: a delivery that comes again is counted, not kept.
func TestDeliveriesCountOnce(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		delivery := func() *models.WebhookDelivery {
			return &models.WebhookDelivery{
				ID: models.NewID(), Provider: "github", Delivery: "d-1", Event: "ping", Body: []byte("{}"),
				State: models.DeliveryIgnored, CreatedAt: time.Now().UTC(),
			}
		}
		for _, want := range []bool{true, false, false} {
			fresh, err := s.AddDelivery(t.Context(), delivery())
			require.NoError(t, err)
			require.Equal(t, want, fresh)
		}
		listed, err := s.Deliveries(t.Context(), store.DeliveryFilter{}, models.PageRequest{})
		require.NoError(t, err)
		require.Len(t, listed.Items, 1)
		require.Equal(t, 2, listed.Items[0].Repeats)
		require.Empty(t, listed.Items[0].Body)
		require.NoError(t, s.PruneDeliveries(t.Context(), time.Now().Add(time.Minute)))
		listed, err = s.Deliveries(t.Context(), store.DeliveryFilter{}, models.PageRequest{})
		require.NoError(t, err)
		require.Empty(t, listed.Items)
	})
}

// TestTasksAskedForWhileTheyFail are tried at once, not after the failure's pause.
func TestTasksAskedForWhileTheyFail(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		ctx, at := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		require.NoError(t, s.AddTask(ctx, newTask("a", "key", at)))
		task, err := s.ClaimTask(ctx, "one", at, time.Minute)
		require.NoError(t, err)
		require.NoError(t, s.AddTask(ctx, newTask("a", "key", at)))
		require.NoError(t, s.RetryTask(ctx, task, at.Add(time.Hour), "a rate limit"))
		task, err = s.ClaimTask(ctx, "one", at, time.Minute)
		require.NoError(t, err)
		require.NoError(t, s.RetryTask(ctx, task, at.Add(time.Hour), "a rate limit"))
		_, err = s.ClaimTask(ctx, "one", at.Add(time.Minute), time.Minute)
		require.Equal(t, models.NotFound, models.CodeOf(err), "nobody asked again")
		busy, err := s.TasksUnderWay(ctx, at.Add(time.Minute))
		require.NoError(t, err)
		require.Zero(t, busy)
	})
}
