package models

import "time"

// What an Instance gets that started before there were plans.
const (
	PlanlessCPUMillis   int64 = 1000
	PlanlessMemoryBytes int64 = 512 << 20
	PlanlessPids        int64 = 256
)

// Plan is what an Instance of an App gets, and what it costs.
type Plan struct {
	ID           ID `gorm:"primaryKey"`
	Name         string
	Description  string
	CPUMillis    int64 // thousandths of a CPU
	MemoryBytes  int64
	StorageBytes int64
	Pids         int64
	// What one build may use: each step of it, and all of it together. Zero CPUs
	// are all that the builder has.
	BuildCPUMillis   int64 `gorm:"column:build_cpu_millis"`
	BuildMemoryBytes int64
	BuildMinutes     int
	// MaxInstances bounds the Instances of one App.
	MaxInstances int
	// PriceHour is what each running Instance costs in an hour; PriceMonth is what
	// the price list says.
	PriceMonth Money `gorm:"column:price_month_micros"`
	PriceHour  Money `gorm:"column:price_hour_micros"`
	Position   int   // in the price list
	// Active plans can be chosen; Apps keep one that no longer is.
	Active    bool
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TableName implements gorm's Tabler.
func (Plan) TableName() string { return "paas_plans" }

// PlanRuntime allows Apps of a Plan a Runtime.
type PlanRuntime struct {
	PlanID    ID `gorm:"primaryKey"`
	RuntimeID ID `gorm:"primaryKey"`
}

// TableName implements gorm's Tabler.
func (PlanRuntime) TableName() string { return "paas_plan_runtimes" }

// Runtime is an admin's row: a language version and the images that build and
// run it.
type Runtime struct {
	ID      ID     `gorm:"primaryKey"`
	Type    string // "node", "go", "python", "php", "ruby", "static", "docker"
	Version string
	// BuildImage and RunImage are references that the engine can pull; empty for
	// "docker", whose images the repository names itself.
	BuildImage string
	RunImage   string
	// BuildCommand and StartCommand stand in for what the buildpack would choose,
	// where neither the App nor its Procfile says another.
	BuildCommand string
	StartCommand string
	Default      bool `gorm:"column:is_default"`
	Active       bool
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// TableName implements gorm's Tabler.
func (Runtime) TableName() string { return "paas_runtimes" }
