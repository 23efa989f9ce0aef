package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
)

// story keeps what an operation tells, for its answer.
type story struct {
	mu    sync.Mutex
	lines []string
}

// Say implements rollout.Log.
func (t *story) Say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		t.lines = append(t.lines, narrative.Clean(line)) // an app's last words may be among them
	}
}

// Detail implements rollout.Log; an answer has no room for it.
func (t *story) Detail(string) {}

// answer returns the story. When the operation failed, it is told as part of
// the error: the last lines of an instance are the reason why.
func (t *story) answer(ctx context.Context, s *server, release string, err error) (*body[v1.Outcome], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		problem := s.problem(ctx, err)
		if told := strings.TrimSpace(strings.Join(t.lines, "\n")); told != "" && problem.Status < http.StatusInternalServerError {
			problem.Detail += "\n" + told
		}
		return nil, problem
	}
	if t.lines == nil {
		t.lines = []string{}
	}
	return &body[v1.Outcome]{v1.Outcome{Release: release, Log: t.lines}}, nil
}

// operate runs what an operation does with an App of which the actor may have it
// done, and answers with what it told. run returns the Release's name, where
// there is one.
func (s *server) operate(ctx context.Context, name string, action models.Action, run func(app models.App, log rollout.Log) (string, error)) (*body[v1.Outcome], error) {
	app, err := s.Platform.App(ctx, actor(ctx), action, name)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	told := &story{}
	release, err := run(app, told)
	return told.answer(ctx, s, release, err)
}

func (s *server) operations(routes huma.API) {
	huma.Register(routes, operation(http.MethodPost, appPath+"/scale", "scale-app", "Set instance counts", models.AppDeploy), s.scale)
	verbs := map[string]func(context.Context, models.Actor, models.App, rollout.Log) error{
		"restart": s.Platform.Restart, "stop": s.Platform.StopApp, "start": s.Platform.StartApp,
	}
	for _, verb := range []string{"restart", "stop", "start"} {
		run := verbs[verb]
		huma.Register(routes, operation(http.MethodPost, appPath+"/"+verb, verb+"-app", strings.ToUpper(verb[:1])+verb[1:]+" an app", models.AppDeploy),
			func(ctx context.Context, input *AppInput) (*body[v1.Outcome], error) {
				return s.operate(ctx, input.App, models.AppDeploy, func(app models.App, log rollout.Log) (string, error) {
					return "", run(ctx, actor(ctx), app, log)
				})
			})
	}
}

func (s *server) scale(ctx context.Context, input *struct {
	AppInput
	Body v1.Scale
}) (*body[v1.Outcome], error) {
	return s.operate(ctx, input.App, models.AppDeploy, func(app models.App, log rollout.Log) (string, error) {
		return "", s.Platform.Scale(ctx, actor(ctx), app, input.Body.Formation, log)
	})
}
