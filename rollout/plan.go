package rollout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/scheduler"
)

// Want is what an App should run.
type Want struct {
	App       models.App
	Release   models.Release
	Formation models.Formation
	// Fresh replaces Instances of the same Release too, as a restart does.
	Fresh bool
	// Failed are Instances that ended for good and are to be replaced.
	Failed map[models.ID]bool
}

// Plan is what has to change for it.
type Plan struct {
	Start []models.Instance
	// Adopt are Instances of the wanted Release that an interrupted rollout has
	// started already.
	Adopt []models.Instance
	Stop  []models.Instance
}

// Empty reports whether nothing has to change.
func (p Plan) Empty() bool { return len(p.Start)+len(p.Adopt)+len(p.Stop) == 0 }

// NewPlan compares want with the Instances there are. It is pure.
func NewPlan(want Want, current []models.Instance, nodes []scheduler.Node) (Plan, error) {
	plan := Plan{}
	kept := map[string]int{}
	for _, instance := range current {
		wanted := want.Formation[instance.Process]
		switch {
		case want.Fresh, want.Failed[instance.ID], instance.ReleaseID != want.Release.ID, kept[instance.Process] >= wanted:
			plan.Stop = append(plan.Stop, instance)
		default:
			kept[instance.Process]++
			plan.Adopt = append(plan.Adopt, instance)
		}
	}
	for _, process := range processes(want.Formation) {
		missing := want.Formation[process] - kept[process]
		placed, err := scheduler.Place(nodes, max(0, missing))
		if err != nil {
			return Plan{}, err
		}
		taken := ordinals(plan.Adopt, process)
		for _, node := range placed {
			plan.Start = append(plan.Start, models.Instance{
				ID: models.NewID(), AppID: want.App.ID, ReleaseID: want.Release.ID,
				NodeID: node, Process: process, Ordinal: taken.next(),
			})
		}
	}
	return plan, nil
}

// processes lists the formation's process types, web first.
func processes(formation models.Formation) []string {
	names := make([]string, 0, len(formation))
	for name, count := range formation {
		if count > 0 {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == models.WebProcess) != (b == models.WebProcess) {
			if a == models.WebProcess {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

// numbering hands out the lowest free ordinals from 1.
type numbering map[int]bool

func ordinals(instances []models.Instance, process string) numbering {
	taken := numbering{}
	for _, instance := range instances {
		if instance.Process == process {
			taken[instance.Ordinal] = true
		}
	}
	return taken
}

func (n numbering) next() int {
	for ordinal := 1; ; ordinal++ {
		if !n[ordinal] {
			n[ordinal] = true
			return ordinal
		}
	}
}

// CheckFormation says why formation cannot be had with these process types, or
// returns nil.
func CheckFormation(formation models.Formation, known models.Processes) error {
	for process, count := range formation {
		if _, ok := known[process]; !ok {
			return models.Errorf(models.Invalid, "the app has no process type %q", process).WithField(process).
				WithRemedy("it has %s; a Procfile adds others", list(known))
		}
		if count < 0 || count > models.MaxInstancesPerProcess {
			return models.Errorf(models.Invalid, "%s=%d is out of range", process, count).WithField(process).
				WithRemedy("use 0 to %d", models.MaxInstancesPerProcess)
		}
	}
	return nil
}

func list(known models.Processes) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Sprintf("%v", names)
}
