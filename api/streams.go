package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
)

const (
	// recheckEvery is how often a stream asks whether its reader still may read.
	recheckEvery = 3 * time.Second
	// eventPatience bounds the write of one event to a reader that stalls.
	eventPatience = 10 * time.Second
	// aliveEvery is how often a stream says that it lives: proxies end those that are
	// silent for longer (WHATWG HTML, section 9.2.7).
	aliveEvery = 15 * time.Second
)

// source is what a stream reads. find looks up its subject and refuses who may
// not read it, before anything is sent; it is asked again while the stream runs.
// read sends events until ctx or the subject ends.
type source[Input, Subject any] struct {
	find func(ctx context.Context, input *Input) (Subject, error)
	read func(ctx context.Context, subject Subject, input *Input, send sender) error
}

// sender sends one event; an id above 0 is where a reader that comes back goes
// on (Last-Event-ID).
type sender func(id int64, event any) error

// stream registers an operation that answers with server-sent events (the WHATWG
// HTML standard, section 9.2) like message. It ends within seconds when the
// reader's token, session, account or role does; a last event "problem" says so.
func stream[Input, Subject any](s *server, routes huma.API, described huma.Operation, message any, from source[Input, Subject]) {
	described.Responses = map[string]*huma.Response{"200": eventsOf(routes, message)}
	huma.Register(routes, described, func(ctx context.Context, input *Input) (*huma.StreamResponse, error) {
		subject, err := from.find(ctx, input)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(response huma.Context) {
			response.SetHeader("Content-Type", "text/event-stream")
			response.SetHeader("Cache-Control", "no-store")
			out := newEvents(response)
			err := s.watched(response.Context(), func(ctx context.Context) error {
				defer out.keepAlive()()
				return from.read(ctx, subject, input, out.send)
			}, func(ctx context.Context) error {
				_, err := from.find(ctx, input)
				return err
			})
			if models.AsError(err) != nil {
				err = out.problem(s.problem(response.Context(), err).Problem)
			}
			s.quiet(response.Context(), err)
		}}, nil
	})
}

// watched runs read for as long as its reader is allowed to. It returns why they
// no longer are, or else what read does.
func (s *server) watched(ctx context.Context, read, allowed func(context.Context) error) error {
	limited, end := context.WithCancelCause(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { end(s.watch(limited, allowed)) })
	err := read(limited)
	refused := models.AsError(context.Cause(limited))
	end(nil)
	watcher.Wait()
	if refused != nil {
		return refused
	}
	return err
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

// events writes server-sent events.
type events struct {
	mu    sync.Mutex
	to    io.Writer
	flush flusher
}

// flusher is what a stream needs of http.ResponseController.
type flusher interface {
	Flush() error
	SetWriteDeadline(deadline time.Time) error
}

func newEvents(response huma.Context) *events {
	to := response.BodyWriter().(http.ResponseWriter) // what gin gives every handler
	out := &events{to: to, flush: http.NewResponseController(to)}
	_ = out.flush.Flush() // the reader learns at once that it is let in
	return out
}

func (e *events) send(id int64, event any) error {
	name := ""
	if id > 0 {
		name = fmt.Sprintf("id: %d\n", id)
	}
	return e.write(name, event)
}

func (e *events) problem(problem v1.Problem) error { return e.write("event: problem\n", problem) }

func (e *events) write(head string, event any) error {
	data, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return e.print(fmt.Sprintf("%sdata: %s\n\n", head, data))
}

func (e *events) print(text string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	// A connection without deadlines blocks for as long as its reader does.
	_ = e.flush.SetWriteDeadline(time.Now().Add(eventPatience))
	if _, err := io.WriteString(e.to, text); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	return e.flush.Flush()
}

// keepAlive sends a comment every now and then, until the function that it returns is
// called.
func (e *events) keepAlive() (end func()) {
	ended := make(chan struct{})
	var keeper sync.WaitGroup
	keeper.Go(func() {
		ticker := time.NewTicker(aliveEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			if e.print(": alive\n\n") != nil { // whoever sends an event learns it too
				return
			}
		}
	})
	return func() {
		close(ended)
		keeper.Wait()
	}
}

// eventsOf describes a stream of such messages.
func eventsOf(routes huma.API, message any) *huma.Response {
	schemas := routes.OpenAPI().Components.Schemas
	of := func(name string, data any) *huma.Schema {
		return &huma.Schema{
			Title: "Event " + name, Type: huma.TypeObject, Required: []string{"data"},
			Properties: map[string]*huma.Schema{
				"id":    {Type: huma.TypeInteger, Description: "Where to go on: send it as Last-Event-ID"},
				"event": {Type: huma.TypeString, Enum: []any{name}},
				"data":  schemas.Schema(reflect.TypeOf(data), true, name),
			},
		}
	}
	return &huma.Response{
		Description: "Server-sent events. An event \"problem\" is the last: it says why the stream ended",
		Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{
			Type: huma.TypeArray, Items: &huma.Schema{OneOf: []*huma.Schema{of("message", message), of("problem", problem{})}},
		}}},
	}
}
