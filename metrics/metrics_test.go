package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/metrics"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
	"github.com/stretchr/testify/require"
)

func source(figures platform.Figures, err error) metrics.Source {
	return metrics.Source{
		Figures: func() (platform.Figures, error) { return figures, err },
		Census:  func() (int, map[string]int) { return 2, map[string]int{"healthy": 3} },
		Log:     slog.New(slog.DiscardHandler),
	}
}

func TestControlTellsHowThingsAre(t *testing.T) {
	latency := make([]int64, protocol.LatencyBuckets)
	latency[protocol.LatencyBucket(7*time.Millisecond)] = 5
	latency[protocol.LatencyBuckets-1] = 1
	shown := metrics.NewControl(source(platform.Figures{
		Builds:   map[models.BuildState]int{models.BuildQueued: 4, models.BuildRunning: 1},
		Traffic:  map[string]models.Traffic{"shop": {Status: [6]int64{2: 5, 5: 1}, Unavailable: 1, Latency: latency, Took: 40_035_000}},
		Nodes:    []models.Node{{Name: "n1", State: models.NodeOnline, CPUPercent: 12, Containers: 3}, {Name: "n2", State: models.NodeOffline}},
		Database: []store.PoolStats{{Pool: "write"}},
	}, nil))
	require.NoError(t, testutil.CollectAndCompare(shown, strings.NewReader(`
# HELP sky_app_request_duration_seconds How long requests took until the end of their answer.
# TYPE sky_app_request_duration_seconds histogram
sky_app_request_duration_seconds_bucket{app="shop",le="0.001"} 0
sky_app_request_duration_seconds_bucket{app="shop",le="0.0025"} 0
sky_app_request_duration_seconds_bucket{app="shop",le="0.005"} 0
sky_app_request_duration_seconds_bucket{app="shop",le="0.01"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="0.025"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="0.05"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="0.1"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="0.25"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="0.5"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="1"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="2.5"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="5"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="10"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="30"} 5
sky_app_request_duration_seconds_bucket{app="shop",le="+Inf"} 6
sky_app_request_duration_seconds_sum{app="shop"} 40.035
sky_app_request_duration_seconds_count{app="shop"} 6
# HELP sky_app_unanswered_total Requests that Sky answered because no instance did, by status.
# TYPE sky_app_unanswered_total counter
sky_app_unanswered_total{app="shop",status="502"} 0
sky_app_unanswered_total{app="shop",status="503"} 1
sky_app_unanswered_total{app="shop",status="504"} 0
# HELP sky_builds Builds that wait or run.
# TYPE sky_builds gauge
sky_builds{state="queued"} 4
sky_builds{state="running"} 1
# HELP sky_node_up Whether the node's agent is online.
# TYPE sky_node_up gauge
sky_node_up{node="n1"} 1
sky_node_up{node="n2"} 0
# HELP sky_up Whether the figures of this scrape could be read; those of the database are missing where not.
# TYPE sky_up gauge
sky_up 1
`), "sky_app_request_duration_seconds", "sky_app_unanswered_total", "sky_builds", "sky_node_up", "sky_up"))
	problems, err := testutil.CollectAndLint(shown)
	require.NoError(t, err)
	require.Empty(t, problems)
}

// TestAScrapeOutlivesTheDatabase: what needs none is told, and that the rest is
// missing.
func TestAScrapeOutlivesTheDatabase(t *testing.T) {
	shown := metrics.NewControl(source(platform.Figures{}, errors.New("no database")))
	require.NoError(t, testutil.CollectAndCompare(shown, strings.NewReader(`
# HELP sky_agents_linked Agents that have a link to this control plane.
# TYPE sky_agents_linked gauge
sky_agents_linked 2
# HELP sky_up Whether the figures of this scrape could be read; those of the database are missing where not.
# TYPE sky_up gauge
sky_up 0
`), "sky_agents_linked", "sky_up"))
}

// TestWhatClientsSendIsNoLabel: addresses that match nothing are one series.
func TestWhatClientsSendIsNoLabel(t *testing.T) {
	counts := metrics.NewCounts()
	before := testutil.CollectAndCount(counts)
	for _, method := range []string{"GET", "BREW", "x1", "x2"} {
		counts.Answered(method, "", http.StatusNotFound, time.Millisecond)
	}
	counts.BuildEnded(models.BuildFailed, time.Second)
	counts.DeploymentEnded(models.DeploymentLive)
	counts.DeliveryCame(platform.DeliveryRepeated)
	require.Equal(t, before+5, testutil.CollectAndCount(counts))
	problems, err := testutil.CollectAndLint(counts)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestMonitorAnswersUntilItEnds(t *testing.T) {
	address := testenv.FreeAddr(t)
	monitor, err := metrics.Listen(address)
	require.NoError(t, err)
	_, err = metrics.Listen(address)
	require.ErrorContains(t, err, "--metrics "+address)
	require.NoError(t, monitor.Show(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sky_test"}, func() float64 { return 7 })))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- monitor.Run(ctx) }()
	for path, want := range map[string]int{metrics.Path: http.StatusOK, "/": http.StatusNotFound} {
		answer, err := http.Get("http://" + address + path)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, want, answer.StatusCode)
		require.Equal(t, want == http.StatusOK, strings.Contains(string(text), "sky_test 7"))
	}
	stop()
	require.NoError(t, <-ended)
	_, err = net.Dial("tcp", address)
	require.Error(t, err)
}
