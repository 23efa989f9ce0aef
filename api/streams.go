package api

import (
	"context"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
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

// stream registers an operation that answers with server-sent events. It ends
// within seconds when the reader's token, session, account or role does.
func stream[Input, Subject any](s *server, routes huma.API, described huma.Operation, events map[string]any, from source[Input, Subject]) {
	sse.Register(routes, described, events, func(ctx context.Context, input *Input, send sse.Sender) {
		subject, err := from.find(ctx, input)
		if err != nil {
			s.sendError(ctx, send, err)
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
			s.sendError(ctx, send, refused)
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
