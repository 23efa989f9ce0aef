package agent

import (
	"slices"
	"strings"

	"github.com/skypanel/sky/agent/ingress"
	"github.com/skypanel/sky/agent/protocol"
)

// traffic knows what one link was told of the ingress' counters.
type traffic struct {
	ingress *ingress.Ingress
	told    map[string]protocol.Traffic
}

// News returns the counters that changed since News was called before. Those that
// never counted anything are no news.
func (t *traffic) News() []protocol.Traffic {
	var news []protocol.Traffic
	present := map[string]protocol.Traffic{}
	for id, counters := range t.ingress.Counters() {
		present[id] = counters.Traffic
		former, known := t.told[id]
		if !known {
			former = protocol.Traffic{AppID: id, Began: counters.Began}
		}
		if counters.Traffic != former {
			news = append(news, counters.Traffic)
		}
	}
	t.told = present
	slices.SortFunc(news, func(a, b protocol.Traffic) int { return strings.Compare(a.AppID, b.AppID) })
	return news
}

// resumeTraffic goes on counting where the former agent ended. What it kept is
// good for one start: counts that were told once must not come again.
func (a *Agent) resumeTraffic() error {
	former, err := a.disk.TakeTraffic()
	if err != nil {
		return err
	}
	a.ingress.Resume(former)
	return nil
}

// keepTraffic has the next agent go on counting from here. The ingress must have
// ended.
func (a *Agent) keepTraffic() {
	var counted []protocol.Traffic
	for _, counters := range a.ingress.Counters() {
		counters.WebSockets = 0
		counted = append(counted, counters.Traffic)
	}
	if err := a.disk.SaveTraffic(counted); err != nil {
		a.logger.Warn("requests since the last heartbeat are not counted", "error", err)
	}
}
