package platform

import (
	"context"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// heardFor is for how long what was said of an Instance counts.
const heardFor = 2 * time.Minute

// loads are what the agents' last heartbeats said. They are kept in memory: the
// next heartbeat tells them again. Its zero value is ready.
type loads struct {
	mu     sync.Mutex
	byNode map[models.ID]nodeLoads
}

type nodeLoads struct {
	at        time.Time
	beat      protocol.Heartbeat
	instances map[string]heardLoad
	noted     bool
}

// heardLoad is a Load and when it was said: not every heartbeat tells all.
type heardLoad struct {
	protocol.Load
	at time.Time
}

// set takes up what a heartbeat says, and returns what was said of the Node's
// Instances before.
func (l *loads) set(node models.ID, beat protocol.Heartbeat, at time.Time) (former map[string]heardLoad) {
	l.mu.Lock()
	defer l.mu.Unlock()
	former = l.byNode[node].instances
	said := nodeLoads{at: at, beat: beat, instances: make(map[string]heardLoad, len(former))}
	for id, load := range former {
		if at.Sub(load.at) < heardFor {
			said.instances[id] = load
		}
	}
	for _, load := range beat.Loads {
		said.instances[load.Instance] = heardLoad{load, at}
	}
	said.beat.Loads, said.beat.Traffic = nil, nil
	if l.byNode == nil {
		l.byNode = map[models.ID]nodeLoads{}
	}
	l.byNode[node] = said
	return former
}

func (l *loads) forget(node models.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byNode, node)
}

func (l *loads) of(instance models.Instance) (protocol.Load, time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	load, known := l.byNode[instance.NodeID].instances[instance.ID.String()]
	return load.Load, load.at, known
}

// latest puts what the Node's last heartbeat said in place of what the database
// has of an earlier one.
func (l *loads) latest(node models.Node) models.Node {
	l.mu.Lock()
	defer l.mu.Unlock()
	said, known := l.byNode[node.ID]
	if !known {
		return node
	}
	node.CPUPercent, node.MemoryUsedBytes, node.Containers = int(said.beat.CPUPercent), said.beat.MemoryUsed, said.beat.Containers
	node.DiskUsedBytes, node.DiskBytes, node.SeenAt = said.beat.DiskUsed, said.beat.DiskTotal, &said.at
	return node
}

// unnoted returns what was said since it was asked for before.
func (l *loads) unnoted() map[models.ID]nodeLoads {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := map[models.ID]nodeLoads{}
	for node, said := range l.byNode {
		if !said.noted {
			fresh[node] = said
			said.noted = true
			l.byNode[node] = said
		}
	}
	return fresh
}

// InstanceMetrics is what one Instance uses, as its agent last said.
type InstanceMetrics struct {
	Instance    models.Instance
	Load        protocol.Load
	At          time.Time // zero when nothing was said yet
	MemoryLimit int64
}

// Metrics returns what each of the App's Instances uses.
func (p *Platform) Metrics(ctx context.Context, app models.App) ([]InstanceMetrics, error) {
	instances, err := p.Store.Instances(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	plans, err := plansOf(ctx, p.Store, instances)
	if err != nil {
		return nil, err
	}
	metrics := make([]InstanceMetrics, 0, len(instances))
	for _, instance := range instances {
		measured := InstanceMetrics{Instance: instance, MemoryLimit: limits(instance, plans).MemoryBytes}
		if load, at, known := p.loads.of(instance); known {
			measured.Load, measured.At = load, at
		}
		metrics = append(metrics, measured)
	}
	return metrics, nil
}
