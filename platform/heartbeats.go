package platform

import (
	"context"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/platform/history"
)

const (
	// minutesKept and hoursKept are for how long metrics are kept by the minute
	// and by the hour.
	minutesKept = 48 * time.Hour
	hoursKept   = 90 * 24 * time.Hour
	// trafficPerBeat bounds of how many Apps one heartbeat may tell.
	trafficPerBeat = 10_000
)

// Heartbeat implements fleet.Nodes. It writes nothing to the database: the chores
// do, once a minute for all nodes.
func (p *Platform) Heartbeat(ctx context.Context, node models.ID, beat protocol.Heartbeat) {
	at := now()
	former := p.loads.set(node, beat, at)
	p.recorder.Node(node, models.NodeLoad{
		Samples: 1, CPUPercent: beat.CPUPercent, CPUPeak: beat.CPUPercent, MemoryBytes: beat.MemoryUsed, MemoryPeak: beat.MemoryUsed,
		DiskBytes: beat.DiskUsed, DiskTotal: beat.DiskTotal, Containers: int64(beat.Containers),
	}, at)
	p.recordTraffic(ctx, node, beat.Traffic, at)
	if err := p.recordUsage(ctx, node, former, beat.Loads, at); err != nil && ctx.Err() == nil {
		p.Log.Warn("usage not recorded", "node", node, "error", err)
	}
}

// recordTraffic adds what an ingress counted of Apps that there are.
func (p *Platform) recordTraffic(ctx context.Context, node models.ID, told []protocol.Traffic, at time.Time) {
	for _, traffic := range told[:min(len(told), trafficPerBeat)] {
		if app, err := models.ParseID(traffic.AppID); err == nil && p.names.know(ctx, p.Store, app) {
			p.recorder.Traffic(node, app, traffic, at)
		}
	}
}

// recordUsage adds what a Node's own Instances use; former is what they used by
// the heartbeat before.
func (p *Platform) recordUsage(ctx context.Context, node models.ID, former map[string]heardLoad, loads []protocol.Load, at time.Time) error {
	if len(loads) == 0 {
		return nil
	}
	processes, err := p.processesOn(ctx, node)
	if err != nil {
		return err
	}
	for _, load := range loads {
		process, there := processes[load.Instance]
		if !there {
			continue
		}
		sample := models.Usage{
			Samples: 1, CPUPercent: load.CPUPercent, CPUPeak: load.CPUPercent, MemoryBytes: load.MemoryBytes, MemoryPeak: load.MemoryBytes,
		}
		if before, known := former[load.Instance]; known {
			sample.ReceivedBytes, sample.SentBytes = grown(before.ReceivedBytes, load.ReceivedBytes), grown(before.SentBytes, load.SentBytes)
		}
		p.recorder.Usage(process, sample, at)
	}
	return nil
}

// processesOn says of which App and process type each Instance on a Node is.
func (p *Platform) processesOn(ctx context.Context, node models.ID) (map[string]history.Process, error) {
	instances, err := p.Store.InstancesOnNode(ctx, node)
	processes := make(map[string]history.Process, len(instances))
	for _, instance := range instances {
		processes[instance.ID.String()] = history.Process{App: instance.AppID, Name: instance.Process}
	}
	return processes, err
}

// grown is by how much a container's counter grew; it begins anew when the
// container is started again.
func grown(before, after int64) int64 {
	if after < before {
		return after
	}
	return after - before
}

// keepMetrics takes what was measured to the database, and what the heartbeats
// said of nodes.
func (p *Platform) keepMetrics(ctx context.Context, at time.Time) error {
	p.keeping.Lock()
	defer p.keeping.Unlock()
	names, err := p.Store.AppNames(ctx)
	if err != nil {
		return err
	}
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return err
	}
	present := map[models.ID]bool{}
	for _, node := range nodes {
		present[node.ID] = true
	}
	p.names.set(names)
	p.recorder.Retain(func(app models.ID) bool { return names[app] != "" }, func(node models.ID) bool { return present[node] })
	taken, err := p.recorder.Take(at)
	if err != nil {
		return err
	}
	if err := p.Store.AddMetrics(ctx, taken); err != nil {
		p.recorder.Return(taken)
		return err
	}
	return p.noteBeats(ctx)
}

// noteBeats writes how the nodes are that a heartbeat came from since it was
// written before.
func (p *Platform) noteBeats(ctx context.Context) error {
	var notes []store.NodeNote
	for node, said := range p.loads.unnoted() {
		notes = append(notes, store.NodeNote{ID: node, Columns: map[string]any{
			"cpu_percent": int(said.beat.CPUPercent), "memory_used_bytes": said.beat.MemoryUsed, "disk_used_bytes": said.beat.DiskUsed,
			"disk_bytes": said.beat.DiskTotal, "containers": said.beat.Containers, "seen_at": said.at,
		}})
	}
	return p.Store.NoteNodes(ctx, notes)
}

// pruneMetrics removes what is kept for no longer.
func (p *Platform) pruneMetrics(ctx context.Context, at time.Time) error {
	if err := p.Store.PruneMetrics(ctx, models.StepMinute, at.Add(-minutesKept)); err != nil {
		return err
	}
	return p.Store.PruneMetrics(ctx, models.StepHour, at.Add(-hoursKept))
}

// names are those of the Apps that there were when they were last listed. Its zero
// value is ready.
type names struct {
	mu   sync.Mutex
	byID map[models.ID]string
}

func (n *names) set(byID map[models.ID]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byID = byID
}

// know reports whether there is such an App, and asks the database about one that
// may be new.
func (n *names) know(ctx context.Context, database *store.Store, id models.ID) bool {
	n.mu.Lock()
	_, known := n.byID[id]
	n.mu.Unlock()
	if known {
		return true
	}
	app, err := database.App(ctx, id)
	if err != nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.byID == nil {
		n.byID = map[models.ID]string{}
	}
	n.byID[id] = app.Name
	return true
}
