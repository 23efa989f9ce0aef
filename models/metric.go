package models

import "time"

// The steps of time in which metrics are kept.
const (
	StepMinute = time.Minute
	StepHour   = time.Hour
)

// Metrics is what was measured in some time. What two of them tell of one step
// adds up.
type Metrics struct {
	Traffic []AppTraffic
	Usage   []AppUsage
	Nodes   []NodeUsage
	Marks   []TrafficMark
}

// Empty reports whether there is nothing in it.
func (m Metrics) Empty() bool {
	return len(m.Traffic)+len(m.Usage)+len(m.Nodes)+len(m.Marks) == 0
}

// Traffic is what all ingresses counted of an App's requests in one step.
type Traffic struct {
	// Status counts by the first digit of an answer's status; [0] had none.
	Status [6]int64 `gorm:"serializer:json"`
	// What an ingress answered because no Instance did: 502, 503 and 504.
	BadGateway     int64
	Unavailable    int64
	GatewayTimeout int64
	// Latency counts by buckets of time; Took is the sum in microseconds.
	Latency  []int64 `gorm:"serializer:json"`
	Took     int64
	BytesIn  int64
	BytesOut int64
	Held     int64
	Retried  int64
	// WebSockets is the most that were open at once.
	WebSockets int64 `gorm:"column:websockets"`
}

// Requests counts those of any status.
func (t Traffic) Requests() int64 {
	var total int64
	for _, count := range t.Status {
		total += count
	}
	return total
}

// Add adds what was counted elsewhere, or in another part of the step.
func (t *Traffic) Add(other Traffic) {
	for class, count := range other.Status {
		t.Status[class] += count
	}
	sum := make([]int64, max(len(t.Latency), len(other.Latency)))
	copy(sum, t.Latency)
	for bucket, count := range other.Latency {
		sum[bucket] += count
	}
	t.Latency = sum
	t.BadGateway += other.BadGateway
	t.Unavailable += other.Unavailable
	t.GatewayTimeout += other.GatewayTimeout
	t.Took += other.Took
	t.BytesIn += other.BytesIn
	t.BytesOut += other.BytesOut
	t.Held += other.Held
	t.Retried += other.Retried
	t.WebSockets = max(t.WebSockets, other.WebSockets)
}

// Usage is what the Instances of a process type used in one step. CPUPercent, of
// one CPU, and MemoryBytes are sums over the Samples: their means are an
// Instance's.
type Usage struct {
	Samples       int64
	CPUPercent    float64
	CPUPeak       float64 // of one Instance
	MemoryBytes   int64
	MemoryPeak    int64 // of one Instance
	ReceivedBytes int64
	SentBytes     int64
}

// Add adds what was measured elsewhere, or in another part of the step.
func (u *Usage) Add(other Usage) {
	u.Samples += other.Samples
	u.CPUPercent += other.CPUPercent
	u.CPUPeak = max(u.CPUPeak, other.CPUPeak)
	u.MemoryBytes += other.MemoryBytes
	u.MemoryPeak = max(u.MemoryPeak, other.MemoryPeak)
	u.ReceivedBytes += other.ReceivedBytes
	u.SentBytes += other.SentBytes
}

// NodeLoad is what a Node used in one step. CPUPercent, of all its CPUs, and
// MemoryBytes are sums over the Samples; the others are the most there was.
type NodeLoad struct {
	Samples     int64
	CPUPercent  float64
	CPUPeak     float64
	MemoryBytes int64
	MemoryPeak  int64
	DiskBytes   int64
	DiskTotal   int64
	Containers  int64
}

// Add adds what was measured in another part of the step.
func (l *NodeLoad) Add(other NodeLoad) {
	l.Samples += other.Samples
	l.CPUPercent += other.CPUPercent
	l.CPUPeak = max(l.CPUPeak, other.CPUPeak)
	l.MemoryBytes += other.MemoryBytes
	l.MemoryPeak = max(l.MemoryPeak, other.MemoryPeak)
	l.DiskBytes = max(l.DiskBytes, other.DiskBytes)
	l.DiskTotal = max(l.DiskTotal, other.DiskTotal)
	l.Containers = max(l.Containers, other.Containers)
}

// Moment is the step of time that a row of metrics is about: so many seconds from
// a time on.
type Moment struct {
	Step int64     `gorm:"primaryKey;autoIncrement:false"`
	At   time.Time `gorm:"primaryKey"`
}

// AppTraffic is one step of an App's Traffic.
type AppTraffic struct {
	AppID   ID `gorm:"primaryKey"`
	Moment  `gorm:"embedded"`
	Traffic `gorm:"embedded"`
}

// TableName implements gorm's Tabler.
func (AppTraffic) TableName() string { return "paas_app_traffic" }

// AppUsage is one step of the Usage of an App's process type.
type AppUsage struct {
	AppID   ID     `gorm:"primaryKey"`
	Process string `gorm:"primaryKey"`
	Moment  `gorm:"embedded"`
	Usage   `gorm:"embedded"`
}

// TableName implements gorm's Tabler.
func (AppUsage) TableName() string { return "paas_app_usage" }

// NodeUsage is one step of a Node's NodeLoad.
type NodeUsage struct {
	NodeID   ID `gorm:"primaryKey"`
	Moment   `gorm:"embedded"`
	NodeLoad `gorm:"embedded"`
}

// TableName implements gorm's Tabler.
func (NodeUsage) TableName() string { return "paas_node_usage" }

// TrafficMark says up to where the counters of one Node's ingress for one App are
// in AppTraffic. It is written together with what it is about, so that neither a
// control plane that is killed nor a heartbeat that comes again changes the sum.
type TrafficMark struct {
	NodeID   ID `gorm:"primaryKey"`
	AppID    ID `gorm:"primaryKey"`
	Counters string
}

// TableName implements gorm's Tabler.
func (TrafficMark) TableName() string { return "paas_traffic_marks" }
