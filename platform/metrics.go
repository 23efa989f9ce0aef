package platform

import (
	"context"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
)

// loads are what the agents' last heartbeats said of Instances. They are kept in
// memory only: the next heartbeat tells them again. Its zero value is ready.
type loads struct {
	mu     sync.Mutex
	byNode map[models.ID]nodeLoads
}

type nodeLoads struct {
	at        time.Time
	instances map[string]protocol.Load
}

func (l *loads) set(node models.ID, beat protocol.Heartbeat, at time.Time) {
	said := nodeLoads{at, make(map[string]protocol.Load, len(beat.Loads))}
	for _, load := range beat.Loads {
		said.instances[load.Instance] = load
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byNode == nil {
		l.byNode = map[models.ID]nodeLoads{}
	}
	l.byNode[node] = said
}

func (l *loads) forget(node models.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byNode, node)
}

func (l *loads) of(instance models.Instance) (protocol.Load, time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	said := l.byNode[instance.NodeID]
	load, known := said.instances[instance.ID.String()]
	return load, said.at, known
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
	plans, err := p.plansOf(ctx, instances)
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
