package buildfarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
)

// builder is what a machine does for the farm.
type builder interface {
	Build(ctx context.Context, job buildpipeline.Job) (buildpipeline.Result, error)
	Adopt(ctx context.Context, job buildpipeline.Job, reference string) (buildpipeline.Result, error)
	RemoveImages(ctx context.Context, app models.App) error
	RetainImages(ctx context.Context, app models.App, keep []string) error
	Sweep(ctx context.Context, budget, perApp int64) error
	HasImage(ctx context.Context, image string) bool
	Packages(ctx context.Context, app models.App, image string) ([]byte, error)
	// Publish pushes an image into the App's repository of the control plane's
	// registry, and returns its manifest's digest.
	Publish(ctx context.Context, image string, app models.ID) (manifest string, err error)
}

// errLost says that a builder went before it answered.
var errLost = errors.New("the builder was lost")

// remote is a builder at the other end of a link.
type remote struct {
	settings Settings
	http     *http.Client
}

// newRemote makes one that dial reaches. Each operation has a connection of its own.
func newRemote(settings Settings, dial func(context.Context) (net.Conn, error)) *remote {
	return &remote{settings: settings, http: &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}
}

// call does one operation. Its error is errLost when no answer comes; what the
// answer says that went wrong is in its ending.
func (r *remote) call(ctx context.Context, operation string, asked request, files fs.FS, log buildpipeline.Log) (ending, error) {
	asked.Settings = r.settings
	body, write := io.Pipe()
	go func() { write.CloseWithError(writeRequest(write, asked, files)) }() // it ends with body, at the latest
	defer func() { _ = body.Close() }()
	posted, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://builder/"+operation, body)
	if err != nil {
		return ending{}, fmt.Errorf("ask the builder: %w", err)
	}
	response, err := r.http.Do(posted)
	if err != nil {
		return ending{}, lost(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return ending{}, fmt.Errorf("ask the builder: it answered %s", response.Status)
	}
	end, err := hear(response.Body, log)
	if err != nil {
		return ending{}, lost(ctx, err)
	}
	return end, end.Error.error()
}

// unreadable is an error of what was to be sent.
type unreadable struct{ error }

// Unwrap returns the error.
func (u unreadable) Unwrap() error { return u.error }

// lost tells an end of the connection from an end of the wish, and from files that
// could not be read.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if ours := (unreadable{}); errors.As(err, &ours) {
		return ours
	}
	return fmt.Errorf("%w: %w", errLost, err)
}

// writeRequest writes until the other end reads no more.
func writeRequest(to io.Writer, asked request, files fs.FS) error {
	err := json.NewEncoder(to).Encode(asked)
	if err == nil && files != nil {
		err = writeFiles(to, files)
	}
	if err != nil {
		return unreadable{fmt.Errorf("send to the builder: %w", err)}
	}
	return nil
}

// quiet is the log of operations that have none.
type quiet struct{}

// Say implements buildpipeline.Log.
func (quiet) Say(string, ...any) {}

// Detail implements buildpipeline.Log.
func (quiet) Detail(string) {}

// Build implements builder.
func (r *remote) Build(ctx context.Context, job buildpipeline.Job) (buildpipeline.Result, error) {
	end, err := r.call(ctx, opBuild, request{Job: job}, job.Files, job.Log)
	return end.Result, err
}

// Adopt implements builder.
func (r *remote) Adopt(ctx context.Context, job buildpipeline.Job, reference string) (buildpipeline.Result, error) {
	end, err := r.call(ctx, opAdopt, request{Job: job, Reference: reference}, nil, job.Log)
	return end.Result, err
}

// RemoveImages implements builder.
func (r *remote) RemoveImages(ctx context.Context, app models.App) error {
	_, err := r.call(ctx, opRemove, request{App: subject{app.ID, app.Name}}, nil, quiet{})
	return err
}

// RetainImages implements builder.
func (r *remote) RetainImages(ctx context.Context, app models.App, keep []string) error {
	_, err := r.call(ctx, opRetain, request{App: subject{app.ID, app.Name}, Keep: keep}, nil, quiet{})
	return err
}

// Sweep implements builder.
func (r *remote) Sweep(ctx context.Context, budget, perApp int64) error {
	_, err := r.call(ctx, opSweep, request{Budget: budget, PerApp: perApp}, nil, quiet{})
	return err
}

// HasImage implements builder.
func (r *remote) HasImage(ctx context.Context, image string) bool {
	end, err := r.call(ctx, opHas, request{Image: image}, nil, quiet{})
	return err == nil && end.Has
}

// Packages implements builder.
func (r *remote) Packages(ctx context.Context, app models.App, image string) ([]byte, error) {
	end, err := r.call(ctx, opPackages, request{App: subject{app.ID, app.Name}, Image: image}, nil, quiet{})
	return end.Document, err
}

// Publish implements builder.
func (r *remote) Publish(ctx context.Context, image string, app models.ID) (string, error) {
	end, err := r.call(ctx, opPublish, request{App: subject{ID: app}, Image: image}, nil, quiet{})
	return end.Manifest, err
}
