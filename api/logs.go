package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
)

// LogInput is a request for a log, from the start or behind a line.
type LogInput struct {
	Follow      bool  `query:"follow" doc:"Wait for more"`
	LastEventID int64 `header:"Last-Event-ID" minimum:"0" doc:"Continue behind this line"`
}

// BuildLogInput asks for a Build's log.
type BuildLogInput struct {
	BuildInput
	LogInput
}

// AppLogInput asks for what an App's Instances print.
type AppLogInput struct {
	AppInput
	LogInput
	Lines int `query:"lines" minimum:"0" maximum:"10000" default:"100" doc:"How many of the last lines, without Last-Event-ID"`
}

func (s *server) logs(routes huma.API) {
	build := operation(http.MethodGet, appPath+"/builds/{number}/logs", "build-log", "Read and follow a build's log", models.AppRead)
	stream(s, routes, build, v1.LogLine{}, source[BuildLogInput, models.Build]{
		find: func(ctx context.Context, input *BuildLogInput) (models.Build, error) {
			return s.build(ctx, &input.BuildInput)
		},
		read: s.buildLog,
	})
	app := operation(http.MethodGet, appPath+"/logs", "app-log", "Read and follow what an app's instances print", models.AppRead)
	stream(s, routes, app, v1.LogLine{}, source[AppLogInput, models.App]{
		find: func(ctx context.Context, input *AppLogInput) (models.App, error) {
			return s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
		},
		read: s.appLog,
	})
}

func (s *server) buildLog(ctx context.Context, build models.Build, input *BuildLogInput, send sender) error {
	return s.Platform.BuildLog(ctx, build, input.LastEventID, input.Follow, sendEntry(send))
}

func (s *server) appLog(ctx context.Context, app models.App, input *AppLogInput, send sender) error {
	offset := input.LastEventID
	if offset == 0 {
		var err error
		if offset, err = s.Platform.AppLogTail(ctx, app, input.Lines); err != nil {
			return err
		}
	}
	return s.Platform.AppLog(ctx, app, offset, input.Follow, sendEntry(send))
}

func sendEntry(send sender) func(logs.Entry) error {
	return func(entry logs.Entry) error {
		return send(entry.Offset, v1.LogLine{
			Offset: entry.Offset, Time: entry.Time, Kind: string(entry.Kind), Source: entry.Source, Text: entry.Text,
		})
	}
}

// quiet logs why a stream broke, unless the reader just left.
func (s *server) quiet(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		s.Log.Debug("stream ended", "error", err)
	}
}
