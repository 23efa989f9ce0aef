package models

import "time"

// InstanceState is where an Instance is in its life. It only moves forward;
// docs/states.md draws it.
type InstanceState string

// The states of an Instance.
const (
	InstanceAssigned InstanceState = "assigned"
	InstancePulling  InstanceState = "pulling"
	InstanceStarting InstanceState = "starting"
	InstanceHealthy  InstanceState = "healthy"
	InstanceDraining InstanceState = "draining"
	InstanceStopped  InstanceState = "stopped"
	InstanceFailed   InstanceState = "failed"
)

// Instance is one process of a Release, assigned to a Node. The row says that
// it is wanted; what became of it is observed by the Node's agent.
type Instance struct {
	ID        ID `gorm:"primaryKey"`
	AppID     ID
	ReleaseID ID
	NodeID    ID
	PlanID    *ID // what it started with; its App's may have changed
	Process   string
	Ordinal   int  // from 1, unique per release attempt and process type
	Once      bool // runs a command to its end, one time
	CreatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Instance) TableName() string { return "paas_instances" }
