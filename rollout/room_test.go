package rollout

import (
	"context"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestRoomThatOthersTake: another plan is made, a bounded number of times.
func TestRoomThatOthersTake(t *testing.T) {
	w, want := serving()
	w.taken = 3
	_, err := w.roller().Roll(t.Context(), want, &heard{})
	require.NoError(t, err)
	w, want = serving()
	w.taken = 1 << 20
	_, err = w.roller().Roll(t.Context(), want, &heard{})
	require.ErrorIs(t, err, ErrRoomTaken)
	require.True(t, models.IsCode(err, models.Unavailable))
	require.Equal(t, 1<<20-maxPlans, w.taken)
	require.Empty(t, w.changes)
}

// TestNodeThatGoesOfflineWhileInstancesStart: they start elsewhere.
func TestNodeThatGoesOfflineWhileInstancesStart(t *testing.T) {
	w, want := serving()
	other := newCast(1).nodes[0]
	w.nodes = append(w.nodes, other)
	doomed := w.nodes[0].ID
	w.become = func(row models.Instance) protocol.InstanceStatus {
		if row.ReleaseID == w.new.ID && row.NodeID == doomed {
			w.away = map[models.ID]bool{doomed: true}
			return protocol.InstanceStatus{State: string(models.InstancePulling)}
		}
		return protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	}
	log := &heard{}
	outcome, err := w.roller().Roll(t.Context(), want, log)
	require.NoError(t, err)
	require.Equal(t, 2, outcome.Healthy)
	require.Len(t, w.rows, 2)
	for _, row := range w.rows {
		require.Equal(t, other.ID, row.NodeID)
	}
	require.Equal(t, heard{"         › the node of web.1 went offline: starting elsewhere"}, *log)
}

// TestOfflineNodesAreNotWaitedFor: neither for what serves there, nor for its
// switch, nor for what is to stop there.
func TestOfflineNodesAreNotWaitedFor(t *testing.T) {
	w, want := serving()
	want.Release, want.Formation = w.old, models.Formation{"web": 3}
	lost := w.nodes[0].ID
	w.nodes = append(w.nodes, newCast(1).nodes[0])
	w.away, w.lazy = map[models.ID]bool{lost: true}, true
	w.become = func(row models.Instance) protocol.InstanceStatus {
		if row.NodeID == lost {
			return protocol.InstanceStatus{State: string(models.InstanceStarting)} // as far as anybody knows
		}
		return protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	}
	_, err := w.roller().Roll(t.Context(), want, &heard{})
	require.NoError(t, err)
	require.Len(t, w.rows, 3)
	want.Leave = map[models.ID]bool{lost: true}
	_, err = w.roller().Roll(t.Context(), want, &heard{})
	require.NoError(t, err)
	require.Len(t, w.rows, 3)
	for _, row := range w.rows {
		require.NotEqual(t, lost, row.NodeID)
	}
}

// TestCommandOnALostNode: nobody knows whether it ended, and nobody waits for it.
func TestCommandOnALostNode(t *testing.T) {
	w, want := serving()
	w.become = func(models.Instance) protocol.InstanceStatus {
		return protocol.InstanceStatus{State: string(models.InstanceStarting)}
	}
	roller := w.roller()
	instance, err := roller.Begin(t.Context(), want, "release")
	require.NoError(t, err)
	again, err := roller.Begin(t.Context(), want, "release")
	require.NoError(t, err)
	require.Equal(t, instance.ID, again.ID, "it is not begun twice")
	patience := time.Hour
	roller.LostAfter = func(context.Context) time.Duration { return patience }
	ended := make(chan error, 1)
	w.let(func() { w.away = map[models.ID]bool{instance.NodeID: true} })
	go func() { ended <- roller.Ended(t.Context(), instance, time.Hour) }()
	w.let(func() { w.away = nil })
	w.let(func() { w.observed[instance.ID] = protocol.InstanceStatus{State: string(models.InstanceStopped)} })
	require.NoError(t, <-ended, "it came back in time")

	w.let(func() {
		w.away, w.observed[instance.ID] = map[models.ID]bool{instance.NodeID: true}, protocol.InstanceStatus{}
	})
	patience = 0
	err = roller.Ended(t.Context(), instance, time.Hour)
	require.EqualError(t, err, "the node of the release command was lost; whether the command ended is not known")
	require.True(t, models.IsCode(err, models.Unavailable))
}
