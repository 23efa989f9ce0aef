package rollout

import (
	"slices"

	"github.com/skypanel/sky/models"
)

// Change is one durable step towards a plan.
type Change struct {
	Add    []models.Instance
	Remove []models.Instance
	// Live, when set, is the Release that the App's routes lead to from now on.
	Live *models.ID
	// Running says that the App runs from now on, if it was stopped.
	Running bool
	// Rerouted says that the App's route changed beside this.
	Rerouted bool
	App      models.ID
}

// Nodes are those where the Change starts or stops something, each once.
func (c Change) Nodes() []models.ID {
	var nodes []models.ID
	for _, instance := range slices.Concat(c.Add, c.Remove) {
		if !slices.Contains(nodes, instance.NodeID) {
			nodes = append(nodes, instance.NodeID)
		}
	}
	return nodes
}

// Announce lets agents know of a Change: first those that start or stop something.
func (c Change) Announce(to Announcer, generations map[models.ID]uint64) {
	concerned := c.Nodes()
	for _, node := range concerned {
		to.Refresh(node)
	}
	for node := range generations {
		if !slices.Contains(concerned, node) {
			to.RefreshLater(node)
		}
	}
}

// Announcer lets agents know of changes.
type Announcer interface {
	// Refresh lets the node's agent know that its Assignment changed. RefreshLater
	// does so behind those that Refresh was called for.
	Refresh(node models.ID)
	RefreshLater(node models.ID)
}
