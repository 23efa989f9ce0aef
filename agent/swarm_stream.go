package agent

import (
	"context"
	"errors"

	"github.com/skypanel/sky/agent/protocol"
)

// Log implements engine: the logs of the service's containers, one after another. What
// is followed is the last.
func (s *swarm) Log(ctx context.Context, id string, query logQuery, line func(protocol.LogLine) error) error {
	if isContainer(id) {
		return s.docker.Log(ctx, id, query, line)
	}
	containers, err := s.containersOf(ctx, id)
	if err != nil {
		return err
	}
	var last []protocol.LogLine // of the tail
	keep := line
	if query.Tail > 0 {
		keep = func(l protocol.LogLine) error {
			last = append(last, l)
			return nil
		}
	}
	for i, c := range containers {
		part := query
		part.Follow = query.Follow && i == len(containers)-1
		if err := s.docker.Log(ctx, c, part, keep); err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	for _, l := range last[max(0, len(last)-query.Tail):] {
		if err := line(l); err != nil {
			return err
		}
	}
	return nil
}

// containersOf lists the containers that a service ever had and Swarm still keeps,
// oldest first, up to the one that says how the Instance is.
func (s *swarm) containersOf(ctx context.Context, id string) ([]string, error) {
	r, err := s.run(ctx, id)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, task := range r.all {
		if c := containerOf(&task); c != "" {
			found = append(found, c)
		}
		if last := r.telling(); last != nil && last.ID == task.ID {
			break
		}
	}
	return found, nil
}

// Exec implements engine.
func (s *swarm) Exec(ctx context.Context, c container, command protocol.Command) (process, error) {
	within, err := s.within(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.docker.Exec(ctx, within, command)
}

// EndStrays implements engine.
func (s *swarm) EndStrays(ctx context.Context, c container) error {
	within, err := s.within(ctx, c)
	if err != nil {
		return err
	}
	return s.docker.EndStrays(ctx, within)
}

// Usage implements engine.
func (s *swarm) Usage(ctx context.Context, id string) (consumption, error) {
	within, err := s.within(ctx, container{ID: id})
	if err != nil {
		return consumption{}, err
	}
	return s.docker.Usage(ctx, within.ID)
}

// within gives a container its own ID in place of its service's.
func (s *swarm) within(ctx context.Context, c container) (container, error) {
	if isContainer(c.ID) {
		return c, nil
	}
	r, err := s.run(ctx, c.ID)
	if err != nil {
		return c, err
	}
	if c.ID = containerOf(r.live()); c.ID == "" {
		return c, errGone
	}
	return c, nil
}

// Watch implements engine. That the engine is as it must be is asked each time: it may
// have been restarted otherwise.
func (s *swarm) Watch(ctx context.Context, ready func(), handle func(event)) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	return s.docker.Watch(ctx, ready, handle)
}
