package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	containertypes "github.com/docker/docker/api/types/container"
	imagetypes "github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	units "github.com/docker/go-units"

	"github.com/skypanel/sky/agent/protocol"
)

const (
	// plainUser runs images that would start as root without having asked.
	plainUser = "10001:10001"
	// defaultPids bounds processes when the Limits do not.
	defaultPids = 256
	// tmpSize is that of /tmp, which counts as the app's memory.
	tmpSize = 64 << 20
	tmpMode = 0o1777
)

// imageIDPrefix begins the name of an image that was built here: it is in no
// registry.
const imageIDPrefix = "sha256:"

// Pull implements engine. An image that is there is not asked for again: a
// reference by digest cannot change. One that was built elsewhere comes from the
// control plane's registry; one that is gone, and is not there, is errNoImage.
func (d *docker) Pull(ctx context.Context, instance protocol.Instance) error {
	image := instance.Image
	if err := d.agree(ctx); err != nil {
		return err
	}
	if _, err := d.client.ImageInspect(ctx, image); err == nil {
		return nil
	} else if !errdefs.IsNotFound(err) {
		return dockerError("inspect image", err)
	}
	options := imagetypes.PullOptions{}
	switch {
	case instance.Source != "" && d.images != nil:
		image, options.RegistryAuth = d.images.Name(instance.Source), d.images.Auth()
	case strings.HasPrefix(image, imageIDPrefix):
		return errNoImage
	}
	progress, err := d.client.ImagePull(ctx, image, options)
	if err != nil {
		return dockerError("pull image", err)
	}
	defer progress.Close()
	if err := pullOutcome(progress); err != nil {
		return err
	}
	if _, err := d.client.ImageInspect(ctx, instance.Image); err != nil {
		return dockerError("inspect pulled image", err)
	}
	return nil
}

// pullOutcome reads the progress to its end; a failure is one of its entries.
func pullOutcome(progress io.Reader) error {
	for decoder := json.NewDecoder(progress); ; {
		var entry struct {
			Error string `json:"error"`
		}
		if err := decoder.Decode(&entry); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("pull image: %w", err)
		}
		if entry.Error != "" {
			return fmt.Errorf("pull image: %s", entry.Error)
		}
	}
}

// Create implements engine. A container of that name that an agent made
// before it was killed is the same one, and is returned.
func (d *docker) Create(ctx context.Context, instance protocol.Instance) (string, error) {
	if err := d.agree(ctx); err != nil {
		return "", err
	}
	image, err := d.image(ctx, instance)
	if err != nil {
		return "", err
	}
	net, err := d.ensureNetwork(ctx, instance)
	if err != nil {
		return "", err
	}
	return d.createContainer(ctx, instance, image, net)
}

func (d *docker) createContainer(ctx context.Context, instance protocol.Instance, image imageFacts, net string) (string, error) {
	name := containerName(instance)
	created, err := d.client.ContainerCreate(ctx, containerConfig(instance, d.node, image.user), hostConfig(instance, net),
		&network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{net: {Aliases: []string{instance.Process}}}}, nil, name)
	if errdefs.IsConflict(err) {
		existing, inspectErr := d.client.ContainerInspect(ctx, name)
		if inspectErr == nil && existing.Config.Labels[labelInstance] == instance.ID && existing.Config.Labels[labelNode] == d.node {
			return existing.ID, nil
		}
	}
	if err != nil {
		return "", dockerError("create container", err)
	}
	return created.ID, nil
}

// imageFacts is what an Instance's container depends on in its image.
type imageFacts struct{ id, user string }

func (d *docker) image(ctx context.Context, instance protocol.Instance) (imageFacts, error) {
	image, err := d.client.ImageInspect(ctx, instance.Image)
	if err != nil {
		return imageFacts{}, dockerError("inspect image", err)
	}
	facts := imageFacts{id: image.ID}
	if image.Config != nil {
		facts.user = image.Config.User
	}
	return facts, nil
}

// containerConfig is what the process itself sees.
func containerConfig(instance protocol.Instance, node, imageUser string) *containertypes.Config {
	grace := int((instance.StopGrace + time.Second - 1) / time.Second)
	config := &containertypes.Config{
		Image:       instance.Image,
		Env:         environment(instance),
		User:        containerUser(instance, imageUser),
		StopTimeout: &grace,
		Labels: map[string]string{
			labelApp: instance.App, labelAppID: instance.AppID, labelInstance: instance.ID,
			labelRelease: strconv.Itoa(instance.Release), labelReleaseID: instance.ReleaseID,
			labelProcess: instance.Process, labelOrdinal: strconv.Itoa(instance.Ordinal),
			labelPort: strconv.Itoa(instance.Port), labelNode: node,
		},
	}
	if instance.Attended {
		config.Labels[labelAttended] = "yes"
		config.OpenStdin, config.StdinOnce, config.Tty = true, true, instance.TTY
		config.AttachStdin, config.AttachStdout, config.AttachStderr = true, true, true
	}
	if len(instance.Command) > 0 {
		config.Entrypoint, config.Cmd = instance.Command[:1], instance.Command[1:]
	}
	return config
}

// environment is the App's, and what we say about the Instance.
func environment(instance protocol.Instance) []string {
	all := map[string]string{
		"SKY_APP": instance.App, "SKY_RELEASE": strconv.Itoa(instance.Release), "SKY_PROCESS": instance.Process,
	}
	for key, value := range instance.Env {
		all[key] = value
	}
	if instance.Port > 0 {
		all["PORT"] = strconv.Itoa(instance.Port)
	}
	lines := make([]string, 0, len(all))
	for key, value := range all {
		lines = append(lines, key+"="+value)
	}
	slices.Sort(lines)
	return lines
}

// containerUser overrides an image's user only when that is root and the
// Instance has no leave to be root.
func containerUser(instance protocol.Instance, imageUser string) string {
	name, _, _ := strings.Cut(imageUser, ":")
	uid, err := strconv.Atoi(name)
	root := name == "" || name == "root" || (err == nil && uid == 0)
	if instance.RootUser || !root {
		return ""
	}
	return plainUser
}

// hostConfig is the isolation that every Instance gets. Nothing in it comes
// from the image or the repository.
func hostConfig(instance protocol.Instance, net string) *containertypes.HostConfig {
	pids := instance.Limits.Pids
	if pids <= 0 {
		pids = defaultPids
	}
	useInit := true
	config := &containertypes.HostConfig{
		CapDrop:        []string{"ALL"},
		SecurityOpt:    []string{"no-new-privileges:true"},
		ReadonlyRootfs: !instance.WritableRoot,
		Tmpfs:          map[string]string{"/tmp": fmt.Sprintf("rw,nosuid,nodev,mode=%o,size=%d", tmpMode, tmpSize)},
		Init:           &useInit,
		IpcMode:        containertypes.IPCModePrivate,
		NetworkMode:    containertypes.NetworkMode(net),
		RestartPolicy:  containertypes.RestartPolicy{Name: containertypes.RestartPolicyDisabled},
		LogConfig:      containertypes.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}},
		Resources: containertypes.Resources{
			Memory: instance.Limits.MemoryBytes, MemorySwap: instance.Limits.MemoryBytes,
			NanoCPUs: atMost(instance.Limits.NanoCPUs, runtime.NumCPU()), PidsLimit: &pids,
			Ulimits: []*units.Ulimit{{Name: "nofile", Soft: 4096, Hard: 8192}},
		},
	}
	if instance.Attended { // what passes through a terminal is kept nowhere
		config.LogConfig = containertypes.LogConfig{Type: "none"}
	}
	if instance.RootUser {
		config.CapAdd = []string{"CHOWN", "SETUID", "SETGID", "DAC_OVERRIDE", "FOWNER"}
	}
	return config
}

// containerName tells a person at the machine what a container is.
func containerName(instance protocol.Instance) string {
	id := strings.ReplaceAll(instance.ID, "-", "")
	return fmt.Sprintf("sky-%s-v%d-%s-%d-%s", nameSafe(instance.App), instance.Release, nameSafe(instance.Process), instance.Ordinal, id[max(0, len(id)-6):])
}

// nameSafe keeps what Docker allows in a name.
func nameSafe(text string) string {
	return regexp.MustCompile(`[^a-zA-Z0-9_.-]`).ReplaceAllString(text, "-")
}

// wrap adds a step to an error, and nothing to success.
func wrap(step string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", step, err)
}

// atMost is the limit, or all CPUs of the Node where it has fewer: the engine
// refuses more than there are.
func atMost(nanos int64, cpus int) int64 { return min(nanos, int64(cpus)*1_000_000_000) }
