package agent

import (
	"testing"
	"time"

	swarmtypes "github.com/docker/docker/api/types/swarm"
)

// lives makes a service's run of tasks in these states, of which the last is the newest.
// One that is "pending" has no node yet.
func lives(begun uint64, placed string, promoted bool, states ...swarmtypes.TaskState) run {
	var service swarmtypes.Service
	service.ID = "s"
	service.Spec.Labels = map[string]string{}
	if promoted {
		service.Spec.Labels[labelPromoted] = "yes"
	}
	service.Spec.TaskTemplate = swarmtypes.TaskSpec{
		ForceUpdate: begun, Placement: &swarmtypes.Placement{Constraints: []string{placedOn(placed)}},
		ContainerSpec: &swarmtypes.ContainerSpec{}, Resources: &swarmtypes.ResourceRequirements{Limits: &swarmtypes.Limit{}},
	}
	var tasks []swarmtypes.Task
	for i, state := range states {
		name := string(rune('a' + i))
		task := swarmtypes.Task{ID: name, Spec: swarmtypes.TaskSpec{ForceUpdate: begun}}
		task.CreatedAt = time.Unix(int64(i), 0)
		task.Status = swarmtypes.TaskStatus{State: state, ContainerStatus: &swarmtypes.ContainerStatus{ContainerID: name, ExitCode: i + 1}}
		if task.NodeID = "n"; state == swarmtypes.TaskStatePending {
			task.NodeID = ""
		}
		tasks = append([]swarmtypes.Task{task}, tasks...) // Swarm lists in no order
	}
	return newRun(service, tasks)
}

func TestRunSaysHowItsInstanceIs(t *testing.T) {
	const (
		pending, starting = swarmtypes.TaskStatePending, swarmtypes.TaskStateStarting
		running, failed   = swarmtypes.TaskStateRunning, swarmtypes.TaskStateFailed
		ready, complete   = swarmtypes.TaskStateReady, swarmtypes.TaskStateComplete
	)
	began := time.Unix(1, 0)
	for name, c := range map[string]struct {
		run       run
		container container // of the task that tells
		tells     string
		want      runState
		underWay  bool
	}{
		"was never started":                {lives(0, "n", false), container{}, "", runCreated, false},
		"has no node yet":                  {lives(1, "n", false, pending), container{}, "", runCreated, true},
		"is about to run":                  {lives(1, "n", false, starting), container{State: runCreated}, "a", runCreated, true},
		"runs":                             {lives(1, "n", false, running), container{State: runRunning, StartedAt: began}, "a", runRunning, true},
		"ended, and Swarm does not know":   {lives(1, "n", false, running), container{State: runExited, StartedAt: began}, "a", runExited, true},
		"failed before the mark":           {lives(1, "n", false, failed), container{State: runExited, StartedAt: began}, "a", runExited, false},
		"failed, and Swarm tried again":    {lives(1, "n", false, failed, running), container{State: runExited, StartedAt: began}, "a", runExited, false},
		"never began":                      {lives(1, "n", false, swarmtypes.TaskStateRejected), container{}, "a", runExited, false},
		"waits for its next start":         {lives(1, "n", true, failed, ready), container{State: runCreated}, "b", runRestarting, true},
		"died after the mark":              {lives(1, "n", true, complete), container{State: runExited, StartedAt: began}, "a", runRestarting, true},
		"runs again":                       {lives(1, "n", true, failed, failed, running), container{State: runRunning, StartedAt: began}, "c", runRunning, true},
		"was stopped":                      {lives(1, nowhere, false, failed, complete, pending), container{State: runExited, StartedAt: began}, "b", runExited, false},
		"is being stopped":                 {lives(1, nowhere, false, running, pending), container{State: runRunning, StartedAt: began}, "a", runRunning, false},
		"is another swarm's node's by now": {lives(1, "m", true, pending), container{}, "", runRestarting, false},
	} {
		tells := ""
		if task := c.run.telling(); task != nil {
			tells = task.ID
		}
		if got := c.run.state(c.container); got != c.want || tells != c.tells || c.run.underWay("n") != c.underWay {
			t.Errorf("%s: %s by task %q, under way %v; want %s by %q, %v", name, got, tells, c.run.underWay("n"), c.want, c.tells, c.underWay)
		}
	}
}

func TestTasksOfFormerRunsDoNotCount(t *testing.T) {
	r := lives(2, "n", false, swarmtypes.TaskStateFailed, swarmtypes.TaskStateRunning)
	r.all[0].Spec.ForceUpdate = 1
	again := newRun(r.service, r.all)
	if end := again.firstEnd(); end != nil || len(again.all) != 2 || again.telling().ID != "b" {
		t.Errorf("a former failure counts: %+v", end)
	}
}

// TestDeathsAreCountedBeyondWhatSwarmKeeps: it keeps five tasks of a service.
func TestDeathsAreCountedBeyondWhatSwarmKeeps(t *testing.T) {
	counted := &newSwarm(nil).deaths
	failed := swarmtypes.TaskStateFailed
	if n := counted.Count(lives(1, "n", false, failed)); n != 0 {
		t.Errorf("%d deaths before the mark", n)
	}
	r := lives(1, "n", true, failed, failed, failed, swarmtypes.TaskStateRunning)
	if n := counted.Count(r); n != 3 {
		t.Errorf("%d deaths, want 3", n)
	}
	r.tasks = r.tasks[2:]
	r.tasks[1].Status.State = failed
	if n := counted.Count(r); n != 4 {
		t.Errorf("%d deaths, want 4", n)
	}
	counted.Forget("s")
	if n := counted.Count(r); n != 2 {
		t.Errorf("%d deaths of a service that is forgotten", n)
	}
}
