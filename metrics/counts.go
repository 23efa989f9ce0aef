package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// Counts counts what happens in the control plane. It implements
// platform.Watcher.
type Counts struct {
	builds      *prometheus.HistogramVec
	deployments *prometheus.CounterVec
	deliveries  *prometheus.CounterVec
	requests    *prometheus.CounterVec
	durations   *prometheus.HistogramVec
}

// NewCounts returns Counts that count from zero.
func NewCounts() *Counts {
	return &Counts{
		builds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sky_build_duration_seconds", Help: "Builds that ended, by outcome, and how long they took.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800},
		}, []string{"outcome"}),
		deployments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sky_deployments_total", Help: "Deployments that ended, by outcome.",
		}, []string{"outcome"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sky_webhook_deliveries_total", Help: "Deliveries of git hosts, by what became of them at the door.",
		}, []string{"result"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sky_api_requests_total", Help: "Requests to the API that ended, by the pattern of their address.",
		}, []string{"method", "route", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sky_api_request_duration_seconds", Help: "How long requests to the API took, streams included.",
			Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"method"}),
	}
}

// BuildEnded implements platform.Watcher.
func (c *Counts) BuildEnded(state models.BuildState, took time.Duration) {
	c.builds.WithLabelValues(string(state)).Observe(took.Seconds())
}

// DeploymentEnded implements platform.Watcher.
func (c *Counts) DeploymentEnded(state models.DeploymentState) {
	c.deployments.WithLabelValues(string(state)).Inc()
}

// DeliveryCame implements platform.Watcher.
func (c *Counts) DeliveryCame(result platform.DeliveryResult) {
	c.deliveries.WithLabelValues(string(result)).Inc()
}

// Answered counts a request to the API. Route is the pattern that its address
// matched, and empty where it matched none.
func (c *Counts) Answered(method, route string, status int, took time.Duration) {
	if route == "" {
		method, route = "any", "none" // both are the client's own words
	}
	c.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	c.durations.WithLabelValues(method).Observe(took.Seconds())
}

// Describe implements prometheus.Collector.
func (c *Counts) Describe(to chan<- *prometheus.Desc) {
	for _, counter := range c.all() {
		counter.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (c *Counts) Collect(to chan<- prometheus.Metric) {
	for _, counter := range c.all() {
		counter.Collect(to)
	}
}

func (c *Counts) all() []prometheus.Collector {
	return []prometheus.Collector{c.builds, c.deployments, c.deliveries, c.requests, c.durations}
}
