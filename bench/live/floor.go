package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/docker/docker/client"
	"github.com/skypanel/sky/bench/internal/lab"
)

// floor is what nobody can beat who builds with Docker and runs with Docker.
type floor struct {
	docker  lab.Docker
	dir     string
	tag     string
	command []string
	text    string // the greeting as it is now
	built   int
	running []string
}

// floorPhases are a build, a plain `docker run`, and one with the limits that
// Sky sets; each run until the first answer.
type floorPhases struct{ build, run, limited time.Duration }

const floorPort = "8080"

// limits are what Sky gives every instance, as docker run writes it.
func (f *floor) limits() []string {
	return []string{
		"--network", f.tag, "--init", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
		"--security-opt", "no-new-privileges:true", "--memory", "512m", "--memory-swap", "512m",
		"--cpus", "1", "--pids-limit", "256", "--ulimit", "nofile=4096:8192",
	}
}

func (f *floor) prepare(ctx context.Context, dockerfile, example string) error {
	if _, err := f.docker.Run(ctx, "network", "create", f.tag); err != nil {
		return err
	}
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
	if _, err := f.docker.Run(ctx, append(build, f.dir)...); err != nil {
		return floorPhases{}, err
	}
	measured := floorPhases{build: time.Since(started)}
	var err error
	if measured.run, err = f.start(ctx, image, nil); err != nil {
		return floorPhases{}, err
	}
	measured.limited, err = f.start(ctx, image, f.limits())
	return measured, err
}

// start runs the image, waits for the answer and takes the container away, so
// that the machine is quiet for the next turn.
func (f *floor) start(ctx context.Context, image string, options []string) (time.Duration, error) {
	started := time.Now()
	arguments := slices.Concat([]string{"run", "-d", "-e", "PORT=" + floorPort}, options, []string{image}, f.command)
	container, err := f.docker.Run(ctx, arguments...)
	if err != nil {
		return 0, err
	}
	f.running = append(f.running, container)
	answered, err := awaitContainer(ctx, container, f.text)
	if err != nil {
		return 0, err
	}
	return answered.Sub(started), f.stop(ctx)
}

func (f *floor) stop(ctx context.Context) error {
	if len(f.running) == 0 {
		return nil
	}
	_, err := f.docker.Run(ctx, append([]string{"rm", "-f"}, f.running...)...)
	f.running = nil
	return err
}

// clean removes containers, images and the network.
func (f *floor) clean(ctx context.Context) error {
	errs := []error{f.stop(ctx)}
	for number := range f.built {
		_, err := f.docker.Run(ctx, "rmi", "-f", fmt.Sprintf("%s:%d", f.tag, number+1))
		errs = append(errs, err)
	}
	_, err := f.docker.Run(ctx, "network", "rm", f.tag)
	return errors.Join(append(errs, err)...)
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
	address := ""
	for _, endpoint := range found.NetworkSettings.Networks {
		address = net.JoinHostPort(endpoint.IPAddress, floorPort)
	}
	ask := func(ctx context.Context) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
	}
	return lab.Await(ctx, ask, text)
}
