package models

import "time"

// NodeState is where a Node is in its life.
type NodeState string

// The states of a Node.
const (
	NodePending  NodeState = "pending"
	NodeOnline   NodeState = "online"
	NodeOffline  NodeState = "offline"
	NodeCordoned NodeState = "cordoned"
	NodeRemoved  NodeState = "removed"
)

// Node is a machine that runs Instances.
type Node struct {
	ID    ID `gorm:"primaryKey"`
	Name  string
	State NodeState
	// JoinHash is the SHA-256 of the single-use token that registers the Node's
	// agent; empty once it was used.
	JoinHash      []byte
	JoinExpiresAt *time.Time
	// Generation counts the Assignments made for the Node.
	Generation    uint64
	EngineVersion string
	AgentVersion  string
	CPUs          int `gorm:"column:cpus"`
	MemoryBytes   int64
	SeenAt        *time.Time
	CreatedAt     time.Time
}

// TableName implements gorm's Tabler.
func (Node) TableName() string { return "paas_nodes" }

// Runtime is an admin's row: a language version and the images that build and
// run it.
type Runtime struct {
	ID      ID     `gorm:"primaryKey"`
	Type    string // "node", "go", "python", "php", "static"
	Version string
	// BuildImage and RunImage are references that the engine can pull.
	BuildImage string
	RunImage   string
	Default    bool `gorm:"column:is_default"`
	Active     bool
	CreatedAt  time.Time
}

// TableName implements gorm's Tabler.
func (Runtime) TableName() string { return "paas_runtimes" }
