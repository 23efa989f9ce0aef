package ingress

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// counted is how long an App's counters are kept after its route has gone, so that
// the last of its requests are told of too.
const counted = 10 * time.Minute

// Counters are what the ingress counted of an App.
type Counters struct {
	App    string // its name
	Active int64  // requests now
	protocol.Traffic
}

// Counters returns the counters of all Apps that have a route, or had one not
// long ago, by App ID.
func (in *Ingress) Counters() map[string]Counters {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := make(map[string]Counters, len(in.counted))
	for id, counters := range in.counted {
		if in.routes[id] == nil && time.Since(counters.retired) > counted {
			delete(in.counted, id)
			continue
		}
		all[id] = counters.snapshot(id)
	}
	for id, route := range in.routes {
		named := all[id]
		named.App = route.app
		all[id] = named
	}
	return all
}

// Resume goes on counting where a former ingress of this Node ended.
func (in *Ingress) Resume(former []protocol.Traffic) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, traffic := range former {
		in.counted[traffic.AppID] = resumed(traffic)
	}
}

// count returns the counters of an App. The caller holds in.mu.
func (in *Ingress) count(appID string) *counters {
	if in.counted[appID] == nil {
		in.counted[appID] = &counters{began: time.Now().UnixNano()}
	}
	return in.counted[appID]
}

// counters count an App's requests; they do so without a lock.
type counters struct {
	began   int64
	retired time.Time // when the route has gone; Ingress.mu guards it

	status         [6]atomic.Int64
	badGateway     atomic.Int64
	unavailable    atomic.Int64
	gatewayTimeout atomic.Int64
	latency        [protocol.LatencyBuckets]atomic.Int64
	took           atomic.Int64
	bytesIn        atomic.Int64
	bytesOut       atomic.Int64
	held           atomic.Int64
	retried        atomic.Int64
	webSockets     atomic.Int64
	active         atomic.Int64
}

func resumed(former protocol.Traffic) *counters {
	c := &counters{began: former.Began, retired: time.Now()}
	for class, count := range former.Status {
		c.status[class].Store(count)
	}
	for bucket, count := range former.Latency {
		c.latency[bucket].Store(count)
	}
	c.badGateway.Store(former.BadGateway)
	c.unavailable.Store(former.Unavailable)
	c.gatewayTimeout.Store(former.GatewayTimeout)
	c.took.Store(former.Took)
	c.bytesIn.Store(former.BytesIn)
	c.bytesOut.Store(former.BytesOut)
	c.held.Store(former.Held)
	c.retried.Store(former.Retried)
	return c
}

func (c *counters) snapshot(appID string) Counters {
	shot := Counters{Active: c.active.Load(), Traffic: protocol.Traffic{
		AppID: appID, Began: c.began,
		BadGateway: c.badGateway.Load(), Unavailable: c.unavailable.Load(), GatewayTimeout: c.gatewayTimeout.Load(),
		Took: c.took.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Held: c.held.Load(), Retried: c.retried.Load(), WebSockets: c.webSockets.Load(),
	}}
	for class := range c.status {
		shot.Status[class] = c.status[class].Load()
	}
	for bucket := range c.latency {
		shot.Latency[bucket] = c.latency[bucket].Load()
	}
	return shot
}

// begin counts a request that came in; the recorder's end counts how it went.
func (c *counters) begin(w http.ResponseWriter, r *http.Request) *recorder {
	c.active.Add(1)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = countedBody{r.Body, &c.bytesIn}
	}
	return &recorder{ResponseWriter: w, counters: c, began: time.Now()}
}

// unanswered counts an answer that an ingress gave because no Instance did.
func (c *counters) unanswered(status int) {
	switch status {
	case http.StatusBadGateway:
		c.badGateway.Add(1)
	case http.StatusServiceUnavailable:
		c.unavailable.Add(1)
	case http.StatusGatewayTimeout:
		c.gatewayTimeout.Add(1)
	}
}
