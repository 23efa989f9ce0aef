package agent

import (
	"fmt"
	"slices"

	swarmtypes "github.com/docker/docker/api/types/swarm"
)

// run is a service and the tasks of its present run, oldest first. What it says of an
// Instance it reads from these alone.
type run struct {
	service swarmtypes.Service
	tasks   []swarmtypes.Task
	all     []swarmtypes.Task // those of former runs too
}

func newRun(service swarmtypes.Service, all []swarmtypes.Task) run {
	all = slices.SortedFunc(slices.Values(all), func(a, b swarmtypes.Task) int { return a.CreatedAt.Compare(b.CreatedAt) })
	tasks := slices.DeleteFunc(slices.Clone(all), func(task swarmtypes.Task) bool {
		return task.Spec.ForceUpdate != service.Spec.TaskTemplate.ForceUpdate
	})
	return run{service, tasks, all}
}

// begun says that it was started once.
func (r run) begun() bool { return r.service.Spec.TaskTemplate.ForceUpdate > 0 }

func (r run) promoted() bool { return r.service.Spec.Labels[labelPromoted] != "" }

func (r run) placed(node string) bool {
	return slices.Contains(r.service.Spec.TaskTemplate.Placement.Constraints, placedOn(node))
}

func (r run) stopped() bool { return r.placed(nowhere) }

// underWay says that Swarm runs it on that node, or is about to.
func (r run) underWay(node string) bool {
	return r.begun() && r.placed(node) && (r.promoted() || r.firstEnd() == nil)
}

// ended says whether a task's process has ended, or never will begin.
func ended(task swarmtypes.Task) bool {
	return slices.Contains([]swarmtypes.TaskState{
		swarmtypes.TaskStateComplete, swarmtypes.TaskStateShutdown, swarmtypes.TaskStateFailed, swarmtypes.TaskStateRejected,
		swarmtypes.TaskStateRemove, swarmtypes.TaskStateOrphaned,
	}, task.Status.State)
}

func (r run) firstEnd() *swarmtypes.Task { return first(r.tasks, ended) }

func (r run) lastEnd() *swarmtypes.Task {
	newestFirst := slices.Clone(r.tasks)
	slices.Reverse(newestFirst)
	return first(newestFirst, ended)
}

// live is the task that was given to the Node and has not ended.
func (r run) live() *swarmtypes.Task {
	return first(r.tasks, func(task swarmtypes.Task) bool { return task.NodeID != "" && !ended(task) })
}

func first(tasks []swarmtypes.Task, fits func(swarmtypes.Task) bool) *swarmtypes.Task {
	if i := slices.IndexFunc(tasks, fits); i >= 0 {
		return &tasks[i]
	}
	return nil
}

// telling is the task whose container says how the Instance is. Before the mark that
// is the first to end: Swarm begins another at once, and knows no better.
func (r run) telling() *swarmtypes.Task {
	if end := r.firstEnd(); end != nil && !r.promoted() && !r.stopped() {
		return end
	}
	if live := r.live(); live != nil {
		return live
	}
	return r.lastEnd()
}

// containerOf is a task's container; "" while it has none.
func containerOf(task *swarmtypes.Task) string {
	if task == nil || task.Status.ContainerStatus == nil {
		return ""
	}
	return task.Status.ContainerStatus.ContainerID
}

// container is what the run says without its container.
func (r run) container() container {
	labels := r.service.Spec.Labels
	c := container{
		Instance: labels[labelInstance], AppID: labels[labelAppID], App: labels[labelApp], Process: labels[labelProcess],
		Ordinal: number(labels[labelOrdinal]), Port: number(labels[labelPort]), ImageID: r.service.Spec.TaskTemplate.ContainerSpec.Image,
		Memory: r.service.Spec.TaskTemplate.Resources.Limits.MemoryBytes,
	}
	if task := r.telling(); task != nil && task.Status.ContainerStatus != nil {
		c.ExitCode = task.Status.ContainerStatus.ExitCode
	}
	return r.with(c)
}

// with gives a container what its service knows better.
func (r run) with(c container) container {
	c.ID, c.Promoted, c.CreatedAt = r.service.ID, r.promoted(), r.service.CreatedAt
	return c
}

// state derives what the Instance does; c is as its container says.
func (r run) state(c container) runState {
	began := !c.StartedAt.IsZero()
	switch {
	case !r.begun():
		return runCreated
	case r.stopped() && r.live() == nil:
		return runExited
	case c.State == runRunning:
		return runRunning
	case r.promoted():
		return runRestarting
	case r.firstEnd() != nil || began && c.State == runExited:
		return runExited
	}
	return runCreated // Swarm is about to start it
}

// waitingFor says what Swarm says of a task that does not begin.
func (r run) waitingFor() string {
	if len(r.tasks) == 0 {
		return "it has made no task"
	}
	status := r.tasks[len(r.tasks)-1].Status
	said := status.Message
	if status.Err != "" {
		said = status.Err
	}
	return fmt.Sprintf("its task is %s: %s", status.State, said)
}
