// Package scheduler decides which Node runs an Instance. It is pure: what it is
// given is all that it knows.
package scheduler

import (
	"slices"

	"github.com/skypanel/sky/models"
)

// Node is a candidate with what it already runs.
type Node struct {
	ID models.ID
	// Instances counts all that is assigned to the Node; OfApp those of the App
	// that is being placed.
	Instances int
	OfApp     int
}

// Place returns a Node for each of count Instances: those that run the fewest of
// the App first, so that it is spread, then the least loaded. Without Nodes it
// is models.Unavailable.
func Place(nodes []Node, count int) ([]models.ID, error) {
	if len(nodes) == 0 && count > 0 {
		return nil, models.Errorf(models.Unavailable, "no node is online to run the app").
			WithRemedy("check that the agent runs; `sky admin nodes` lists the nodes")
	}
	candidates := slices.Clone(nodes)
	placed := make([]models.ID, 0, count)
	for range count {
		best := slices.MinFunc(candidates, compare)
		at := slices.Index(candidates, best)
		candidates[at].Instances++
		candidates[at].OfApp++
		placed = append(placed, best.ID)
	}
	return placed, nil
}

func compare(a, b Node) int {
	if a.OfApp != b.OfApp {
		return a.OfApp - b.OfApp
	}
	return a.Instances - b.Instances
}
