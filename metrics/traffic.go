package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/skypanel/sky/agent/protocol"
)

// statusClasses are what the places of protocol.Traffic.Status are called.
var statusClasses = [6]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"}

// traffic describes the series of requests to apps: those of all nodes, or of one.
type traffic struct {
	requests, unanswered, latency, in, out, held, retried, webSockets *prometheus.Desc
}

func describeTraffic(of string) traffic {
	return traffic{
		requests:   describe(of+"_requests_total", "Requests from outside that ended, by status class; none is a client that left before the answer.", "app", "class"),
		unanswered: describe(of+"_unanswered_total", "Requests that Sky answered because no instance did, by status.", "app", "status"),
		latency:    describe(of+"_request_duration_seconds", "How long requests took until the end of their answer.", "app"),
		in:         describe(of+"_received_bytes_total", "Bytes of requests' bodies, and of websockets.", "app"),
		out:        describe(of+"_sent_bytes_total", "Bytes of answers' bodies, and of websockets.", "app"),
		held:       describe(of+"_held_total", "Requests that waited for an instance.", "app"),
		retried:    describe(of+"_retried_total", "How often a request was sent to another instance.", "app"),
		webSockets: describe(of+"_websockets", "Websockets that are open.", "app"),
	}
}

// tell tells of one App.
func (d traffic) tell(t told, app string, counted protocol.Traffic) {
	for class, name := range statusClasses {
		t.counter(d.requests, float64(counted.Status[class]), app, name)
	}
	t.counter(d.unanswered, float64(counted.BadGateway), app, "502")
	t.counter(d.unanswered, float64(counted.Unavailable), app, "503")
	t.counter(d.unanswered, float64(counted.GatewayTimeout), app, "504")
	buckets, total := map[float64]uint64{}, uint64(0)
	for i, bound := range protocol.LatencyBounds() {
		total += uint64(counted.Latency[i])
		buckets[bound.Seconds()] = total
	}
	total += uint64(counted.Latency[protocol.LatencyBuckets-1])
	sum := (time.Duration(counted.Took) * time.Microsecond).Seconds()
	t.to <- prometheus.MustNewConstHistogram(d.latency, total, sum, buckets, app)
	t.counter(d.in, float64(counted.BytesIn), app)
	t.counter(d.out, float64(counted.BytesOut), app)
	t.counter(d.held, float64(counted.Held), app)
	t.counter(d.retried, float64(counted.Retried), app)
	t.gauge(d.webSockets, float64(counted.WebSockets), app)
}
