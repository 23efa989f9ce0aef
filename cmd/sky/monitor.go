package main

import (
	"context"
	"time"

	"github.com/skypanel/sky/agent"
	"github.com/skypanel/sky/metrics"
	"github.com/skypanel/sky/platform"
)

// scrapePatience bounds what one scrape may wait for the database.
const scrapePatience = 10 * time.Second

// watch has Prometheus shown how the control plane is, where --metrics says so.
func (c *controlPlane) watch(ctx context.Context) error {
	c.counts = metrics.NewCounts()
	c.platform.Watcher = c.counts
	if c.config.metrics == "" {
		return nil
	}
	var err error
	if c.monitor, err = metrics.Listen(c.config.metrics); err != nil {
		return err
	}
	if err := c.monitor.Show(c.counts); err != nil {
		return err
	}
	return c.monitor.Show(metrics.NewControl(metrics.Source{
		Figures: func() (platform.Figures, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), scrapePatience)
			defer cancel()
			return c.platform.Figures(ctx)
		},
		Census: c.fleet.Census, Log: c.log,
	}))
}

// runMonitored runs an agent, and shows Prometheus how it is at an address; empty
// shows nothing.
func runMonitored(ctx context.Context, a *agent.Agent, address string) error {
	if address == "" {
		return a.Run(ctx)
	}
	monitor, err := metrics.Listen(address)
	if err != nil {
		return err
	}
	if err := monitor.Show(metrics.NewNode(a)); err != nil {
		return err
	}
	return together(ctx, a.Run, monitor.Run)
}
