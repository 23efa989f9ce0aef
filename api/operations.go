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

func (s *server) operations(routes huma.API) {
	huma.Register(routes, operation(http.MethodPost, appPath+"/scale", "scale-app", "Set instance counts", models.AppDeploy), s.scale)
	verbs := map[string]func(context.Context, models.Actor, models.App, rollout.Log) error{
		"restart": s.Platform.Restart, "stop": s.Platform.StopApp, "start": s.Platform.StartApp,
	}
	for _, verb := range []string{"restart", "stop", "start"} {
		run := verbs[verb]
		huma.Register(routes, operation(http.MethodPost, appPath+"/"+verb, verb+"-app", strings.ToUpper(verb[:1])+verb[1:]+" an app", models.AppDeploy),
			func(ctx context.Context, input *AppInput) (*body[v1.Outcome], error) {
				app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
				if err != nil {
					return nil, s.problem(ctx, err)
				}
				told := &story{}
				return told.answer(ctx, s, "", run(ctx, actor(ctx), app, told))
			})
	}
}

func (s *server) scale(ctx context.Context, input *struct {
	AppInput
	Body v1.Scale
}) (*body[v1.Outcome], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	told := &story{}
	err = s.Platform.Scale(ctx, actor(ctx), app, input.Body.Formation, told)
	return told.answer(ctx, s, "", err)
}
