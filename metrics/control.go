package metrics

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform"
)

// Source is what Control asks at each scrape.
type Source struct {
	Figures func() (platform.Figures, error)
	// Census counts linked agents, and instances by state.
	Census func() (linked int, states map[string]int)
	Log    *slog.Logger
}

// Control shows how the control plane is.
type Control struct {
	source                                        Source
	traffic                                       traffic
	up, builds, linked, apps, instances           *prometheus.Desc
	nodeUp, nodeCPU, nodeMemory, nodeMemoryTotal  *prometheus.Desc
	nodeDisk, nodeDiskTotal, nodeContainers       *prometheus.Desc
	connections, connectionWaits, connectionWaitS *prometheus.Desc
}

// NewControl returns a collector of the control plane's figures.
func NewControl(source Source) *Control {
	return &Control{
		source: source, traffic: describeTraffic("app"),
		up:              describe("up", "Whether the figures of this scrape could be read; those of the database are missing where not."),
		builds:          describe("builds", "Builds that wait or run.", "state"),
		linked:          describe("agents_linked", "Agents that have a link to this control plane."),
		apps:            describe("apps", "Apps that there are."),
		instances:       describe("instances", "Instances that agents observe, by state.", "state"),
		nodeUp:          describe("node_up", "Whether the node's agent is online.", "node"),
		nodeCPU:         describe("node_cpu_percent", "Use of all the node's CPUs.", "node"),
		nodeMemory:      describe("node_memory_used_bytes", "Memory that is used.", "node"),
		nodeMemoryTotal: describe("node_memory_bytes", "Memory that the node has.", "node"),
		nodeDisk:        describe("node_disk_used_bytes", "Disk space that is used.", "node"),
		nodeDiskTotal:   describe("node_disk_bytes", "Disk space that the node has.", "node"),
		nodeContainers:  describe("node_containers", "Containers of Sky's that run.", "node"),
		connections:     describe("database_connections", "Connections to the database.", "pool", "state"),
		connectionWaits: describe("database_waits_total", "How often somebody waited for a connection.", "pool"),
		connectionWaitS: describe("database_wait_seconds_total", "For how long they waited.", "pool"),
	}
}

// Describe implements prometheus.Collector: which apps and nodes there are is not
// known beforehand.
func (c *Control) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *Control) Collect(to chan<- prometheus.Metric) {
	t := told{to}
	linked, states := c.source.Census()
	t.gauge(c.linked, float64(linked))
	for state, count := range states {
		t.gauge(c.instances, float64(count), state)
	}
	figures, err := c.source.Figures()
	t.gauge(c.up, truth(err == nil))
	if err != nil {
		c.source.Log.Warn("figures for monitoring", "error", err)
		return
	}
	t.gauge(c.apps, float64(len(figures.Traffic)))
	for state, count := range figures.Builds {
		t.gauge(c.builds, float64(count), string(state))
	}
	for app, counted := range figures.Traffic {
		c.traffic.tell(t, app, wire(counted))
	}
	for _, node := range figures.Nodes {
		c.tellNode(t, node)
	}
	for _, pool := range figures.Database {
		c.tellPool(t, pool)
	}
}

func (c *Control) tellNode(t told, node models.Node) {
	t.gauge(c.nodeUp, truth(node.State == models.NodeOnline), node.Name)
	t.gauge(c.nodeCPU, float64(node.CPUPercent), node.Name)
	t.gauge(c.nodeMemory, float64(node.MemoryUsedBytes), node.Name)
	t.gauge(c.nodeMemoryTotal, float64(node.MemoryBytes), node.Name)
	t.gauge(c.nodeDisk, float64(node.DiskUsedBytes), node.Name)
	t.gauge(c.nodeDiskTotal, float64(node.DiskBytes), node.Name)
	t.gauge(c.nodeContainers, float64(node.Containers), node.Name)
}

func (c *Control) tellPool(t told, pool store.PoolStats) {
	t.gauge(c.connections, float64(pool.InUse), pool.Pool, "in_use")
	t.gauge(c.connections, float64(pool.Idle), pool.Pool, "idle")
	t.counter(c.connectionWaits, float64(pool.WaitCount), pool.Pool)
	t.counter(c.connectionWaitS, pool.WaitDuration.Seconds(), pool.Pool)
}

// wire is a sum over nodes in the shape in which one tells it.
func wire(counted models.Traffic) protocol.Traffic {
	traffic := protocol.Traffic{
		Status: counted.Status, BadGateway: counted.BadGateway, Unavailable: counted.Unavailable, GatewayTimeout: counted.GatewayTimeout,
		Took: counted.Took, BytesIn: counted.BytesIn, BytesOut: counted.BytesOut, Held: counted.Held, Retried: counted.Retried,
		WebSockets: counted.WebSockets,
	}
	copy(traffic.Latency[:], counted.Latency)
	return traffic
}
