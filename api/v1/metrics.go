package v1

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// AppHistory is what an app's requests were, and what its instances used.
type AppHistory struct {
	From        time.Time        `json:"from" doc:"The first step's begin"`
	To          time.Time        `json:"to" doc:"Before which the steps begin"`
	StepSeconds int              `json:"step_seconds" doc:"How long a step is" example:"60"`
	Traffic     []TrafficPoint   `json:"traffic" doc:"Of all nodes together; a step in which nothing was counted has no point"`
	Processes   []ProcessHistory `json:"processes" doc:"By process type"`
}

// TrafficPoint is what an app's requests from outside were in one step.
type TrafficPoint struct {
	At         time.Time `json:"at" doc:"When the step begins"`
	Requests   int64     `json:"requests" doc:"Those that ended, whatever their answer"`
	Status1xx  int64     `json:"status_1xx" doc:"Those that became websockets, and have ended"`
	Status2xx  int64     `json:"status_2xx" doc:"Answered with 200 to 299"`
	Status3xx  int64     `json:"status_3xx" doc:"Answered with 300 to 399"`
	Status4xx  int64     `json:"status_4xx" doc:"Answered with 400 to 499"`
	Status5xx  int64     `json:"status_5xx" doc:"Answered with 500 to 599, by the app or by Sky"`
	NoAnswer   int64     `json:"no_answer" doc:"Whose client left before there was one"`
	Sky502     int64     `json:"sky_502" doc:"The app closed the connection, so that Sky answered"`
	Sky503     int64     `json:"sky_503" doc:"No instance was there, so that Sky answered"`
	Sky504     int64     `json:"sky_504" doc:"The app was too slow, so that Sky answered"`
	MeanMs     float64   `json:"mean_ms" doc:"How long requests took, in milliseconds"`
	P50Ms      float64   `json:"p50_ms" doc:"How long half of them took at most"`
	P95Ms      float64   `json:"p95_ms" doc:"How long 95 % of them took at most"`
	P99Ms      float64   `json:"p99_ms" doc:"How long 99 % of them took at most"`
	BytesIn    int64     `json:"bytes_in" doc:"Of bodies, and of websockets"`
	BytesOut   int64     `json:"bytes_out" doc:"Of bodies, and of websockets"`
	Held       int64     `json:"held" doc:"Those that waited for an instance"`
	Retried    int64     `json:"retried" doc:"How often one was sent to another instance"`
	WebSockets int64     `json:"websockets" doc:"The most that were open at once"`
}

// ProcessHistory is what the instances of a process type used.
type ProcessHistory struct {
	Process string       `json:"process" example:"web"`
	Points  []UsagePoint `json:"points" doc:"A step in which nothing was measured has none"`
}

// UsagePoint is what the instances of a process type used in one step.
type UsagePoint struct {
	At              time.Time `json:"at" doc:"When the step begins"`
	CPUPercent      float64   `json:"cpu_percent" doc:"Of one CPU, an instance's mean"`
	CPUPeakPercent  float64   `json:"cpu_peak_percent" doc:"Of one CPU, the busiest instance's at its busiest"`
	MemoryBytes     int64     `json:"memory_bytes" doc:"An instance's mean"`
	MemoryPeakBytes int64     `json:"memory_peak_bytes" doc:"The largest instance's at its largest"`
	ReceivedBytes   int64     `json:"received_bytes" doc:"By all instances, in the step"`
	SentBytes       int64     `json:"sent_bytes" doc:"By all instances, in the step"`
}

// NodeHistory is what a node used.
type NodeHistory struct {
	From        time.Time   `json:"from" doc:"The first step's begin"`
	To          time.Time   `json:"to" doc:"Before which the steps begin"`
	StepSeconds int         `json:"step_seconds" doc:"How long a step is" example:"60"`
	Points      []NodePoint `json:"points" doc:"A step in which no heartbeat came has none"`
}

// NodePoint is what a node used in one step.
type NodePoint struct {
	At              time.Time `json:"at" doc:"When the step begins"`
	CPUPercent      float64   `json:"cpu_percent" doc:"Of all its CPUs, the mean"`
	CPUPeakPercent  float64   `json:"cpu_peak_percent" doc:"Of all its CPUs, at its busiest"`
	MemoryBytes     int64     `json:"memory_bytes" doc:"The mean"`
	MemoryPeakBytes int64     `json:"memory_peak_bytes" doc:"The most"`
	DiskBytes       int64     `json:"disk_bytes" doc:"The most that was used"`
	DiskTotalBytes  int64     `json:"disk_total_bytes" doc:"How much it has"`
	Containers      int64     `json:"containers" doc:"The most that ran"`
}

// Span is the time that a history is about. Zero values leave it to the server:
// until now, for an hour, in the finest step that makes few points.
type Span struct {
	From, To time.Time
	Step     time.Duration
}

func (s Span) query() string {
	query := url.Values{}
	for name, at := range map[string]time.Time{"from": s.From, "to": s.To} {
		if !at.IsZero() {
			query.Set(name, at.Format(time.RFC3339))
		}
	}
	if s.Step != 0 {
		query.Set("step", s.Step.String())
	}
	return "?" + query.Encode()
}

// AppHistory returns what an app's requests were and what its instances used.
func (c *Client) AppHistory(ctx context.Context, app string, span Span) (AppHistory, error) {
	return call[AppHistory](ctx, c, http.MethodGet, appPath(app)+"/metrics/history"+span.query(), nil)
}

// NodeHistory returns what a node used, for an admin.
func (c *Client) NodeHistory(ctx context.Context, node string, span Span) (NodeHistory, error) {
	return call[NodeHistory](ctx, c, http.MethodGet, nodePath(node)+"/metrics"+span.query(), nil)
}
