package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/stretchr/testify/require"
)

func TestHistoryIsWhatTheAgentsTold(t *testing.T) {
	s := newSite(t)
	app, err := s.client.CreateApp(t.Context(), v1.NewApp{Name: "shop"})
	require.NoError(t, err)
	node, err := s.platform.EnsureNode(t.Context(), "n1")
	require.NoError(t, err)
	latency := [protocol.LatencyBuckets]int64{3: 90, 9: 10} // 5 to 10 ms, 500 ms to 1 s
	s.platform.Heartbeat(t.Context(), node.ID, protocol.Heartbeat{CPUPercent: 12.5, Containers: 4, Traffic: []protocol.Traffic{{
		AppID: app.ID, Began: 1, Status: [6]int64{2: 80, 4: 15, 5: 5}, Unavailable: 5, Latency: latency, Took: 8_000_000, BytesOut: 1234, WebSockets: 2,
	}}})
	history, err := s.client.AppHistory(t.Context(), "shop", v1.Span{Step: time.Hour})
	require.NoError(t, err)
	require.Len(t, history.Traffic, 1)
	point := history.Traffic[0]
	require.EqualValues(t, 100, point.Requests)
	require.EqualValues(t, 80, point.Status2xx)
	require.EqualValues(t, 5, point.Sky503)
	require.EqualValues(t, 1234, point.BytesOut)
	require.EqualValues(t, 2, point.WebSockets)
	require.InDelta(t, 80, point.MeanMs, 0.01)
	require.InDelta(t, 7.78, point.P50Ms, 0.01)
	require.InDelta(t, 750, point.P95Ms, 0.01)
	require.InDelta(t, 950, point.P99Ms, 0.01)
	machine, err := s.client.NodeHistory(t.Context(), "n1", v1.Span{Step: time.Hour})
	require.NoError(t, err)
	require.EqualValues(t, 4, machine.Points[0].Containers)
	require.InDelta(t, 12.5, machine.Points[0].CPUPercent, 0.001)
}

func TestHistoryRefusesWhatItCannotTell(t *testing.T) {
	s := newSite(t)
	_, err := s.client.CreateApp(t.Context(), v1.NewApp{Name: "shop"})
	require.NoError(t, err)
	for query, field := range map[string]string{
		"step=soon": "step", "step=7s": "step", "step=0s": "step", "from=2026-01-01T00:00:00Z&to=2025-01-01T00:00:00Z": "from",
		"from=2020-01-01T00:00:00Z": "from", "step=30s&from=" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339): "from",
	} {
		got := s.ask(t, s.admin, http.MethodGet, "/api/paas/applications/shop/metrics/history?"+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, "%s: %s", query, got.text)
		problem := got.problem(t)
		require.Equal(t, field, problem.Field, query)
		require.NotEmpty(t, problem.Remedy, query)
	}
}
