package main

import (
	"context"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
)

// sky builds as a push does, without limits of a plan.
type sky struct {
	contest *contest
	app     models.App
	number  int
}

func newSky(c *contest) *sky {
	return &sky{contest: c, app: models.App{Name: "bench-build-" + c.app.name}}
}

func (*sky) name() string { return "sky" }

// begin makes a new App: caches belong to one.
func (s *sky) begin() error {
	s.app.ID = models.NewID()
	return nil
}

func (s *sky) build(ctx context.Context, files map[string]string, fresh bool) (string, error) {
	s.number++
	result, err := s.contest.builder.Build(ctx, buildpipeline.Job{
		App: s.app.Name, AppID: s.app.ID, Number: s.number, Commit: "bench", Files: show(files),
		Runtimes: []models.Runtime{s.contest.stack}, ClearCache: fresh, Log: quiet{},
	})
	return result.Image, err
}

func (s *sky) clean(ctx context.Context) error { return s.contest.builder.RemoveImages(ctx, s.app) }

// quiet is a Log that nobody reads.
type quiet struct{}

// Say implements buildpipeline.Log.
func (quiet) Say(string, ...any) {}

// Detail implements buildpipeline.Log.
func (quiet) Detail(string) {}
