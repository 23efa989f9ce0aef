package platform

import (
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/require"
)

// beat is a heartbeat that tells of requests to an App.
func (s *stage) beat(requests int64) protocol.Heartbeat {
	return protocol.Heartbeat{CPUPercent: 20, MemoryUsed: gib, DiskUsed: 5, DiskTotal: 10, Containers: 2, Traffic: []protocol.Traffic{
		{AppID: s.app.ID.String(), Began: 1, Status: [6]int64{2: requests}},
		{AppID: models.NewID().String(), Began: 1, Status: [6]int64{2: 1000}}, // of nobody's
		{AppID: "../../etc", Began: 1, Status: [6]int64{2: 1000}},
	}}
}

// requests are those of the stage's App, in a step, for an hour until soon.
func (s *stage) requests(t *testing.T, step time.Duration) (total int64) {
	t.Helper()
	to := now().Add(time.Second)
	chart, err := s.AppHistory(t.Context(), s.app, Span{From: to.Add(-10 * time.Minute), To: to, Step: step})
	require.NoError(t, err)
	for _, point := range chart.Traffic {
		total += point.Value.Requests()
	}
	return total
}

// TestRequestsAreExactThroughRestarts: of the control plane, at any moment between
// heartbeats and chores.
func TestRequestsAreExactThroughRestarts(t *testing.T) {
	s := newStage(t)
	ctx, node := t.Context(), s.join(t, "local", 16, 64*gib).ID
	s.Heartbeat(ctx, node, s.beat(5))
	s.Heartbeat(ctx, node, s.beat(5))
	for _, step := range []time.Duration{30 * time.Second, models.StepMinute, models.StepHour} {
		require.EqualValues(t, 5, s.requests(t, step), step)
	}
	require.NoError(t, s.keepMetrics(ctx, now()))
	require.NoError(t, s.keepMetrics(ctx, now()))
	s.Heartbeat(ctx, node, s.beat(8))
	require.EqualValues(t, 8, s.requests(t, models.StepMinute), "some in the database, some not")

	s.Stop() // which keeps what there is
	s.open(t)
	s.Heartbeat(ctx, node, s.beat(11))
	require.EqualValues(t, 11, s.requests(t, models.StepMinute))

	s.cancel(errStopping) // as if it were killed: what it had not kept is told again
	s.chores.Wait()
	s.open(t)
	s.Heartbeat(ctx, node, s.beat(12))
	require.EqualValues(t, 12, s.requests(t, models.StepMinute))
	require.NoError(t, s.keepMetrics(ctx, now()))
	require.EqualValues(t, 12, s.requests(t, models.StepMinute))
	require.EqualValues(t, 12, s.requests(t, models.StepHour))
}

func TestUsageIsOfInstancesOnTheNode(t *testing.T) {
	s := newStage(t)
	ctx, node := t.Context(), s.join(t, "local", 16, 64*gib).ID
	elsewhere := s.join(t, "far", 2, 4*gib).ID
	release := models.Release{ID: models.NewID(), AppID: s.app.ID, Config: []byte("sealed"), CreatedAt: now()}
	require.NoError(t, s.Store.CreateRelease(ctx, &release))
	instance := models.Instance{ID: models.NewID(), AppID: s.app.ID, ReleaseID: release.ID, NodeID: node, Process: "web", CreatedAt: now()}
	_, err := s.Apply(ctx, rollout.Change{App: s.app.ID, Add: []models.Instance{instance}})
	require.NoError(t, err)
	beat := func(cpu float64, received int64) protocol.Heartbeat {
		return protocol.Heartbeat{Loads: []protocol.Load{{Instance: instance.ID.String(), CPUPercent: cpu, MemoryBytes: 100, ReceivedBytes: received}}}
	}
	s.Heartbeat(ctx, node, beat(10, 500))
	s.Heartbeat(ctx, elsewhere, beat(99, 9999)) // a node that speaks for what is not its own
	s.Heartbeat(ctx, node, protocol.Heartbeat{})
	s.Heartbeat(ctx, node, beat(30, 700))
	s.Heartbeat(ctx, node, beat(20, 50)) // started again
	chart, err := s.AppHistory(ctx, s.app, Span{Step: models.StepHour})
	require.NoError(t, err)
	require.Len(t, chart.Usage["web"], 1)
	require.Equal(t, models.Usage{
		Samples: 3, CPUPercent: 60, CPUPeak: 30, MemoryBytes: 300, MemoryPeak: 100, ReceivedBytes: 250,
	}, chart.Usage["web"][0].Value)
	metrics, err := s.Metrics(ctx, s.app)
	require.NoError(t, err)
	require.InDelta(t, 20, metrics[0].Load.CPUPercent, 0.001)
}

// TestNodesAreNotedByTheMinute: the API shows the last heartbeat, and the database
// gets it with the next chores.
func TestNodesAreNotedByTheMinute(t *testing.T) {
	s := newStage(t)
	ctx, node := t.Context(), s.join(t, "local", 16, 64*gib).ID
	s.Heartbeat(ctx, node, s.beat(1))
	view, err := s.Node(ctx, s.actor, "local")
	require.NoError(t, err)
	require.Equal(t, 20, view.CPUPercent)
	require.NoError(t, s.keepMetrics(ctx, now()))
	row, err := s.Store.Node(ctx, node)
	require.NoError(t, err)
	require.Equal(t, 20, row.CPUPercent)
	require.EqualValues(t, 5, row.DiskUsedBytes)
	chart, err := s.NodeHistory(ctx, s.actor, "local", Span{})
	require.NoError(t, err)
	require.EqualValues(t, 2, chart.Load[0].Value.Containers)
	_, err = s.NodeHistory(ctx, models.Actor{Name: "somebody"}, "local", Span{})
	require.True(t, models.IsCode(err, models.Forbidden))
}

func TestSpans(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 30, 0, time.UTC)
	for _, ok := range []struct {
		asked Span
		step  time.Duration
	}{
		{Span{}, time.Minute},
		{Span{From: at.Add(-10 * time.Minute)}, 30 * time.Second},
		{Span{From: at.Add(-24 * time.Hour)}, 5 * time.Minute},
		{Span{From: at.Add(-7 * 24 * time.Hour)}, time.Hour},
		{Span{From: at.Add(-80 * 24 * time.Hour)}, 24 * time.Hour},
		{Span{From: at.Add(-47 * time.Hour), To: at.Add(-46 * time.Hour)}, time.Minute},
		{Span{Step: 2 * time.Minute}, 2 * time.Minute},
	} {
		span, err := ok.asked.resolve(at)
		require.NoError(t, err, "%+v", ok.asked)
		require.Equal(t, ok.step, span.Step, "%+v", ok.asked)
		require.LessOrEqual(t, span.points(), int64(chartPoints))
	}
	for _, wrong := range []struct {
		asked Span
		field string
	}{
		{Span{From: at}, "from"},
		{Span{From: at, To: at.Add(-time.Hour)}, "from"},
		{Span{Step: time.Second}, "step"},
		{Span{Step: 15 * time.Second}, "step"},
		{Span{Step: 90 * time.Second}, "step"},
		{Span{Step: 90 * time.Minute, From: at.Add(-24 * time.Hour)}, "step"},
		{Span{Step: time.Minute, From: at.Add(-47 * time.Hour)}, "step"},
		{Span{Step: 30 * time.Second}, "from"},
		{Span{Step: 10 * time.Minute, From: at.Add(-50 * time.Hour)}, "from"},
		{Span{Step: -time.Hour}, "step"},
		{Span{From: at.Add(-100 * 24 * time.Hour)}, "from"},
	} {
		_, err := wrong.asked.resolve(at)
		require.True(t, models.IsCode(err, models.Invalid), "%+v", wrong.asked)
		require.Equal(t, wrong.field, models.AsError(err).Field, "%+v: %s", wrong.asked, err)
		require.NotEmpty(t, models.AsError(err).Remedy)
	}
}
