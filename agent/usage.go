package agent

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// usage measures the Node from beat to beat. What cannot be read is zero.
type usage struct {
	dir         string
	busy, total uint64 // CPU ticks at the last beat
	instances   map[string]reading
}

// reading is what an Instance's container had used at the last beat.
type reading struct {
	container string
	cpu       time.Duration
	at        time.Time
}

// Loads measures the Instances that have a container. One whose engine does not
// answer is left out.
func (u *usage) Loads(ctx context.Context, from engine, instances []protocol.InstanceStatus) []protocol.Load {
	before := u.instances
	u.instances = map[string]reading{}
	var loads []protocol.Load
	for _, status := range instances {
		if status.Container == "" || (status.State != protocol.StateHealthy && status.State != protocol.StateStarting) {
			continue
		}
		used, err := from.Usage(ctx, status.Container)
		if err != nil {
			continue
		}
		now := reading{status.Container, used.CPU, time.Now()}
		u.instances[status.ID] = now
		load := protocol.Load{Instance: status.ID, MemoryBytes: used.Memory, ReceivedBytes: used.Received, SentBytes: used.Sent}
		if last := before[status.ID]; last.container == now.container && now.cpu >= last.cpu {
			load.CPUPercent = 100 * float64(now.cpu-last.cpu) / float64(now.at.Sub(last.at))
		}
		loads = append(loads, load)
	}
	return loads
}

func newUsage(dir string) *usage {
	u := &usage{dir: dir}
	u.busy, u.total = readCPU()
	return u
}

// Beat measures; the CPU's figure is the mean since the last Beat.
func (u *usage) Beat(containers int) protocol.Heartbeat {
	beat := protocol.Heartbeat{At: time.Now().UTC(), Containers: containers}
	busy, total := readCPU()
	if total > u.total {
		beat.CPUPercent = 100 * float64(busy-u.busy) / float64(total-u.total)
	}
	u.busy, u.total = busy, total
	memory := readMemory()
	beat.MemoryUsed = memory.total - memory.available
	var disk syscall.Statfs_t
	if syscall.Statfs(u.dir, &disk) == nil {
		beat.DiskTotal = int64(disk.Blocks) * disk.Bsize
		beat.DiskUsed = int64(disk.Blocks-disk.Bfree) * disk.Bsize
	}
	return beat
}

// readCPU reads the first line of /proc/stat: user, nice, system, idle,
// iowait, irq, softirq, steal.
func readCPU() (busy, total uint64) {
	content, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(content), "\n")
	for i, field := range strings.Fields(line) {
		ticks, err := strconv.ParseUint(field, 10, 64)
		if err != nil || i > 8 {
			continue // the name, and guest times, which user has already
		}
		total += ticks
		if i != 4 && i != 5 {
			busy += ticks
		}
	}
	return busy, total
}

type memoryUse struct{ total, available int64 }

// readMemory reads /proc/meminfo, in bytes.
func readMemory() memoryUse {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return memoryUse{}
	}
	var use memoryUse
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "MemTotal:":
			use.total = kilobytes << 10
		case "MemAvailable:":
			use.available = kilobytes << 10
		}
	}
	return use
}
