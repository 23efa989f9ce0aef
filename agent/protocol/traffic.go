package protocol

import (
	"slices"
	"time"
)

// LatencyBuckets is how many buckets Traffic.Latency has.
const LatencyBuckets = 15

// latencyBounds are the buckets' upper bounds; the last bucket has none.
var latencyBounds = [LatencyBuckets - 1]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// LatencyBounds returns the upper bounds of the buckets of Traffic.Latency, but
// for that of the last, which has none. They never change within a version.
func LatencyBounds() []time.Duration { return slices.Clone(latencyBounds[:]) }

// LatencyBucket returns the bucket that a request of this duration counts in.
func LatencyBucket(took time.Duration) int {
	bucket, _ := slices.BinarySearch(latencyBounds[:], took)
	return bucket
}

// Traffic is what an ingress counted of one App's requests from outside. All but
// WebSockets only grow, so that one that gets lost, or comes twice, changes
// nothing that the next does not tell.
type Traffic struct {
	AppID string `json:"app_id"`
	// Began is when counting began, in nanoseconds. Counters with another Began
	// count from zero: the agent was restarted, or had forgotten the App.
	Began int64 `json:"began"`
	// Status counts requests that ended by the first digit of their answer's
	// status; [0] are those whose client left before any.
	Status [6]int64 `json:"status"`
	// What the ingress itself answered because no Instance did; Status has them too.
	BadGateway     int64 `json:"bad_gateway,omitempty"`     // 502
	Unavailable    int64 `json:"unavailable,omitempty"`     // 503
	GatewayTimeout int64 `json:"gateway_timeout,omitempty"` // 504
	// Latency counts requests by how long they took until their answer's end, those
	// that became websockets left out. Took is their sum, in microseconds.
	Latency [LatencyBuckets]int64 `json:"latency"`
	Took    int64                 `json:"took"`
	// BytesIn and BytesOut are of bodies, and of what websockets carried.
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	// Held waited for an Instance; Retried were sent to another.
	Held    int64 `json:"held,omitempty"`
	Retried int64 `json:"retried,omitempty"`
	// WebSockets are open now.
	WebSockets int64 `json:"websockets,omitempty"`
}

// Requests counts all that have ended.
func (t Traffic) Requests() int64 {
	var total int64
	for _, count := range t.Status {
		total += count
	}
	return total
}

// Since returns what was counted after former, which tells of the same App.
func (t Traffic) Since(former Traffic) Traffic {
	if t.Began != former.Began {
		return t
	}
	for class := range t.Status {
		t.Status[class] -= former.Status[class]
	}
	for bucket := range t.Latency {
		t.Latency[bucket] -= former.Latency[bucket]
	}
	t.BadGateway -= former.BadGateway
	t.Unavailable -= former.Unavailable
	t.GatewayTimeout -= former.GatewayTimeout
	t.Took -= former.Took
	t.BytesIn -= former.BytesIn
	t.BytesOut -= former.BytesOut
	t.Held -= former.Held
	t.Retried -= former.Retried
	return t
}
