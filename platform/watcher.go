package platform

import (
	"context"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// Watcher is told of what happens, for who counts it. Its methods must not block.
type Watcher interface {
	BuildEnded(state models.BuildState, took time.Duration)
	DeploymentEnded(state models.DeploymentState)
	// DeliveryCame is told whether a git host's delivery was new, came again, was
	// not what it said it was, or could not be kept.
	DeliveryCame(result DeliveryResult)
}

// DeliveryResult is what became of a delivery at the door.
type DeliveryResult string

// What becomes of a delivery at the door.
const (
	DeliveryFresh    DeliveryResult = "new"
	DeliveryRepeated DeliveryResult = "repeated"
	DeliveryInvalid  DeliveryResult = "invalid"
	DeliveryLost     DeliveryResult = "failed"
)

// unwatched is the Watcher where nobody counts.
type unwatched struct{}

func (unwatched) BuildEnded(models.BuildState, time.Duration) {}
func (unwatched) DeploymentEnded(models.DeploymentState)      {}
func (unwatched) DeliveryCame(DeliveryResult)                 {}

func (p *Platform) tellDelivery(fresh bool, err error) {
	result := DeliveryFresh
	switch {
	case err != nil && models.AsError(err) != nil && models.AsError(err).Blame() == models.BlameUser:
		result = DeliveryInvalid
	case err != nil:
		result = DeliveryLost
	case !fresh:
		result = DeliveryRepeated
	}
	p.Watcher.DeliveryCame(result)
}

func (p *Platform) tellBuild(build models.Build) {
	took := time.Duration(0)
	if build.StartedAt != nil && build.FinishedAt != nil {
		took = build.FinishedAt.Sub(*build.StartedAt)
	}
	p.Watcher.BuildEnded(build.State, took)
}

// Figures is how Sky is at a moment, for monitoring.
type Figures struct {
	Builds   map[models.BuildState]int // that wait or run
	Traffic  map[string]models.Traffic // since this process began, by App
	Nodes    []models.Node
	Database []store.PoolStats
}

// Figures returns how Sky is. It costs a few queries, whatever there is.
func (p *Platform) Figures(ctx context.Context) (Figures, error) {
	figures := Figures{
		Builds:  map[models.BuildState]int{models.BuildQueued: 0, models.BuildRunning: 0},
		Traffic: map[string]models.Traffic{}, Database: p.Store.Pools(),
	}
	names, err := p.Store.AppNames(ctx)
	if err != nil {
		return figures, err
	}
	for id, name := range names {
		figures.Traffic[name] = p.recorder.Total(id)
	}
	builds, err := p.Store.UnfinishedBuilds(ctx)
	if err != nil {
		return figures, err
	}
	for _, build := range builds {
		figures.Builds[build.State]++
	}
	nodes, err := p.Store.Nodes(ctx)
	for _, node := range nodes {
		figures.Nodes = append(figures.Nodes, p.loads.latest(node))
	}
	return figures, err
}
