package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/skypanel/sky/agent"
)

// Node shows how an agent is, and what its own ingress counted.
type Node struct {
	agent                       *agent.Agent
	traffic                     traffic
	linked, troubled, instances *prometheus.Desc
}

// NewNode returns a collector of an agent's figures.
func NewNode(of *agent.Agent) *Node {
	return &Node{
		agent: of, traffic: describeTraffic("ingress"),
		linked:    describe("agent_linked", "Whether the agent has a link to the control plane."),
		troubled:  describe("agent_troubled", "Whether something, such as the container engine, keeps the agent from its work."),
		instances: describe("agent_instances", "Instances on the node, by state.", "state"),
	}
}

// Describe implements prometheus.Collector: which apps there are is not known
// beforehand.
func (n *Node) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (n *Node) Collect(to chan<- prometheus.Metric) {
	t, figures := told{to}, n.agent.Figures()
	t.gauge(n.linked, truth(figures.Linked))
	t.gauge(n.troubled, truth(figures.Troubled))
	for state, count := range figures.Instances {
		t.gauge(n.instances, float64(count), state)
	}
	for _, counters := range figures.Requests {
		if counters.App != "" {
			n.traffic.tell(t, counters.App, counters.Traffic)
		}
	}
}
