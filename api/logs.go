package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/sse"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
)

// LogInput is a request for a log, from the start or behind a line.
type LogInput struct {
	Follow      bool  `query:"follow" doc:"Wait for more"`
	LastEventID int64 `header:"Last-Event-ID" minimum:"0" doc:"Continue behind this line"`
}

func (s *server) logs(routes huma.API) {
	events := map[string]any{"message": v1.LogLine{}}
	build := operation(http.MethodGet, appPath+"/builds/{number}/logs", "build-log", "Read and follow a build's log", models.AppRead)
	sse.Register(routes, build, events, s.buildLog)
	app := operation(http.MethodGet, appPath+"/logs", "app-log", "Read and follow what an app's instances print", models.AppRead)
	sse.Register(routes, app, events, s.appLog)
}

func (s *server) buildLog(ctx context.Context, input *struct {
	BuildInput
	LogInput
}, send sse.Sender) {
	build, err := s.build(ctx, &input.BuildInput)
	if err != nil {
		s.sendError(ctx, send, err)
		return
	}
	err = s.Platform.BuildLog(ctx, build, input.LastEventID, input.Follow, func(entry logs.Entry) error {
		return sendEntry(send, entry)
	})
	s.quiet(ctx, err)
}

func (s *server) appLog(ctx context.Context, input *struct {
	AppInput
	LogInput
	Lines int `query:"lines" minimum:"0" maximum:"10000" default:"100" doc:"How many of the last lines, without Last-Event-ID"`
}, send sse.Sender) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		s.sendError(ctx, send, err)
		return
	}
	offset := input.LastEventID
	if offset == 0 {
		if offset, err = s.Platform.AppLogTail(ctx, app, input.Lines); err != nil {
			s.sendError(ctx, send, err)
			return
		}
	}
	err = s.Platform.AppLog(ctx, app, offset, input.Follow, func(entry logs.Entry) error {
		return sendEntry(send, entry)
	})
	s.quiet(ctx, err)
}

func sendEntry(send sse.Sender, entry logs.Entry) error {
	return send(sse.Message{ID: int(entry.Offset), Data: v1.LogLine{
		Offset: entry.Offset, Time: entry.Time, Kind: string(entry.Kind), Source: entry.Source, Text: entry.Text,
	}})
}

// sendError ends a stream that could not begin: its status is sent already.
func (s *server) sendError(ctx context.Context, send sse.Sender, err error) {
	problem := s.problem(ctx, err)
	_ = send.Data(v1.LogLine{Kind: string(logs.End), Text: problem.Detail, Code: problem.Code, Remedy: problem.Remedy})
}

// quiet logs why a stream broke, unless the reader just left.
func (s *server) quiet(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.Debug("log stream ended", "error", err)
	}
}
