package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/platform/history"
)

func (s *server) metrics(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, appPath+"/metrics", "get-metrics", "Show what an app's instances use", models.AppRead), s.getMetrics)
	huma.Register(routes, operation(http.MethodGet, appPath+"/metrics/history", "get-metrics-history", "Show what an app's requests were and what its instances used", models.AppRead), s.appHistory)
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/nodes/{node}/metrics", "get-node-metrics", "Show what a node used", models.PlatformManage), s.nodeHistory)
}

// SpanInput is the time that a chart is about. It is exported because huma reads
// only exported embedded fields.
type SpanInput struct {
	From time.Time `query:"from" doc:"When to begin; by default an hour before to"`
	To   time.Time `query:"to" doc:"When to end; by default now"`
	Step string    `query:"step" maxLength:"20" doc:"How long each point is: 30s for the newest quarter of an hour, whole minutes for two days, whole hours for ninety; by default the finest that makes at most 300 points. 1500 points are the most"`
}

func (i SpanInput) span() (platform.Span, error) {
	span := platform.Span{From: i.From, To: i.To}
	if i.Step == "" {
		return span, nil
	}
	var err error
	if span.Step, err = time.ParseDuration(i.Step); err != nil || span.Step == 0 {
		return span, models.Errorf(models.Invalid, "that is no length of time").WithField("step").WithRemedy("use one such as 30s, 5m or 1h")
	}
	return span, nil
}

func (s *server) getMetrics(ctx context.Context, input *AppInput) (*body[[]v1.InstanceMetrics], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	metrics, err := s.Platform.Metrics(ctx, app)
	return answer(ctx, s, each(metrics, wireMetrics), err)
}

func wireMetrics(measured platform.InstanceMetrics) v1.InstanceMetrics {
	wire := v1.InstanceMetrics{
		Process: measured.Instance.Process, Ordinal: measured.Instance.Ordinal, CPUPercent: measured.Load.CPUPercent,
		MemoryBytes: measured.Load.MemoryBytes, MemoryLimitBytes: measured.MemoryLimit,
		ReceivedBytes: measured.Load.ReceivedBytes, SentBytes: measured.Load.SentBytes,
	}
	if !measured.At.IsZero() {
		wire.At = &measured.At
	}
	return wire
}

func (s *server) appHistory(ctx context.Context, input *struct {
	AppInput
	SpanInput
}) (*body[v1.AppHistory], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	span, err := input.span()
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	chart, err := s.Platform.AppHistory(ctx, app, span)
	return answer(ctx, s, wireAppHistory(chart), err)
}

func (s *server) nodeHistory(ctx context.Context, input *struct {
	NodeInput
	SpanInput
}) (*body[v1.NodeHistory], error) {
	span, err := input.span()
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	chart, err := s.Platform.NodeHistory(ctx, actor(ctx), input.Node, span)
	return answer(ctx, s, v1.NodeHistory{
		From: chart.From, To: chart.To, StepSeconds: int(chart.Step.Seconds()), Points: each(chart.Load, wireNodePoint),
	}, err)
}

func wireAppHistory(chart platform.AppChart) v1.AppHistory {
	wire := v1.AppHistory{
		From: chart.From, To: chart.To, StepSeconds: int(chart.Step.Seconds()),
		Traffic: each(chart.Traffic, wireTrafficPoint), Processes: []v1.ProcessHistory{},
	}
	for _, process := range slices.Sorted(maps.Keys(chart.Usage)) {
		if points := chart.Usage[process]; len(points) > 0 {
			wire.Processes = append(wire.Processes, v1.ProcessHistory{Process: process, Points: each(points, wireUsagePoint)})
		}
	}
	return wire
}

func wireTrafficPoint(point history.Point[models.Traffic]) v1.TrafficPoint {
	traffic := point.Value
	quantile := func(share float64) float64 { return milliseconds(history.Quantile(traffic.Latency, share)) }
	wire := v1.TrafficPoint{
		At: point.At, Requests: traffic.Requests(), NoAnswer: traffic.Status[0], Status1xx: traffic.Status[1], Status2xx: traffic.Status[2],
		Status3xx: traffic.Status[3], Status4xx: traffic.Status[4], Status5xx: traffic.Status[5],
		Sky502: traffic.BadGateway, Sky503: traffic.Unavailable, Sky504: traffic.GatewayTimeout,
		P50Ms: quantile(0.5), P95Ms: quantile(0.95), P99Ms: quantile(0.99),
		BytesIn: traffic.BytesIn, BytesOut: traffic.BytesOut, Held: traffic.Held, Retried: traffic.Retried, WebSockets: traffic.WebSockets,
	}
	if timed := wire.Requests - wire.Status1xx; timed > 0 {
		wire.MeanMs = milliseconds(time.Duration(traffic.Took/timed) * time.Microsecond)
	}
	return wire
}

// milliseconds are those of a time, to the hundredth.
func milliseconds(took time.Duration) float64 {
	return float64(took.Round(10*time.Microsecond).Microseconds()) / 1000
}

func wireUsagePoint(point history.Point[models.Usage]) v1.UsagePoint {
	usage, samples := point.Value, max(point.Value.Samples, 1)
	return v1.UsagePoint{
		At: point.At, CPUPercent: usage.CPUPercent / float64(samples), CPUPeakPercent: usage.CPUPeak,
		MemoryBytes: usage.MemoryBytes / samples, MemoryPeakBytes: usage.MemoryPeak,
		ReceivedBytes: usage.ReceivedBytes, SentBytes: usage.SentBytes,
	}
}

func wireNodePoint(point history.Point[models.NodeLoad]) v1.NodePoint {
	load, samples := point.Value, max(point.Value.Samples, 1)
	return v1.NodePoint{
		At: point.At, CPUPercent: load.CPUPercent / float64(samples), CPUPeakPercent: load.CPUPeak,
		MemoryBytes: load.MemoryBytes / samples, MemoryPeakBytes: load.MemoryPeak,
		DiskBytes: load.DiskBytes, DiskTotalBytes: load.DiskTotal, Containers: load.Containers,
	}
}
