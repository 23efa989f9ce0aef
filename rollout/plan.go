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
	// Leave are Nodes that the App is to leave: the Instances there are replaced,
	// and no others.
	Leave map[models.ID]bool
}

// live reports whether the Release serves already.
func (w Want) live() bool {
	return w.App.LiveReleaseID != nil && *w.App.LiveReleaseID == w.Release.ID
}

// Offer is where an App's new Instances may be placed.
type Offer struct {
	Nodes []scheduler.Node
	// Region is where the App wants to be; empty is anywhere.
	Region string
	// Each is what one Instance is promised.
	Each scheduler.Size
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

// Met reports whether the Instances there are those wanted. What somebody runs
// besides does not count.
func (w Want) Met(current []models.Instance) bool {
	plan := compare(w, current)
	for process, count := range w.Formation {
		if total(on(plan.Adopt, process)) != count {
			return false
		}
	}
	return len(plan.Stop) == 0
}

// NewPlan compares want with the Instances there are. It is pure. What it starts
// has room beside what it stops, which serves until then; where there is none, the
// error says so.
func NewPlan(want Want, current []models.Instance, offer Offer) (Plan, error) {
	plan := compare(want, current)
	names := processes(want.Formation)
	ask := scheduler.Ask{Region: offer.Region, Each: offer.Each}
	for _, process := range names {
		staying := on(plan.Adopt, process)
		missing := want.Formation[process] - total(staying)
		ask.Groups = append(ask.Groups, scheduler.Group{Count: missing, Staying: staying})
	}
	placed, err := scheduler.Place(without(offer.Nodes, want.Leave), ask)
	if err != nil {
		return Plan{}, beside(err, plan.Stop)
	}
	for i, process := range names {
		taken := ordinals(plan.Adopt, process)
		for _, node := range placed[i] {
			plan.Start = append(plan.Start, models.Instance{
				ID: models.NewID(), AppID: want.App.ID, ReleaseID: want.Release.ID,
				NodeID: node, Process: process, Ordinal: taken.next(),
			})
		}
	}
	return plan, nil
}

// compare decides which of the Instances there are stay: not those of another
// Release or plan. What somebody runs besides is no rollout's business.
func compare(want Want, current []models.Instance) Plan {
	plan, kept := Plan{}, map[string]int{}
	for _, instance := range current {
		if instance.OneOff() {
			continue
		}
		replaced := want.Fresh || want.Failed[instance.ID] || want.Leave[instance.NodeID]
		replaced = replaced || instance.ReleaseID != want.Release.ID || !samePlan(instance, want.App)
		if replaced || kept[instance.Process] >= want.Formation[instance.Process] {
			plan.Stop = append(plan.Stop, instance)
			continue
		}
		kept[instance.Process]++
		plan.Adopt = append(plan.Adopt, instance)
	}
	return plan
}

func samePlan(instance models.Instance, app models.App) bool {
	if instance.PlanID == nil || app.PlanID == nil {
		return instance.PlanID == app.PlanID
	}
	return *instance.PlanID == *app.PlanID
}

// on counts the Instances of a process type by Node.
func on(instances []models.Instance, process string) map[models.ID]int {
	counts := map[models.ID]int{}
	for _, instance := range instances {
		if instance.Process == process {
			counts[instance.NodeID]++
		}
	}
	return counts
}

func total(counts map[models.ID]int) int {
	sum := 0
	for _, count := range counts {
		sum += count
	}
	return sum
}

func without(nodes []scheduler.Node, leave map[models.ID]bool) []scheduler.Node {
	if len(leave) == 0 {
		return nodes
	}
	return slices.DeleteFunc(slices.Clone(nodes), func(node scheduler.Node) bool { return leave[node.ID] })
}

// beside adds to a refusal that what runs needs its room meanwhile.
func beside(err error, stop []models.Instance) error {
	refused := models.AsError(err)
	if refused == nil || len(stop) == 0 {
		return err
	}
	told := *refused
	told.Message += fmt.Sprintf(". The %d that run keep their room until new ones are healthy, so nothing was stopped", len(stop))
	told.Remedy += "; or make room with `sky stop`, at the price of an outage"
	return &told
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
