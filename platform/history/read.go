package history

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
)

// kept are the steps in which the database keeps what is taken.
var kept = []time.Duration{models.StepMinute, models.StepHour}

func moment(at time.Time, step time.Duration) models.Moment {
	return models.Moment{Step: int64(step.Seconds()), At: at.Truncate(step)}
}

// Take returns what was measured since it was taken before, for the database.
// Return gives it back when it could not be kept.
func (r *Recorder) Take(at time.Time) (models.Metrics, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for app, open := range r.open {
		if open > 0 { // without a request, nobody else says so
			r.traffic.add(app, at, models.Traffic{WebSockets: open})
		}
	}
	var taken models.Metrics
	for which := range r.moved {
		counters, err := json.Marshal(r.marks[which])
		if err != nil {
			return models.Metrics{}, fmt.Errorf("write traffic mark: %w", err)
		}
		taken.Marks = append(taken.Marks, models.TrafficMark{NodeID: which.node, AppID: which.app, Counters: string(counters)})
	}
	clear(r.moved)
	traffic, usage, nodes := r.traffic.take(at.Add(-Newest)), r.usage.take(at.Add(-Newest)), r.nodes.take(at.Add(-Newest))
	for _, step := range kept {
		for minute, value := range traffic {
			taken.Traffic = append(taken.Traffic, models.AppTraffic{AppID: minute.key, Moment: moment(minute.at, step), Traffic: value})
		}
		for minute, value := range usage {
			taken.Usage = append(taken.Usage, models.AppUsage{
				AppID: minute.key.App, Process: minute.key.Name, Moment: moment(minute.at, step), Usage: value,
			})
		}
		for minute, value := range nodes {
			taken.Nodes = append(taken.Nodes, models.NodeUsage{NodeID: minute.key, Moment: moment(minute.at, step), NodeLoad: value})
		}
	}
	return taken, nil
}

// Return gives back what Take returned.
func (r *Recorder) Return(taken models.Metrics) {
	r.mu.Lock()
	defer r.mu.Unlock()
	minute := int64(models.StepMinute.Seconds())
	for _, row := range taken.Traffic {
		if row.Step == minute {
			r.traffic.giveBack(slot[models.ID]{row.AppID, row.At}, row.Traffic)
		}
	}
	for _, row := range taken.Usage {
		if row.Step == minute {
			r.usage.giveBack(slot[Process]{Process{row.AppID, row.Process}, row.At}, row.Usage)
		}
	}
	for _, row := range taken.Nodes {
		if row.Step == minute {
			r.nodes.giveBack(slot[models.ID]{row.NodeID, row.At}, row.NodeLoad)
		}
	}
	for _, row := range taken.Marks {
		r.moved[mark{row.NodeID, row.AppID}] = true
	}
}

// AppTraffic returns an App's points: with fine those of the newest quarter of an
// hour, else the minutes that were not taken.
func (r *Recorder) AppTraffic(app models.ID, fine bool) []Point[models.Traffic] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.traffic.points(app, fine)
}

// AppUsage returns the points of the App's process types.
func (r *Recorder) AppUsage(app models.ID, fine bool) map[string][]Point[models.Usage] {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string][]Point[models.Usage]{}
	for process := range r.usage.newest {
		if process.App == app {
			found[process.Name] = r.usage.points(process, fine)
		}
	}
	return found
}

// NodeLoad returns a Node's points.
func (r *Recorder) NodeLoad(node models.ID, fine bool) []Point[models.NodeLoad] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nodes.points(node, fine)
}
