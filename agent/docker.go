package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/errdefs"
	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"golang.org/x/sync/errgroup"
)

// The labels that make Docker our database.
const (
	labelApp       = "sky.app"
	labelAppID     = "sky.app-id"
	labelInstance  = "sky.instance"
	labelRelease   = "sky.release"
	labelReleaseID = "sky.release-id"
	labelProcess   = "sky.process"
	labelOrdinal   = "sky.ordinal"
	labelPort      = "sky.port"
	labelNode      = "sky.node"
	labelAttended  = "sky.attended" // it waits for a terminal
)

// engineTimeout bounds calls that Docker answers at once when it is well.
const engineTimeout = 20 * time.Second

// docker is the engine interface over a Docker daemon.
type docker struct {
	client  *client.Client
	node    string
	images  *imageDoor // to the control plane's registry; nil is none
	subnet  sync.Mutex // one network is created at a time
	agreed  atomic.Bool
	agreeMu sync.Mutex
}

// newDocker connects lazily; an engine that is away shows in each call.
func newDocker(host, node string) (*docker, error) {
	options := []client.Opt{client.FromEnv}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	api, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("configure docker client: %w", err)
	}
	return &docker{client: api, node: node}, nil
}

// agree settles the version of the API with the daemon, before the first call.
// The SDK would do it too, but without a lock.
func (d *docker) agree(ctx context.Context) error {
	if d.agreed.Load() {
		return nil
	}
	d.agreeMu.Lock()
	defer d.agreeMu.Unlock()
	if d.agreed.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	ping, err := d.client.Ping(ctx)
	if err != nil {
		return dockerError("agree on an API version", err)
	}
	d.client.NegotiateAPIVersionPing(ping)
	d.agreed.Store(true)
	return nil
}

// Close ends idle connections to the daemon.
func (d *docker) Close() error { return d.client.Close() }

// Check implements engine: whatever Instances need is asked for with each.
func (d *docker) Check(context.Context) error { return nil }

// Version implements engine.
func (d *docker) Version(ctx context.Context) (string, error) {
	if err := d.agree(ctx); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	version, err := d.client.ServerVersion(ctx)
	if err != nil {
		return "", dockerError("ask engine version", err)
	}
	return version.Version, nil
}

// mine selects what belongs to this Node.
func (d *docker) mine() filters.Args {
	return filters.NewArgs(filters.Arg("label", labelNode+"="+d.node))
}

// ofApp selects what belongs to an App on this Node.
func (d *docker) ofApp(appID string) filters.Args {
	wanted := d.mine()
	wanted.Add("label", labelAppID+"="+appID)
	return wanted
}

// Apps implements engine.
func (d *docker) Apps(ctx context.Context) ([]string, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	containers, err := d.client.ContainerList(ctx, containertypes.ListOptions{All: true, Filters: d.mine()})
	if err != nil {
		return nil, dockerError("list containers", err)
	}
	networks, err := d.client.NetworkList(ctx, network.ListOptions{Filters: d.mine()})
	if err != nil {
		return nil, dockerError("list networks", err)
	}
	var apps []string
	for _, c := range containers {
		apps = append(apps, c.Labels[labelAppID])
	}
	for _, n := range networks {
		apps = append(apps, n.Labels[labelAppID])
	}
	slices.Sort(apps)
	return slices.Compact(apps), nil
}

// List implements engine. A container that goes while it is listed is left
// out; any other failure fails the whole list.
func (d *docker) List(ctx context.Context, appID string) ([]container, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	summaries, err := d.client.ContainerList(ctx, containertypes.ListOptions{All: true, Filters: d.ofApp(appID)})
	if err != nil {
		return nil, dockerError("list containers", err)
	}
	ids := make([]string, len(summaries))
	for i, summary := range summaries {
		ids[i] = summary.ID
	}
	return inspectAll(ctx, ids, d.Inspect)
}

// inspectAll leaves out what is gone.
func inspectAll(ctx context.Context, ids []string, inspect func(context.Context, string) (container, error)) ([]container, error) {
	found := make([]container, len(ids))
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, id := range ids {
		group.Go(func() (err error) {
			found[i], err = inspect(groupCtx, id)
			if errors.Is(err, errGone) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return present(found), nil
}

// present drops the entries of containers that went meanwhile.
func present(found []container) []container {
	kept := found[:0]
	for _, c := range found {
		if c.ID != "" {
			kept = append(kept, c)
		}
	}
	return kept
}

// Inspect implements engine.
func (d *docker) Inspect(ctx context.Context, id string) (container, error) {
	if err := d.agree(ctx); err != nil {
		return container{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	answer, err := d.client.ContainerInspect(ctx, id)
	if err != nil {
		return container{}, dockerError("inspect container", err)
	}
	return containerFrom(answer), nil
}

// containerFrom translates Docker's answer.
func containerFrom(answer containertypes.InspectResponse) container {
	labels := answer.Config.Labels
	c := container{
		ID:       answer.ID,
		Instance: labels[labelInstance],
		AppID:    labels[labelAppID],
		App:      labels[labelApp],
		Process:  labels[labelProcess],
		Ordinal:  number(labels[labelOrdinal]),
		Port:     number(labels[labelPort]),
		ImageID:  answer.Image,
		State:    runExited,
		Promoted: answer.HostConfig.RestartPolicy.IsUnlessStopped(),
		PID:      answer.State.Pid,
		ExitCode: answer.State.ExitCode,
		OOM:      answer.State.OOMKilled,
		Memory:   answer.HostConfig.Memory,
		Restarts: answer.RestartCount,
		Attended: labels[labelAttended] != "",
	}
	if state := runState(answer.State.Status); state == runCreated || state == runRunning || state == runRestarting {
		c.State = state
	}
	c.StartedAt, _ = time.Parse(time.RFC3339Nano, answer.State.StartedAt)
	c.CreatedAt, _ = time.Parse(time.RFC3339Nano, answer.Created)
	for _, endpoint := range answer.NetworkSettings.Networks {
		c.Address = endpoint.IPAddress
	}
	c.Health, c.HealthOutput = verdict(answer.State.Health)
	return c
}

// verdict reads the image's health check; "none" and no check are the same.
func verdict(health *containertypes.Health) (status, output string) {
	if health == nil || health.Status == containertypes.NoHealthcheck {
		return "", ""
	}
	if last := len(health.Log) - 1; last >= 0 {
		output = strings.TrimSpace(health.Log[last].Output)
	}
	return health.Status, output
}

// Start implements engine. Starting what runs is fine.
func (d *docker) Start(ctx context.Context, id string) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	if err := d.client.ContainerStart(ctx, id, containertypes.StartOptions{}); err != nil {
		return dockerError("start container", err)
	}
	return nil
}

// Promote implements engine.
func (d *docker) Promote(ctx context.Context, id string) error {
	return d.restartPolicy(ctx, id, containertypes.RestartPolicyUnlessStopped)
}

func (d *docker) restartPolicy(ctx context.Context, id string, mode containertypes.RestartPolicyMode) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	change := containertypes.UpdateConfig{RestartPolicy: containertypes.RestartPolicy{Name: mode}}
	if _, err := d.client.ContainerUpdate(ctx, id, change); err != nil {
		return dockerError("set restart policy", err)
	}
	return nil
}

// Stop implements engine. The mark goes first: a container that crashes while
// it is told to stop must not come back.
func (d *docker) Stop(ctx context.Context, id string) error {
	err := d.restartPolicy(ctx, id, containertypes.RestartPolicyDisabled)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.stopGrace(ctx, id)+engineTimeout)
	defer cancel()
	err = d.client.ContainerStop(ctx, id, containertypes.StopOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return dockerError("stop container", err)
	}
	return nil
}

// stopGrace is how long the engine waits between SIGTERM and SIGKILL: what the
// container was created with, or the engine's own ten seconds.
func (d *docker) stopGrace(ctx context.Context, id string) time.Duration {
	const engines = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	inspected, err := d.client.ContainerInspect(ctx, id)
	if err != nil || inspected.Config == nil || inspected.Config.StopTimeout == nil {
		return engines
	}
	return time.Duration(*inspected.Config.StopTimeout) * time.Second
}

// Remove implements engine.
func (d *docker) Remove(ctx context.Context, id string) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*engineTimeout)
	defer cancel()
	err := d.client.ContainerRemove(ctx, id, containertypes.RemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	if errdefs.IsConflict(err) { // somebody removes it already: wait until it is gone
		return d.awaitRemoval(ctx, id)
	}
	return dockerError("remove container", err)
}

func (d *docker) awaitRemoval(ctx context.Context, id string) error {
	removed, failed := d.client.ContainerWait(ctx, id, containertypes.WaitConditionRemoved)
	select {
	case <-removed:
		return nil
	case err := <-failed:
		if errdefs.IsNotFound(err) {
			return nil
		}
		return dockerError("wait for removal", err)
	}
}

// dockerError adds the step, and says which kind of failure it is.
func dockerError(step string, err error) error {
	switch {
	case errdefs.IsNotFound(err):
		err = errors.Join(errGone, err)
	case client.IsErrConnectionFailed(err), errors.Is(err, io.EOF), errdefs.IsUnavailable(err):
		err = fmt.Errorf("%w: %w", errAway, err)
	case errdefs.IsInvalidArgument(err):
		err = fmt.Errorf("%w: %w", errRefused, err)
	}
	return fmt.Errorf("%s: %w", step, err)
}

// number reads a label that we wrote ourselves; 0 when somebody else did.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
