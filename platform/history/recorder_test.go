package history_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/history"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func counters(began, requests int64) protocol.Traffic {
	return protocol.Traffic{Began: began, Status: [6]int64{2: requests}, Latency: [protocol.LatencyBuckets]int64{3: requests}, BytesOut: 10 * requests}
}

func open(t *testing.T, marks ...models.TrafficMark) *history.Recorder {
	t.Helper()
	recorder, err := history.New(marks)
	require.NoError(t, err)
	return recorder
}

func taken(t *testing.T, r *history.Recorder, at time.Time) models.Metrics {
	t.Helper()
	batch, err := r.Take(at)
	require.NoError(t, err)
	return batch
}

// requests adds up what a batch tells in one step.
func requests(batch models.Metrics, step time.Duration) (total int64) {
	for _, row := range batch.Traffic {
		if row.Step == int64(step.Seconds()) {
			total += row.Requests()
		}
	}
	return total
}

func TestHeartbeatsCountOnce(t *testing.T) {
	node, app := models.NewID(), models.NewID()
	for _, story := range []struct {
		name  string
		beats []protocol.Traffic
		want  int64
	}{
		{"one after another", []protocol.Traffic{counters(1, 3), counters(1, 5)}, 5},
		{"one comes twice", []protocol.Traffic{counters(1, 3), counters(1, 3), counters(1, 5), counters(1, 5)}, 5},
		{"one is lost", []protocol.Traffic{counters(1, 3), counters(1, 9)}, 9},
		{"the agent was restarted", []protocol.Traffic{counters(1, 3), counters(2, 1), counters(2, 4)}, 7},
		{"restarted, and had more at once", []protocol.Traffic{counters(1, 3), counters(2, 30)}, 33},
		{"counters that go back count again from there", []protocol.Traffic{counters(1, 9), counters(1, 2), counters(1, 4)}, 11},
	} {
		t.Run(story.name, func(t *testing.T) {
			r := open(t)
			for i, beat := range story.beats {
				r.Traffic(node, app, beat, noon.Add(time.Duration(i)*10*time.Second))
			}
			require.Equal(t, story.want, r.Total(app).Requests())
			batch := taken(t, r, noon.Add(time.Minute))
			require.Equal(t, story.want, requests(batch, models.StepMinute))
			require.Equal(t, story.want, requests(batch, models.StepHour))
			require.True(t, taken(t, r, noon.Add(time.Minute)).Empty())
		})
	}
}

// TestAControlPlaneThatIsKilledLosesNothing: what was not taken comes again with
// the next heartbeat, and what was does not.
func TestAControlPlaneThatIsKilledLosesNothing(t *testing.T) {
	node, app := models.NewID(), models.NewID()
	first := open(t)
	first.Traffic(node, app, counters(1, 10), noon)
	kept := taken(t, first, noon)
	first.Traffic(node, app, counters(1, 17), noon.Add(10*time.Second)) // and then it was killed

	second := open(t, kept.Marks...)
	second.Traffic(node, app, counters(1, 20), noon.Add(time.Minute))
	require.EqualValues(t, 20, requests(kept, models.StepMinute)+requests(taken(t, second, noon.Add(time.Minute)), models.StepMinute))
}

func TestWhatCouldNotBeKeptIsGivenBack(t *testing.T) {
	node, app := models.NewID(), models.NewID()
	r := open(t)
	r.Traffic(node, app, counters(1, 10), noon)
	r.Usage(history.Process{App: app, Name: "web"}, models.Usage{Samples: 1, CPUPercent: 50}, noon)
	r.Node(node, models.NodeLoad{Samples: 1, Containers: 3}, noon)
	batch := taken(t, r, noon)
	r.Traffic(node, app, counters(1, 12), noon.Add(time.Second))
	r.Return(batch)
	again := taken(t, r, noon)
	require.EqualValues(t, 12, requests(again, models.StepMinute))
	require.Len(t, again.Marks, 1)
	require.Equal(t, 50.0, again.Usage[0].CPUPercent)
	require.EqualValues(t, 3, again.Nodes[0].Containers)
}

func TestOpenWebSocketsAreSeenWithoutRequests(t *testing.T) {
	near, far, app := models.NewID(), models.NewID(), models.NewID()
	r := open(t)
	r.Traffic(near, app, protocol.Traffic{Began: 1, WebSockets: 2}, noon)
	r.Traffic(far, app, protocol.Traffic{Began: 1, WebSockets: 3}, noon)
	taken(t, r, noon)
	later := taken(t, r, noon.Add(5*time.Minute))
	require.EqualValues(t, 5, later.Traffic[0].WebSockets)
	r.Silent(far)
	require.EqualValues(t, 2, r.Total(app).WebSockets)
}

// TestPointsAreWhatWasCounted: in any step, the points add up to what somebody
// else adds up.
func TestPointsAreWhatWasCounted(t *testing.T) {
	node, app, random := models.NewID(), models.NewID(), rand.New(rand.NewPCG(3, 4))
	r, want, count := open(t), map[time.Time]int64{}, int64(0)
	for second := 0; second < 600; second += 5 + random.IntN(10) {
		more, at := random.Int64N(40), noon.Add(time.Duration(second)*time.Second)
		count += more
		want[at.Truncate(30*time.Second)] += more
		r.Traffic(node, app, counters(7, count), at)
	}
	points := history.Fold(nil, r.AppTraffic(app, true), 30*time.Second)
	require.Len(t, points, len(want))
	for _, point := range points {
		require.Equal(t, want[point.At], point.Value.Requests(), point.At)
	}
	sum := int64(0)
	for _, point := range r.AppTraffic(app, false) {
		sum += point.Value.Requests()
	}
	require.Equal(t, count, sum)
}

func TestOnlyTheNewestStaysFine(t *testing.T) {
	app := models.NewID()
	r := open(t)
	for minute := range 60 {
		r.Traffic(models.ID{1}, app, counters(1, int64(minute+1)), noon.Add(time.Duration(minute)*time.Minute))
	}
	points := r.AppTraffic(app, true)
	require.Equal(t, noon.Add(44*time.Minute), points[0].At)
	require.Len(t, points, 16)
	r.Retain(func(models.ID) bool { return false }, func(models.ID) bool { return true })
	require.Zero(t, r.Total(app).Requests())
}
