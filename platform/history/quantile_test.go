package history_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/platform/history"
	"github.com/stretchr/testify/require"
)

// TestQuantilesAreWithinTheirBucket: the true quantile is in the same bucket.
func TestQuantilesAreWithinTheirBucket(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	var times []time.Duration
	latency := make([]int64, protocol.LatencyBuckets)
	for range 5000 {
		took := time.Duration(math.Exp(random.NormFloat64()*1.5) * float64(20*time.Millisecond))
		times = append(times, took)
		latency[protocol.LatencyBucket(took)]++
	}
	slices.Sort(times)
	for _, share := range []float64{0.5, 0.95, 0.99} {
		truth := times[int(share*float64(len(times)))-1]
		require.Equal(t, protocol.LatencyBucket(truth), protocol.LatencyBucket(history.Quantile(latency, share)), "%v: %s", share, truth)
	}
}

func TestQuantileOfNothingAndOfTooMuch(t *testing.T) {
	require.Zero(t, history.Quantile(nil, 0.5))
	require.Zero(t, history.Quantile(make([]int64, protocol.LatencyBuckets), 0.5))
	slow := make([]int64, protocol.LatencyBuckets)
	slow[protocol.LatencyBuckets-1] = 4
	require.Equal(t, 30*time.Second, history.Quantile(slow, 0.5))
}
