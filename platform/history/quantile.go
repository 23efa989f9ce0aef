package history

import (
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// Quantile returns the time that a share of the requests took at most, as far as
// the buckets tell: within one, requests count as spread evenly. Without requests
// it is zero, and beyond the last bound it is that.
func Quantile(latency []int64, share float64) time.Duration {
	var total int64
	for _, count := range latency {
		total += count
	}
	rank, lower := share*float64(total), time.Duration(0)
	for bucket, upper := range protocol.LatencyBounds() {
		if bucket >= len(latency) || total == 0 {
			return 0
		}
		count := float64(latency[bucket])
		if count > 0 && rank <= count {
			return lower + time.Duration(rank/count*float64(upper-lower))
		}
		rank -= count
		lower = upper
	}
	return lower
}
