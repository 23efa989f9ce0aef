package api

import (
	"context"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
)

// recheckEvery is how often a stream asks whether its reader still may read.
const recheckEvery = 3 * time.Second

// source is what a stream reads. find looks up its subject and refuses who may
// not read it; it is asked again while the stream runs. read sends until ctx or
// the subject ends.
type source[Input, Subject any] struct {
	find func(ctx context.Context, input *Input) (Subject, error)
	read func(ctx context.Context, subject Subject, input *Input, send sse.Sender) error
}

// stream registers an operation that answers with server-sent events like
// message. It ends within seconds when the reader's token, session, account or
// role does; an event "problem" says so, but for a log, whose last line does.
func stream[Input, Subject any](s *server, routes huma.API, described huma.Operation, message any, from source[Input, Subject]) {
	events := map[string]any{"message": message, "problem": v1.Problem{}}
	if _, isLog := message.(v1.LogLine); isLog {
		delete(events, "problem")
	}
	refuse := func(ctx context.Context, send sse.Sender, err error) {
		if _, other := events["problem"]; other {
			_ = send.Data(s.problem(ctx, err).Problem)
			return
		}
		s.sendError(ctx, send, err)
	}
	sse.Register(routes, described, events, func(ctx context.Context, input *Input, send sse.Sender) {
		subject, err := from.find(ctx, input)
		if err != nil {
			refuse(ctx, send, err)
			return
		}
		watched, end := context.WithCancelCause(ctx)
		var watcher sync.WaitGroup
		watcher.Go(func() {
			end(s.watch(watched, func(ctx context.Context) error {
				_, err := from.find(ctx, input)
				return err
			}))
		})
		err = from.read(watched, subject, input, send)
		refused := models.AsError(context.Cause(watched))
		end(nil)
		watcher.Wait()
		if refused != nil {
			refuse(ctx, send, refused)
			return
		}
		s.quiet(ctx, err)
	})
}

// watch returns why the reader may read no more, or what ended ctx. That the
// database does not answer is no reason.
func (s *server) watch(ctx context.Context, allowed func(context.Context) error) error {
	ticker := time.NewTicker(recheckEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		fresh, err := s.Platform.Renewed(ctx, actor(ctx))
		if err == nil {
			err = allowed(context.WithValue(ctx, actorKey{}, fresh))
		}
		if refused := models.AsError(err); refused != nil && refused.Blame() == models.BlameUser {
			return refused
		}
	}
}
