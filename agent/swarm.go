package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	swarmtypes "github.com/docker/docker/api/types/swarm"
)

const (
	// labelPromoted marks a service that was healthy once.
	labelPromoted = "sky.promoted"
	// labelService is Swarm's own, on the containers of a service.
	labelService = "com.docker.swarm.service.id"
	// startLimit bounds the wait for Swarm to run what it was told to.
	startLimit = time.Minute
)

// swarm is the engine interface over the Docker Swarm that this Node is a manager of.
// Each Instance is a service of one task, pinned to the Node, and container.ID is the
// service's: Sky places, Swarm runs. What runs once or waits for a terminal is no
// service: it is plain Docker's.
//
// A run of a service is told apart by the counter that forces an update: Start raises
// it, and only tasks with its present value count. Replicas are 0 before the first run.
// Stop places the service nowhere, which keeps the last container and its log; scaled
// to 0, Swarm would remove them.
type swarm struct {
	*docker
	member atomic.Pointer[string] // this Node's ID in the Swarm, as Check found it
	deaths tally
}

func newSwarm(plain *docker) *swarm {
	return &swarm{docker: plain, deaths: tally{seen: map[string]map[string]bool{}}}
}

// isContainer tells a container's ID from a service's, which is shorter.
func isContainer(id string) bool { return len(id) == 64 }

// Apps implements engine.
func (s *swarm) Apps(ctx context.Context) ([]string, error) {
	apps, err := s.docker.Apps(ctx)
	if err != nil {
		return nil, err
	}
	services, err := s.services(ctx, s.mine())
	if err != nil {
		return nil, err
	}
	for _, service := range services {
		apps = append(apps, service.Spec.Labels[labelAppID])
	}
	slices.Sort(apps)
	return slices.Compact(apps), nil
}

// List implements engine: the App's services, and the containers that are none's.
func (s *swarm) List(ctx context.Context, appID string) ([]container, error) {
	if err := s.agree(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	wanted := s.ofApp(appID)
	services, err := s.services(ctx, wanted)
	if err != nil {
		return nil, err
	}
	summaries, err := s.client.ContainerList(ctx, containertypes.ListOptions{All: true, Filters: wanted})
	if err != nil {
		return nil, dockerError("list containers", err)
	}
	var ids []string
	for _, service := range services {
		ids = append(ids, service.ID)
	}
	for _, summary := range summaries {
		if summary.Labels[labelService] == "" {
			ids = append(ids, summary.ID)
		}
	}
	return inspectAll(ctx, ids, s.Inspect)
}

func (s *swarm) services(ctx context.Context, wanted filters.Args) ([]swarmtypes.Service, error) {
	services, err := s.client.ServiceList(ctx, swarmtypes.ServiceListOptions{Filters: wanted})
	if err != nil {
		return nil, dockerError("list services", err)
	}
	return services, nil
}

// Inspect implements engine.
func (s *swarm) Inspect(ctx context.Context, id string) (container, error) {
	if isContainer(id) {
		return s.docker.Inspect(ctx, id)
	}
	r, err := s.run(ctx, id)
	if err != nil {
		return container{}, err
	}
	return s.look(ctx, r)
}

// run reads a service's present run.
func (s *swarm) run(ctx context.Context, id string) (run, error) {
	if err := s.agree(ctx); err != nil {
		return run{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	service, _, err := s.client.ServiceInspectWithRaw(ctx, id, swarmtypes.ServiceInspectOptions{})
	if err != nil {
		if errdefs.IsNotFound(err) {
			s.deaths.Forget(id)
		}
		return run{}, dockerError("inspect service", err)
	}
	tasks, err := s.client.TaskList(ctx, swarmtypes.TaskListOptions{Filters: filters.NewArgs(filters.Arg("service", id))})
	if err != nil {
		return run{}, dockerError("list tasks", err)
	}
	return newRun(service, tasks), nil
}

// look makes a run a container, as that of the task which says how it is.
func (s *swarm) look(ctx context.Context, r run) (container, error) {
	c := r.container()
	if id := containerOf(r.telling()); id != "" {
		answer, err := s.client.ContainerInspect(ctx, id)
		if err != nil && !errdefs.IsNotFound(err) {
			return container{}, dockerError("inspect container", err)
		}
		if err == nil {
			if err := s.hold(ctx, answer); err != nil {
				return container{}, err
			}
			c = r.with(containerFrom(answer))
		}
	}
	c.State = r.state(c)
	c.Restarts = s.deaths.Count(r)
	if c.State != runRunning {
		c.Address, c.PID = "", 0
	}
	return c, nil
}

// hold gives a running container no more swap than none: of memory, Swarm can only
// limit what is not swapped.
func (s *swarm) hold(ctx context.Context, c containertypes.InspectResponse) error {
	limit := c.HostConfig.Memory
	if !c.State.Running || limit == 0 || c.HostConfig.MemorySwap == limit {
		return nil
	}
	_, err := s.client.ContainerUpdate(ctx, c.ID, containertypes.UpdateConfig{Resources: containertypes.Resources{Memory: limit, MemorySwap: limit}})
	if err == nil {
		return nil
	}
	if now, gone := s.client.ContainerInspect(ctx, c.ID); gone != nil || !now.State.Running {
		return nil // it ended meanwhile
	}
	return dockerError("limit swap", err)
}

// Start implements engine. It returns when the process has begun, which Swarm does not
// say of an image with a health check until that has passed.
func (s *swarm) Start(ctx context.Context, id string) error {
	if isContainer(id) {
		return s.docker.Start(ctx, id)
	}
	here, err := s.here(ctx)
	if err != nil {
		return err
	}
	r, err := s.run(ctx, id)
	if err != nil {
		return err
	}
	if !r.underWay(here) {
		err := s.change(ctx, id, func(spec *swarmtypes.ServiceSpec) {
			one := uint64(1)
			spec.Mode.Replicated.Replicas = &one
			spec.TaskTemplate.ForceUpdate++
			spec.TaskTemplate.Placement.Constraints = []string{placedOn(here)}
		})
		if err != nil {
			return err
		}
	}
	return s.awaitStart(ctx, id)
}

func (s *swarm) awaitStart(ctx context.Context, id string) error {
	waiting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	var r run
	err := until(waiting, func() (bool, error) {
		var err error
		if r, err = s.run(waiting, id); err != nil {
			return false, err
		}
		c, err := s.look(waiting, r)
		if err != nil {
			return false, err
		}
		if ended := r.firstEnd(); ended != nil && c.StartedAt.IsZero() {
			return false, fmt.Errorf("start service: %s", ended.Status.Err)
		}
		return c.State == runRunning || c.State == runExited, nil
	})
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		s.member.Store(nil) // it may be another swarm's by now
		return fmt.Errorf("start service: Swarm has not begun within %s: %s", plainly(startLimit), r.waitingFor())
	}
	return err
}

// Promote implements engine. A label of the service leaves its task alone.
func (s *swarm) Promote(ctx context.Context, id string) error {
	if isContainer(id) {
		return s.docker.Promote(ctx, id)
	}
	return s.change(ctx, id, func(spec *swarmtypes.ServiceSpec) { spec.Labels[labelPromoted] = "yes" })
}

// Stop implements engine. The process is told here too: Swarm waits for two seconds
// before it tells one, for names to be forgotten that a Node's own network has not.
func (s *swarm) Stop(ctx context.Context, id string) error {
	if isContainer(id) {
		return s.docker.Stop(ctx, id)
	}
	var grace time.Duration
	err := s.change(ctx, id, func(spec *swarmtypes.ServiceSpec) {
		delete(spec.Labels, labelPromoted)
		spec.TaskTemplate.Placement.Constraints = []string{placedOn(nowhere)}
		grace = *spec.TaskTemplate.ContainerSpec.StopGracePeriod
	})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, grace+engineTimeout)
		defer cancel()
		err = until(ctx, func() (bool, error) { return s.endLive(ctx, id, grace) })
	}
	if errors.Is(err, errGone) {
		return nil
	}
	return wrap("stop service", err)
}

// endLive says whether a service's last task has ended, and ends it.
func (s *swarm) endLive(ctx context.Context, id string, grace time.Duration) (bool, error) {
	r, err := s.run(ctx, id)
	if err != nil || r.live() == nil {
		return true, err
	}
	running := containerOf(r.live())
	if running == "" {
		return false, nil
	}
	seconds := int(grace / time.Second)
	err = s.client.ContainerStop(ctx, running, containertypes.StopOptions{Timeout: &seconds})
	if err != nil && !errdefs.IsNotFound(err) {
		return false, dockerError("stop container", err)
	}
	return false, nil
}

// change edits a service, again when somebody else was quicker.
func (s *swarm) change(ctx context.Context, id string, edit func(*swarmtypes.ServiceSpec)) error {
	if err := s.agree(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	return until(ctx, func() (bool, error) {
		service, _, err := s.client.ServiceInspectWithRaw(ctx, id, swarmtypes.ServiceInspectOptions{})
		if err != nil {
			return false, dockerError("inspect service", err)
		}
		edit(&service.Spec)
		_, err = s.client.ServiceUpdate(ctx, id, service.Version, service.Spec, swarmtypes.ServiceUpdateOptions{})
		if err != nil && strings.Contains(err.Error(), "out of sequence") {
			return false, nil
		}
		if err != nil {
			return false, dockerError("update service", err)
		}
		return true, nil
	})
}

// Remove implements engine. It returns when the service's containers are gone too.
func (s *swarm) Remove(ctx context.Context, id string) error {
	if isContainer(id) {
		return s.docker.Remove(ctx, id)
	}
	if err := s.agree(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*engineTimeout)
	defer cancel()
	if err := s.client.ServiceRemove(ctx, id); err != nil && !errdefs.IsNotFound(err) {
		return dockerError("remove service", err)
	}
	s.deaths.Forget(id)
	return until(ctx, func() (bool, error) {
		left, err := s.client.ContainerList(ctx, containertypes.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", labelService+"="+id))})
		if err != nil {
			return false, dockerError("list containers of a service", err)
		}
		for _, c := range left {
			if err := s.docker.Remove(ctx, c.ID); err != nil {
				return false, err
			}
		}
		return len(left) == 0, nil
	})
}

// tally counts the tasks that ended of services which had the mark. Swarm keeps only
// the last few.
type tally struct {
	mu   sync.Mutex
	seen map[string]map[string]bool // ended tasks, by service
}

// Count returns how many tasks of a service are known to have ended.
func (t *tally) Count(r run) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen[r.service.ID] == nil {
		t.seen[r.service.ID] = map[string]bool{}
	}
	known := t.seen[r.service.ID]
	for _, task := range r.tasks {
		if ended(task) && r.promoted() {
			known[task.ID] = true
		}
	}
	return len(known)
}

// Forget drops a service.
func (t *tally) Forget(service string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.seen, service)
}
