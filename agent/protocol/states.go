package protocol

// The states that InstanceStatus.State carries; the same words as the
// InstanceState values of package models, which an agent does not import.
const (
	StateAssigned = "assigned"
	StatePulling  = "pulling"
	StateStarting = "starting"
	StateHealthy  = "healthy"
	StateDraining = "draining"
	StateStopped  = "stopped"
	StateFailed   = "failed"
)
