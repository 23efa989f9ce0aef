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
	// Command is somebody's own, of a one-off; others run what the Release says.
	Command []string `gorm:"serializer:json"`
	// Attended is a one-off that waits for a terminal, and ends with it; TTY gives it
	// a terminal's device.
	Attended  bool
	TTY       bool `gorm:"column:tty"`
	CreatedAt time.Time
}

// OneOffProcess is the process type of what somebody runs besides a Release's own.
const OneOffProcess = "run"

// OneOff reports whether the Instance runs somebody's own command. Deployments leave
// it alone.
func (i Instance) OneOff() bool { return len(i.Command) > 0 }

// TableName implements gorm's Tabler.
func (Instance) TableName() string { return "paas_instances" }
