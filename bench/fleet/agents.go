package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"golang.org/x/sync/errgroup"
)

const (
	heartbeatEvery = 30 * time.Second
	dialsAtOnce    = 64
)

// agents are links that say what agents say.
type agents struct {
	links   []*protocol.Link
	started ready
	beats   atomic.Int64
	work    sync.WaitGroup
	mu      sync.Mutex
	errs    []error
}

// linkAll links all agents and waits until each has its first assignment.
func linkAll(ctx context.Context, c *control, p plan) (*agents, error) {
	a := &agents{links: make([]*protocol.Link, p.agents), started: c.started}
	group, dialing := errgroup.WithContext(ctx)
	group.SetLimit(dialsAtOnce)
	for i := range p.agents {
		group.Go(func() error {
			if err := a.link(dialing, i); err != nil {
				return err
			}
			a.work.Go(func() { a.receive(ctx, i) })
			a.work.Go(func() { a.beat(ctx, i, p) })
			return nil
		})
	}
	return a, group.Wait()
}

func (a *agents) link(ctx context.Context, i int) error {
	header := http.Header{"Authorization": {"Bearer " + a.started.Nodes[i].Token}}
	link, err := protocol.Dial(ctx, http.DefaultClient, a.started.URL+protocol.LinkPath, header)
	if err != nil {
		return fmt.Errorf("link agent %d: %w", i, err)
	}
	a.links[i] = link
	hello := protocol.Hello{Version: protocol.Version, AgentVersion: "bench", CPUs: 64, MemoryBytes: 256 << 30}
	if err := link.Send(protocol.Message{Hello: &hello}); err != nil {
		return err
	}
	if message, err := link.Receive(); err != nil || message.Welcome == nil || message.Welcome.Refused != "" {
		return fmt.Errorf("agent %d is not welcome: %+v, %w", i, message.Welcome, err)
	}
	message, err := link.Receive()
	if err != nil {
		return err
	}
	return a.acknowledge(link, message)
}

func (a *agents) acknowledge(link *protocol.Link, message protocol.Message) error {
	if message.Assignment == nil {
		return errors.New("the control plane sent something else than an assignment")
	}
	observed := protocol.Observed{Generation: message.Assignment.Generation}
	for _, instance := range message.Assignment.Instances {
		observed.Instances = append(observed.Instances, protocol.InstanceStatus{ID: instance.ID, AppID: instance.AppID, State: protocol.StateHealthy, Since: time.Now()})
	}
	return link.Send(protocol.Message{Observed: &observed})
}

// receive acknowledges every assignment at once.
func (a *agents) receive(ctx context.Context, i int) {
	for {
		message, err := a.links[i].Receive()
		if err == nil {
			err = a.acknowledge(a.links[i], message)
		}
		if err != nil {
			a.fail(ctx, fmt.Errorf("agent %d: %w", i, err))
			return
		}
	}
}

// beat sends heartbeats, with the counters of three apps, at a time of its own
// within the ten seconds.
func (a *agents) beat(ctx context.Context, i int, p plan) {
	next := time.NewTimer(heartbeatEvery * time.Duration(i%1000) / 1000)
	defer next.Stop()
	for count := int64(1); ; count++ {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(heartbeatEvery)
		}
		beat := protocol.Heartbeat{At: time.Now(), CPUPercent: 20, MemoryUsed: 8 << 30, DiskUsed: 1 << 40, DiskTotal: 2 << 40, Containers: 1}
		if count%3 == 1 {
			beat.Loads = []protocol.Load{{Instance: a.started.Nodes[i].Instance, CPUPercent: 10, MemoryBytes: 100 << 20}}
		}
		for nth := range min(3, p.apps) {
			beat.Traffic = append(beat.Traffic, protocol.Traffic{
				AppID: a.started.Apps[(i+nth)%p.apps], Began: 1, Status: [6]int64{2: 100 * count}, Latency: [protocol.LatencyBuckets]int64{4: 100 * count},
				Took: 1_000_000 * count, BytesOut: 1 << 20 * count,
			})
		}
		if err := a.links[i].Send(protocol.Message{Heartbeat: &beat}); err != nil {
			a.fail(ctx, fmt.Errorf("heartbeat of agent %d: %w", i, err))
			return
		}
		a.beats.Add(1)
	}
}

// flood has the first agent send a log as fast as it is taken.
func (a *agents) flood(ctx context.Context) (lines *atomic.Int64, stop func()) {
	lines = &atomic.Int64{}
	ctx, cancel := context.WithCancel(ctx)
	var flooding sync.WaitGroup
	flooding.Go(func() {
		stream, err := a.links[0].OpenStream(protocol.StreamHeader{
			Kind: protocol.StreamLog, Instance: a.started.Nodes[0].Instance, AppID: a.started.App, Process: "worker", Ordinal: 1,
		})
		if err != nil {
			a.fail(ctx, err)
			return
		}
		defer func() { _ = stream.Close() }()
		var resume protocol.LogResume
		if err := stream.ReadFrame(&resume); err != nil {
			a.fail(ctx, err)
			return
		}
		text := strings.Repeat("flood ", 30)
		for at := time.Now(); ctx.Err() == nil; at = at.Add(time.Microsecond) {
			if err := stream.WriteFrame(protocol.LogLine{Time: at, Text: text}); err != nil {
				a.fail(ctx, err)
				return
			}
			lines.Add(1)
		}
	})
	return lines, func() {
		cancel()
		flooding.Wait()
	}
}

// fail notes what went wrong before the end.
func (a *agents) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.errs = append(a.errs, err)
}

// failed returns what went wrong, or the first of it.
func (a *agents) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%d agents failed; the first: %w", len(a.errs), a.errs[0])
}

func (a *agents) close() {
	for _, link := range a.links {
		if link != nil {
			_ = link.Close()
		}
	}
}
