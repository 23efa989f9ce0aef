package protocol

import (
	"slices"
	"time"
)

// clocksAgree is how far two clocks, and the way between them, may differ without
// being corrected: what is said again must not come out a little later each time.
const clocksAgree = 5 * time.Second

// ByClock returns Observed with the times of the clock that says now when it
// arrives.
func (o Observed) ByClock(now time.Time) Observed {
	off := now.Sub(o.At)
	if o.At.IsZero() || off.Abs() <= clocksAgree {
		return o
	}
	o.At, o.Instances = now, slices.Clone(o.Instances)
	for i := range o.Instances {
		if since := &o.Instances[i].Since; !since.IsZero() {
			*since = since.Add(off)
		}
	}
	return o
}
