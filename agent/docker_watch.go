package agent

import (
	"context"
	"errors"
	"strings"

	"github.com/docker/docker/api/types/events"
)

// Watch implements engine. Docker answers a moment before it has subscribed;
// the version call gives it that moment before ready has everything listed.
func (d *docker) Watch(ctx context.Context, ready func(), handle func(event)) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wanted := d.mine()
	wanted.Add("type", "container")
	for _, kind := range []eventKind{eventDied, eventStarted, eventOOM, eventHealth} {
		wanted.Add("event", string(kind))
	}
	messages, failed := d.client.Events(ctx, events.ListOptions{Filters: wanted})
	if _, err := d.Version(ctx); err != nil {
		return err
	}
	ready()
	for {
		select {
		case message := <-messages:
			handle(eventFrom(message))
		case err := <-failed:
			return wrap("watch events", errors.Join(err, ctx.Err()))
		}
	}
}

func eventFrom(message events.Message) event {
	kind, _, _ := strings.Cut(string(message.Action), ":") // "health_status: healthy"
	return event{
		Kind:      eventKind(kind),
		Container: message.Actor.ID,
		Instance:  message.Actor.Attributes[labelInstance],
		AppID:     message.Actor.Attributes[labelAppID],
		ExitCode:  number(message.Actor.Attributes["exitCode"]),
	}
}
