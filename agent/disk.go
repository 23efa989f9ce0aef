package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/durable"
)

const (
	assignmentFile = "assignment.json"
	trafficFile    = "traffic.json"
	failureDir     = "failures"
)

// disk is the agent's data directory. One agent holds it at a time.
type disk struct {
	dir  string
	lock *os.File
}

// openDisk makes the directory and takes its lock; it fails when another
// agent has it.
func openDisk(dir string) (*disk, error) {
	if err := os.MkdirAll(filepath.Join(dir, failureDir), 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another agent uses %s: %w", dir, err), lock.Close())
	}
	return &disk{dir: dir, lock: lock}, nil
}

// Close gives the lock back.
func (d *disk) Close() error { return d.lock.Close() }

// SaveAssignment replaces the Assignment durably, or leaves the old one.
func (d *disk) SaveAssignment(assignment protocol.Assignment) error {
	return wrap("save assignment", d.write(assignmentFile, assignment))
}

// Assignment returns the one saved last; nil when there is none.
func (d *disk) Assignment() (*protocol.Assignment, error) {
	var assignment protocol.Assignment
	err := d.read(assignmentFile, &assignment)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load assignment: %w", err)
	}
	return &assignment, nil
}

// SaveFailure keeps why an Instance failed, so that no later agent tries it
// again.
func (d *disk) SaveFailure(failure protocol.InstanceStatus) error {
	return wrap("save failure", d.write(failureName(failure.ID), failure))
}

// Failures returns what SaveFailure kept, by Instance. A file that cannot be
// read is left out: its Instance is tried again.
func (d *disk) Failures() (map[string]protocol.InstanceStatus, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, failureDir))
	if err != nil {
		return nil, fmt.Errorf("list failures: %w", err)
	}
	failures := map[string]protocol.InstanceStatus{}
	for _, entry := range entries {
		var failure protocol.InstanceStatus
		if d.read(filepath.Join(failureDir, entry.Name()), &failure) == nil && failure.ID != "" {
			failures[failure.ID] = failure
		}
	}
	return failures, nil
}

// ForgetFailure drops what SaveFailure kept of an Instance, if anything.
func (d *disk) ForgetFailure(instance string) error {
	err := os.Remove(filepath.Join(d.dir, failureName(instance)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return wrap("forget failure", err)
}

// SaveTraffic keeps the ingress' counters for the next agent.
func (d *disk) SaveTraffic(counted []protocol.Traffic) error {
	return wrap("save traffic", d.write(trafficFile, counted))
}

// TakeTraffic returns what SaveTraffic kept, once.
func (d *disk) TakeTraffic() ([]protocol.Traffic, error) {
	var counted []protocol.Traffic
	err := d.read(trafficFile, &counted)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		counted = nil // a file that cannot be read is as good as none
	}
	err = errors.Join(os.Remove(filepath.Join(d.dir, trafficFile)), durable.SyncDir(d.dir))
	return counted, wrap("take traffic", err)
}

// failureName is a file for an ID that came over the wire: no path in it.
func failureName(instance string) string {
	return filepath.Join(failureDir, strings.NewReplacer("/", "_", "\\", "_", "\x00", "_").Replace(instance)+".json")
}

func (d *disk) read(name string, target any) error {
	content, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return wrap("decode "+name, json.Unmarshal(content, target))
}

// write replaces a file, durably.
func (d *disk) write(name string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return durable.WriteFile(filepath.Join(d.dir, name), content)
}
