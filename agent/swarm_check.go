package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	containertypes "github.com/docker/docker/api/types/container"
	imagetypes "github.com/docker/docker/api/types/image"
	swarmtypes "github.com/docker/docker/api/types/swarm"
	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/api/types/versions"
)

const (
	// isolatingAPI is the first whose services have capabilities, ulimits and a limit
	// of processes, tellingAPI the first that tells of no-new-privileges, and
	// confiningAPI the first whose services have that.
	isolatingAPI = "1.41"
	tellingAPI   = "1.43"
	confiningAPI = "1.44"
	// checkName begins the name of the container, and the image, that confined makes.
	checkName = "sky-swarm-check"
)

// Check implements engine: this machine is an active manager of a Swarm, and its
// engine isolates services as it does containers.
func (s *swarm) Check(ctx context.Context) error {
	_, err := s.check(ctx)
	return err
}

// check returns this Node's ID in the Swarm, and keeps it for here.
func (s *swarm) check(ctx context.Context) (string, error) {
	s.member.Store(nil)
	if err := s.agree(ctx); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	info, err := s.client.Info(ctx)
	if err != nil {
		return "", dockerError("ask for the swarm", err)
	}
	if err := unfit(info.Swarm); err != nil {
		return "", err
	}
	if err := s.isolates(ctx, info); err != nil {
		return "", err
	}
	s.member.Store(&info.Swarm.NodeID)
	return info.Swarm.NodeID, nil
}

// isolates fails where a service would have more rights than a container.
func (s *swarm) isolates(ctx context.Context, info system.Info) error {
	version := s.client.ClientVersion()
	if versions.LessThan(version, isolatingAPI) {
		return fmt.Errorf("%w: its API %s cannot isolate services: install Docker 20.10 or newer", errRefused, version)
	}
	if !versions.LessThan(version, confiningAPI) {
		return nil
	}
	confined, err := s.confined(ctx, info, version)
	if err == nil && !confined {
		err = fmt.Errorf("%w: before Docker 25 services can gain privileges unless the engine forbids it: set \"no-new-privileges\": true in /etc/docker/daemon.json, and restart Docker", errRefused)
	}
	return wrap("see whether services may gain privileges", err)
}

// unfit says what keeps a machine from running services by itself.
func unfit(here swarmtypes.Info) error {
	switch {
	case here.LocalNodeState == swarmtypes.LocalNodeStateInactive:
		return fmt.Errorf("%w: this machine is in no swarm: `docker swarm init` makes one, and `docker swarm join` makes it a manager of another", errRefused)
	case here.LocalNodeState == swarmtypes.LocalNodeStatePending: // as after its start, or without a quorum
		return fmt.Errorf("%w: this machine's part of its swarm has not begun yet", errAway)
	case here.LocalNodeState != swarmtypes.LocalNodeStateActive:
		return fmt.Errorf("%w: this machine's part of its swarm is %s: %s (`docker swarm unlock` opens one that is locked)", errRefused, here.LocalNodeState, here.Error)
	case !here.ControlAvailable:
		return fmt.Errorf("%w: this machine is no manager of its swarm: run `docker node promote %s` on one", errRefused, here.NodeID)
	case forgetful(here.Cluster):
		return fmt.Errorf("%w: its swarm forgets how tasks ended: run `docker swarm update --task-history-limit 5`", errRefused)
	}
	return nil
}

// forgetful says of a swarm that it may not keep a task that ended beside the next one.
func forgetful(cluster *swarmtypes.ClusterInfo) bool {
	if cluster == nil {
		return false
	}
	kept := cluster.Spec.Orchestration.TaskHistoryRetentionLimit
	return kept != nil && *kept < 2
}

// here is this Node's ID in the Swarm, once Check has found it fit.
func (s *swarm) here(ctx context.Context) (string, error) {
	if id := s.member.Load(); id != nil {
		return *id, nil
	}
	return s.check(ctx)
}

// confined says whether the engine forbids all containers to gain privileges. One that
// does not tell shows it by a container that never runs, in a file whose form is
// settled: later engines tell.
func (s *swarm) confined(ctx context.Context, info system.Info, version string) (bool, error) {
	if !versions.LessThan(version, tellingAPI) {
		return slices.Contains(info.SecurityOptions, "name=no-new-privileges"), nil
	}
	name := checkName + "-" + strings.ToLower(rand.Text())
	id, err := s.makeIdle(ctx, name)
	defer s.removeIdle(context.WithoutCancel(ctx), name)
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(filepath.Join(info.DockerRootDir, "containers", id, "config.v2.json"))
	if err != nil {
		return false, err
	}
	var kept struct{ NoNewPrivileges bool }
	err = json.Unmarshal(text, &kept)
	return kept.NoNewPrivileges, err
}

// makeIdle makes a container of an empty image, both of this name.
func (s *swarm) makeIdle(ctx context.Context, name string) (string, error) {
	var nothing bytes.Buffer
	if err := tar.NewWriter(&nothing).Close(); err != nil {
		return "", err
	}
	progress, err := s.client.ImageImport(ctx, imagetypes.ImportSource{Source: &nothing, SourceName: "-"}, name, imagetypes.ImportOptions{})
	if err != nil {
		return "", dockerError("import an empty image", err)
	}
	defer func() { _ = progress.Close() }()
	if err := pullOutcome(progress); err != nil {
		return "", err
	}
	created, err := s.client.ContainerCreate(ctx, &containertypes.Config{Image: name, Cmd: []string{"none"}}, nil, nil, nil, name)
	if err != nil {
		return "", dockerError("create an idle container", err)
	}
	return created.ID, nil
}

// removeIdle does what it can: what is left holds nothing and never runs.
func (s *swarm) removeIdle(ctx context.Context, name string) {
	_ = s.client.ContainerRemove(ctx, name, containertypes.RemoveOptions{Force: true})
	_, _ = s.client.ImageRemove(ctx, name, imagetypes.RemoveOptions{})
}
