package agent

import (
	"context"
	"encoding/json"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
)

// Usage implements engine.
func (d *docker) Usage(ctx context.Context, id string) (consumption, error) {
	if err := d.agree(ctx); err != nil {
		return consumption{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	answer, err := d.client.ContainerStatsOneShot(ctx, id)
	if err != nil {
		return consumption{}, dockerError("read usage", err)
	}
	defer func() { _ = answer.Body.Close() }()
	var stats containertypes.StatsResponse
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil {
		return consumption{}, dockerError("read usage", err)
	}
	used := consumption{CPU: time.Duration(stats.CPUStats.CPUUsage.TotalUsage), Memory: int64(stats.MemoryStats.Usage)}
	// As `docker stats` does: inactive file pages are the kernel's to drop.
	for _, name := range []string{"inactive_file", "total_inactive_file"} { // cgroup v2, v1
		if cached, ok := stats.MemoryStats.Stats[name]; ok && int64(cached) < used.Memory {
			used.Memory -= int64(cached)
			break
		}
	}
	for _, network := range stats.Networks {
		used.Received += int64(network.RxBytes)
		used.Sent += int64(network.TxBytes)
	}
	return used, nil
}
