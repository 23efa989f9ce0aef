package agent

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// controlPlane is the other end of an agent's link, for tests.
type controlPlane struct {
	t      *testing.T
	server *httptest.Server

	mu         sync.Mutex
	link       *protocol.Link
	assignment protocol.Assignment
	observed   protocol.Observed
	changed    chan struct{}
	lines      map[string][]protocol.LogLine
	beats      []protocol.Heartbeat
	refuse     bool
}

func newControlPlane(t *testing.T) *controlPlane {
	cp := &controlPlane{t: t, changed: make(chan struct{}), lines: map[string][]protocol.LogLine{}}
	cp.server = httptest.NewServer(http.HandlerFunc(cp.serve))
	t.Cleanup(func() {
		cp.Cut()
		cp.server.Close()
	})
	return cp
}

func (cp *controlPlane) serve(w http.ResponseWriter, r *http.Request) {
	if cp.refused() || r.Header.Get("Authorization") != "Bearer secret" || r.URL.Path != protocol.LinkPath {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	link, err := protocol.Accept(w, r)
	if err != nil {
		return
	}
	defer link.Close()
	hello, err := link.Receive()
	if err != nil { // an agent that ends at once
		return
	}
	if hello.Hello == nil {
		cp.t.Errorf("hello: %v", hello)
		return
	}
	if link.Send(protocol.Message{Welcome: &protocol.Welcome{Version: protocol.Version}}) != nil {
		return
	}
	var streams sync.WaitGroup
	defer streams.Wait()
	defer link.Close()
	streams.Go(func() { cp.acceptLogs(link, &streams) })
	cp.update(func() { cp.link = link })
	cp.send()
	for {
		message, err := link.Receive()
		if err != nil {
			return
		}
		cp.update(func() {
			if message.Observed != nil {
				cp.observed = *message.Observed
				if cp.observed.At.IsZero() {
					cp.t.Error("the agent does not tell its clock")
				}
			}
			if message.Heartbeat != nil {
				cp.beats = append(cp.beats, *message.Heartbeat)
			}
		})
	}
}

func (cp *controlPlane) refused() bool {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.refuse
}

func (cp *controlPlane) update(change func()) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	change()
	close(cp.changed)
	cp.changed = make(chan struct{})
}

func (cp *controlPlane) acceptLogs(link *protocol.Link, streams *sync.WaitGroup) {
	for {
		stream, err := link.AcceptStream()
		if err != nil {
			return
		}
		streams.Go(func() {
			defer stream.Close()
			cp.keepLog(stream)
		})
	}
}

func (cp *controlPlane) keepLog(stream *protocol.Stream) {
	var header protocol.StreamHeader
	if stream.ReadFrame(&header) != nil {
		return
	}
	if stream.WriteFrame(protocol.LogResume{After: cp.lastLine(header.Instance)}) != nil {
		return
	}
	for {
		var line protocol.LogLine
		err := stream.ReadFrame(&line)
		if errors.Is(err, io.EOF) {
			_ = stream.WriteFrame(protocol.LogResume{After: cp.lastLine(header.Instance)})
			return
		}
		if err != nil {
			return
		}
		if !line.Time.After(cp.lastLine(header.Instance)) {
			cp.t.Errorf("line %q at %s is not after the one before", line.Text, line.Time)
		}
		cp.update(func() { cp.lines[header.Instance] = append(cp.lines[header.Instance], line) })
	}
}

func (cp *controlPlane) lastLine(instance string) time.Time {
	lines := cp.Lines(instance)
	if len(lines) == 0 {
		return time.Time{}
	}
	return lines[len(lines)-1].Time
}

// Lines returns what was kept of a log.
func (cp *controlPlane) Lines(instance string) []protocol.LogLine {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.lines[instance]
}

// Assign replaces the Assignment, at the next generation.
func (cp *controlPlane) Assign(instances []protocol.Instance, routes ...protocol.Route) uint64 {
	cp.update(func() {
		cp.assignment = protocol.Assignment{Generation: cp.assignment.Generation + 1, Instances: instances, Routes: routes}
	})
	cp.send()
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.assignment.Generation
}

func (cp *controlPlane) send() {
	cp.mu.Lock()
	link, assignment := cp.link, cp.assignment
	cp.mu.Unlock()
	if link != nil && assignment.Generation > 0 {
		_ = link.Send(protocol.Message{Assignment: &assignment})
	}
}

// Cut ends the present link.
func (cp *controlPlane) Cut() {
	cp.mu.Lock()
	link := cp.link
	cp.link = nil
	cp.mu.Unlock()
	if link != nil {
		_ = link.Close()
	}
}

// Refuse turns agents away, or lets them in again.
func (cp *controlPlane) Refuse(refuse bool) {
	cp.update(func() { cp.refuse = refuse })
	if refuse {
		cp.Cut()
	}
}

// Wait blocks until the condition over what the agent observes holds.
func (cp *controlPlane) Wait(what string, condition func(protocol.Observed) bool) protocol.Observed {
	cp.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second) // also in Cleanup
	defer cancel()
	for {
		cp.mu.Lock()
		observed, changed := cp.observed, cp.changed
		cp.mu.Unlock()
		if condition(observed) {
			return observed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			cp.t.Fatalf("waited in vain until %s; observed %+v", what, observed)
		}
	}
}

// State waits until an Instance is in a state, and returns it.
func (cp *controlPlane) State(id, state string) protocol.InstanceStatus {
	cp.t.Helper()
	var found protocol.InstanceStatus
	cp.Wait(id+" is "+state, func(observed protocol.Observed) bool {
		for _, status := range observed.Instances {
			if status.ID == id && status.State == state {
				found = status
				return true
			}
		}
		return false
	})
	return found
}

// Gone waits until an Instance is not listed.
func (cp *controlPlane) Gone(id string, generation uint64) {
	cp.t.Helper()
	cp.Wait(id+" is gone", func(observed protocol.Observed) bool {
		for _, status := range observed.Instances {
			if status.ID == id {
				return false
			}
		}
		return observed.Generation >= generation
	})
}
