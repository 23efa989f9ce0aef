package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing/fstest"
	"time"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
)

// hog is an app whose build takes what it can.
type hog struct {
	builder *buildpipeline.Builder
	app     models.App
	memory  int // MB
	cancel  context.CancelFunc
	ended   chan struct{}
	failure error // once ended is closed
}

//go:embed hog.py
var program string

// begun is what the program prints once it is busy.
const begun = "busy"

func newHog(memory int) (*hog, error) {
	builder, err := buildpipeline.New(buildpipeline.Config{})
	return &hog{builder: builder, app: models.App{ID: models.NewID(), Name: "bench-hog"}, memory: memory}, err
}

// begin starts a build and blocks until its step is busy.
func (h *hog) begin(ctx context.Context, limits buildpipeline.Limits) error {
	ctx, h.cancel = context.WithCancel(ctx)
	h.ended = make(chan struct{})
	log := &signal{busy: make(chan struct{})}
	go func() {
		defer close(h.ended)
		_, h.failure = h.builder.Build(ctx, buildpipeline.Job{
			App: h.app.Name, AppID: h.app.ID, Number: 1, Commit: "bench", Log: log, Limits: limits,
			Files:    fstest.MapFS{"Dockerfile": {Data: []byte(h.dockerfile()), Mode: 0o644, ModTime: time.Now()}},
			Runtimes: []models.Runtime{{Type: "docker", Version: "1", Active: true}},
		})
	}()
	select {
	case <-log.busy:
		return nil
	case <-h.ended:
		return fmt.Errorf("the build ended early: %w", h.failure)
	}
}

// dockerfile runs the program with two processes for each CPU.
func (h *hog) dockerfile() string {
	return fmt.Sprintf("FROM sky-stack/python-run:3.11\nCOPY <<'EOF' /hog.py\n%sEOF\nRUN : %d; exec python3 -u /hog.py %d %d\n",
		program, time.Now().UnixNano(), h.memory, 2*runtime.NumCPU())
}

// alive is an error when the build ended by itself.
func (h *hog) alive() error {
	select {
	case <-h.ended:
		return fmt.Errorf("the build ended early: %w", h.failure)
	default:
		return nil
	}
}

// end stops the build and waits for that.
func (h *hog) end() {
	h.cancel()
	<-h.ended
}

func (h *hog) close(ctx context.Context) error {
	return errors.Join(h.builder.RemoveImages(ctx, h.app), h.builder.Close())
}

// signal is a Log that tells when the step is busy.
type signal struct {
	once sync.Once
	busy chan struct{}
}

// Say implements buildpipeline.Log.
func (*signal) Say(string, ...any) {}

// Detail implements buildpipeline.Log.
func (s *signal) Detail(text string) {
	if strings.TrimSpace(text) == begun {
		s.once.Do(func() { close(s.busy) })
	}
}
