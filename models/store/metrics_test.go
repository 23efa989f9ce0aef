package store_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

func node(t *testing.T, s *store.Store) models.Node {
	t.Helper()
	id := models.NewID()
	n := models.Node{ID: id, Name: "node-" + id.String(), State: models.NodeOnline, Region: "default"}
	require.NoError(t, s.CreateNode(t.Context(), &n))
	return n
}

// TestMetricsAddUp: whatever batches they came in, the rows hold the sums that
// somebody else adds up, by the minute and by the hour.
func TestMetricsAddUp(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		apps := []models.App{app(t, s), app(t, s)}
		began := time.Date(2026, 11, 27, 10, 58, 0, 0, time.UTC)
		random := rand.New(rand.NewPCG(1, 2))
		var requests, bytes [2]map[time.Time]int64
		for i := range apps {
			requests[i], bytes[i] = map[time.Time]int64{}, map[time.Time]int64{}
		}
		for range 40 {
			var batch models.Metrics
			for range 1 + random.IntN(5) {
				which, at := random.IntN(2), began.Add(time.Duration(random.IntN(5))*time.Minute)
				counted := models.Traffic{Status: [6]int64{2: random.Int64N(100), 4: random.Int64N(9)}, Latency: []int64{1, random.Int64N(50)}, BytesOut: 7}
				for _, step := range []time.Duration{models.StepMinute, models.StepHour} {
					batch.Traffic = append(batch.Traffic, models.AppTraffic{
						AppID: apps[which].ID, Moment: models.Moment{Step: int64(step.Seconds()), At: at.Truncate(step)}, Traffic: counted,
					})
				}
				requests[which][at] += counted.Requests()
				bytes[which][at.Truncate(time.Hour)] += 7
			}
			require.NoError(t, s.AddMetrics(t.Context(), batch))
		}
		for i, app := range apps {
			minutes, err := s.AppTraffic(t.Context(), app.ID, models.StepMinute, began, began.Add(time.Hour))
			require.NoError(t, err)
			require.Len(t, minutes, len(requests[i]))
			for _, row := range minutes {
				require.Equal(t, requests[i][row.At], row.Requests(), row.At)
			}
			hours, err := s.AppTraffic(t.Context(), app.ID, models.StepHour, began.Truncate(time.Hour), began.Add(time.Hour))
			require.NoError(t, err)
			require.Len(t, hours, len(bytes[i]))
			for _, row := range hours {
				require.Equal(t, bytes[i][row.At], row.BytesOut, row.At)
			}
		}
	})
}

// TestMetricsOfWhatIsGoneAreLeftOut: they keep nothing else from being kept.
func TestMetricsOfWhatIsGoneAreLeftOut(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		kept, machine := app(t, s), node(t, s)
		at := models.Moment{Step: 60, At: time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)}
		batch := models.Metrics{
			Traffic: []models.AppTraffic{{AppID: models.NewID(), Moment: at}, {AppID: kept.ID, Moment: at}},
			Usage:   []models.AppUsage{{AppID: kept.ID, Process: "web", Moment: at, Usage: models.Usage{Samples: 1, CPUPercent: 12.5}}},
			Nodes:   []models.NodeUsage{{NodeID: models.NewID(), Moment: at}, {NodeID: machine.ID, Moment: at, NodeLoad: models.NodeLoad{Samples: 1, DiskBytes: 9}}},
			Marks:   []models.TrafficMark{{NodeID: machine.ID, AppID: models.NewID()}, {NodeID: machine.ID, AppID: kept.ID, Counters: "{}"}},
		}
		require.NoError(t, s.AddMetrics(t.Context(), batch))
		require.NoError(t, s.AddMetrics(t.Context(), models.Metrics{Usage: batch.Usage}))
		marks, err := s.TrafficMarks(t.Context())
		require.NoError(t, err)
		require.Equal(t, []models.TrafficMark{{NodeID: machine.ID, AppID: kept.ID, Counters: "{}"}}, marks)
		used, err := s.AppUsage(t.Context(), kept.ID, models.StepMinute, at.At, at.At.Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, []models.AppUsage{{AppID: kept.ID, Process: "web", Moment: at, Usage: models.Usage{Samples: 2, CPUPercent: 25}}}, used)

		require.NoError(t, s.PruneMetrics(t.Context(), models.StepMinute, at.At.Add(time.Second)))
		used, err = s.AppUsage(t.Context(), kept.ID, models.StepMinute, at.At, at.At.Add(time.Minute))
		require.NoError(t, err)
		require.Empty(t, used)
		require.NoError(t, s.DeleteNode(t.Context(), machine.ID))
		marks, err = s.TrafficMarks(t.Context())
		require.NoError(t, err)
		require.Empty(t, marks)
	})
}
