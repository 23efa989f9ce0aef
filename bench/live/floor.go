package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/docker/docker/client"
	"github.com/skypanel/sky/bench/internal/lab"
)

// floor is what nobody can beat who builds with Docker and runs with Docker.
type floor struct {
	docker  docker
	dir     string
	tag     string
	command []string
	text    string // the greeting as it is now
	built   int
	running []string
}

type floorPhases struct{ build, run time.Duration }

const floorPort = "8080"

func (f *floor) prepare(dockerfile, example string) error {
	if err := os.CopyFS(f.dir, os.DirFS(example)); err != nil {
		return err
	}
	return os.WriteFile(f.dockerfile(), []byte(dockerfile), 0o644)
}

// dockerfile lies beside the context, not in it: it is not part of the app.
func (f *floor) dockerfile() string { return f.dir + ".Dockerfile" }

// measure makes the change, builds, runs and waits for the answer.
func (f *floor) measure(ctx context.Context, file, text string) (floorPhases, error) {
	if err := lab.Replace(filepath.Join(f.dir, file), f.text, text); err != nil {
		return floorPhases{}, err
	}
	f.text = text
	f.built++
	image := fmt.Sprintf("%s:%d", f.tag, f.built)
	started := time.Now()
	build := []string{"build", "-q", "-t", image, "-f", f.dockerfile()}
	if ca := os.Getenv("SKY_EXTRA_CA"); ca != "" {
		build = append(build, "--secret", "id=sky-ca,src="+ca)
	}
	if _, err := f.docker.run(ctx, append(build, f.dir)...); err != nil {
		return floorPhases{}, err
	}
	built := time.Now()
	container, err := f.docker.run(ctx, append([]string{"run", "-d", "-e", "PORT=" + floorPort, image}, f.command...)...)
	if err != nil {
		return floorPhases{}, err
	}
	f.running = append(f.running, container)
	answered, err := awaitContainer(ctx, container, text)
	if err != nil {
		return floorPhases{}, err
	}
	if err := f.stop(ctx); err != nil { // the machine is quiet again for the next turn
		return floorPhases{}, err
	}
	return floorPhases{built.Sub(started), answered.Sub(built)}, nil
}

func (f *floor) stop(ctx context.Context) error {
	if len(f.running) == 0 {
		return nil
	}
	_, err := f.docker.run(ctx, append([]string{"rm", "-f"}, f.running...)...)
	f.running = nil
	return err
}

// clean removes containers and images.
func (f *floor) clean(ctx context.Context) error {
	errs := []error{f.stop(ctx)}
	for number := range f.built {
		_, err := f.docker.run(ctx, "rmi", "-f", fmt.Sprintf("%s:%d", f.tag, number+1))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// awaitContainer asks the container at its own address, which is faster than a
// published port.
func awaitContainer(ctx context.Context, container, text string) (time.Time, error) {
	engine, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = engine.Close() }()
	found, err := engine.ContainerInspect(ctx, container)
	if err != nil {
		return time.Time{}, err
	}
	address := net.JoinHostPort(found.NetworkSettings.Networks["bridge"].IPAddress, floorPort)
	ask := func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	}
	return lab.Await(ctx, ask, text)
}
