package platform

import (
	"strings"

	"github.com/skypanel/sky/models"
)

// The least and the most that a plan may give an Instance. Docker refuses less
// memory than minMemory.
const (
	minMemory = 6 * mib
	minPids   = 8
	// minBuildMemory is what a package manager needs to start.
	minBuildMemory = 64 * mib
	// maxPrice keeps sums of any number of Instances within 64 bits.
	maxPrice = 1_000_000 * models.MoneyUnit
)

func checkPlan(plan models.Plan) error {
	wrong := func(field, remedy string) error {
		return models.Errorf(models.Invalid, "the plan's %s is not allowed", strings.ReplaceAll(field, "_", " ")).WithField(field).WithRemedy("%s", remedy)
	}
	switch {
	case models.CheckAppName(plan.Name) != nil:
		return wrong("name", "use 1 to 40 lower-case letters, digits and single dashes, beginning with a letter")
	case len(plan.Description) > 500:
		return wrong("description", "use at most 500 characters")
	case plan.CPUMillis < 10 || plan.CPUMillis > 1_000_000:
		return wrong("cpu_millis", "use 10 to 1000000 thousandths of a CPU")
	case plan.MemoryBytes < minMemory || plan.MemoryBytes > 1<<50:
		return wrong("memory_bytes", "use at least 6 MiB")
	case plan.StorageBytes < mib || plan.StorageBytes > 1<<50:
		return wrong("storage_bytes", "use at least 1 MiB")
	case plan.Pids < minPids || plan.Pids > 1<<20:
		return wrong("pids", "use at least 8 processes")
	case plan.BuildCPUMillis < 0 || plan.BuildCPUMillis > 1_000_000:
		return wrong("build_cpu_millis", "use 0, which is all CPUs, to 1000000 thousandths of one")
	case plan.BuildMemoryBytes < minBuildMemory || plan.BuildMemoryBytes > 1<<50:
		return wrong("build_memory_bytes", "use at least 64 MiB")
	case plan.BuildMinutes < 1 || plan.BuildMinutes > 24*60:
		return wrong("build_minutes", "use 1 to 1440 minutes")
	case plan.MaxInstances < 1 || plan.MaxInstances > 10_000:
		return wrong("max_instances", "use 1 to 10000")
	case plan.PriceHour < 0 || plan.PriceHour > maxPrice:
		return wrong("price_hour_micros", "use 0 or more millionths")
	case plan.PriceMonth < 0 || plan.PriceMonth > maxPrice*1000:
		return wrong("price_month_micros", "use 0 or more millionths")
	}
	return nil
}

// checkInstances refuses more Instances than the plan allows one App.
func checkInstances(plan models.Plan, wanted models.Formation) error {
	total := 0
	for _, count := range wanted {
		total += count
	}
	if total > plan.MaxInstances {
		return models.Errorf(models.Conflict, "that is %d instances, and the plan %s allows an app %d", total, plan.Name, plan.MaxInstances).
			WithField("formation").WithRemedy("scale to fewer, or choose a larger plan: sky apps plan NAME")
	}
	return nil
}
