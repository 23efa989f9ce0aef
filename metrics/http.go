package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// Path is where Prometheus asks.
	Path = "/metrics"
	// atOnce is how many may ask at once.
	atOnce = 4
)

// Monitor answers Prometheus at an address of its own. It asks for no credentials:
// the address is for monitoring alone. Make one with Listen.
type Monitor struct {
	registry *prometheus.Registry
	listener net.Listener
}

// Listen takes the address, and shows how this process is.
func Listen(address string) (*Monitor, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics %s: %w", address, err)
	}
	m := &Monitor{registry: prometheus.NewRegistry(), listener: listener}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m, nil
}

// Show has the Monitor show what a collector tells too. One that was shown before
// is an error.
func (m *Monitor) Show(shown prometheus.Collector) error {
	if err := m.registry.Register(shown); err != nil {
		return fmt.Errorf("show metrics: %w", err)
	}
	return nil
}

// Run answers until ctx ends, and then returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: atOnce}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// Close gives the address back, of a Monitor that does not run.
func (m *Monitor) Close() { _ = m.listener.Close() }

// told collects what a collector tells at one scrape.
type told struct{ to chan<- prometheus.Metric }

func (t told) gauge(desc *prometheus.Desc, value float64, labels ...string) {
	t.to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

func (t told) counter(desc *prometheus.Desc, value float64, labels ...string) {
	t.to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sky_"+name, help, labels, nil)
}

// truth is 1 for what holds.
func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
