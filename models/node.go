package models

import "time"

// NodeState is where a Node is in its life.
type NodeState string

// The states of a Node.
const (
	NodePending NodeState = "pending"
	NodeOnline  NodeState = "online"
	NodeOffline NodeState = "offline"
	NodeRemoved NodeState = "removed"
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
	DiskBytes     int64
	// What the agent's last heartbeat said.
	CPUPercent      int
	MemoryUsedBytes int64
	DiskUsedBytes   int64
	Containers      int
	// PeerAddress is where its agent takes requests of other Nodes; empty where it
	// takes none.
	PeerAddress string
	// IngressAddress is where it takes requests from outside.
	IngressAddress string
	// Builds is how many builds its agent runs at once; 0 is no builder.
	Builds int
	// Region is where the Node is; Apps may ask for one.
	Region string
	// Cordoned Nodes keep what they run and get nothing new.
	Cordoned bool
	SeenAt   *time.Time
	// OfflineSince is when it went offline; nil while it is not.
	OfflineSince *time.Time
	// LostAt is when it had been offline for too long, so that what it runs is
	// replaced elsewhere; nil once it is back.
	LostAt    *time.Time
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Node) TableName() string { return "paas_nodes" }
