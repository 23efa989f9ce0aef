package agent

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	swarmtypes "github.com/docker/docker/api/types/swarm"

	"github.com/skypanel/sky/agent/protocol"
)

const (
	// nowhere is no node's ID.
	nowhere = "none"
	// templateSuffix makes an App's network's name that of the template behind it.
	templateSuffix = "-here"
	// serviceNameLimit is Swarm's.
	serviceNameLimit = 63
	// restartPause is between a task's end and the next one's start.
	restartPause = time.Second
)

// placedOn is the constraint that pins a service to a node.
func placedOn(node string) string { return "node.id==" + node }

// Create implements engine. A service of that name that an agent made before it was
// killed is the same one, and is returned.
func (s *swarm) Create(ctx context.Context, instance protocol.Instance) (string, error) {
	here, err := s.here(ctx)
	if err != nil {
		return "", err
	}
	image, err := s.image(ctx, instance)
	if err != nil {
		return "", err
	}
	net, err := s.ensureNetwork(ctx, instance)
	if err != nil {
		return "", err
	}
	if instance.Once {
		return s.createContainer(ctx, instance, image, net)
	}
	spec := serviceSpec(instance, containerConfig(instance, s.node, image.user), hostConfig(instance, net))
	spec.TaskTemplate.ContainerSpec.Image = image.id // which Swarm looks for in no registry
	spec.TaskTemplate.Placement.Constraints = []string{placedOn(here)}
	created, err := s.client.ServiceCreate(ctx, spec, swarmtypes.ServiceCreateOptions{})
	if errdefs.IsConflict(err) {
		existing, _, inspectErr := s.client.ServiceInspectWithRaw(ctx, spec.Name, swarmtypes.ServiceInspectOptions{})
		if inspectErr == nil && existing.Spec.Labels[labelInstance] == instance.ID && existing.Spec.Labels[labelNode] == s.node {
			return existing.ID, nil
		}
	}
	if err != nil {
		return "", dockerError("create service", err)
	}
	return created.ID, nil
}

// serviceSpec says in Swarm's words what plain Docker would be told. It runs nothing
// yet. Swarm restarts a task whenever it ends; what that means before the mark, run
// says: a policy that changes would end the task.
func serviceSpec(instance protocol.Instance, config *containertypes.Config, host *containertypes.HostConfig) swarmtypes.ServiceSpec {
	none, pause, grace := uint64(0), restartPause, time.Duration(*config.StopTimeout)*time.Second
	return swarmtypes.ServiceSpec{
		Annotations:  swarmtypes.Annotations{Name: serviceName(instance), Labels: config.Labels},
		Mode:         swarmtypes.ServiceMode{Replicated: &swarmtypes.ReplicatedService{Replicas: &none}},
		EndpointSpec: &swarmtypes.EndpointSpec{Mode: swarmtypes.ResolutionModeDNSRR},
		UpdateConfig: &swarmtypes.UpdateConfig{Order: swarmtypes.UpdateOrderStopFirst, FailureAction: swarmtypes.UpdateFailureActionContinue},
		TaskTemplate: swarmtypes.TaskSpec{
			RestartPolicy: &swarmtypes.RestartPolicy{Condition: swarmtypes.RestartPolicyConditionAny, Delay: &pause},
			Placement:     &swarmtypes.Placement{},
			Networks:      []swarmtypes.NetworkAttachmentConfig{{Target: string(host.NetworkMode), Aliases: []string{instance.Process}}},
			LogDriver:     &swarmtypes.Driver{Name: host.LogConfig.Type, Options: host.LogConfig.Config},
			Resources: &swarmtypes.ResourceRequirements{Limits: &swarmtypes.Limit{
				MemoryBytes: host.Memory, NanoCPUs: host.NanoCPUs, Pids: *host.PidsLimit,
			}},
			ContainerSpec: &swarmtypes.ContainerSpec{
				Command: config.Entrypoint, Args: config.Cmd, Env: config.Env, User: config.User, Labels: config.Labels,
				StopGracePeriod: &grace, Init: host.Init, ReadOnly: host.ReadonlyRootfs,
				CapabilityDrop: host.CapDrop, CapabilityAdd: host.CapAdd, Ulimits: host.Ulimits,
				Privileges: &swarmtypes.Privileges{NoNewPrivileges: true},
				Mounts:     []mount.Mount{{Type: mount.TypeTmpfs, Target: "/tmp", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: tmpSize, Mode: tmpMode}}},
			},
		},
	}
}

// serviceName is containerName for Swarm, which allows no dots and fewer letters. The
// App's part is cut: what follows tells Instances apart.
func serviceName(instance protocol.Instance) string {
	app := "sky-" + nameSafe(instance.App)
	rest := strings.TrimPrefix(containerName(instance), app)
	room := max(0, min(len(app), serviceNameLimit-len(rest)))
	return strings.ReplaceAll(strings.TrimRight(app[:room], "-_.")+rest, ".", "-")
}

// ensureNetwork makes the App's network, of which Swarm has the name and the Node has
// the bridge: only a network of Swarm's may be a task's, and only one that is made from
// a template of this Node's has a bridge that is named by us. Containers join it too.
func (s *swarm) ensureNetwork(ctx context.Context, instance protocol.Instance) (string, error) {
	s.subnet.Lock()
	defer s.subnet.Unlock()
	name := s.bridgeName(instance.AppID)
	existing, err := s.networks(ctx)
	if err != nil {
		return "", err
	}
	if err := s.ensureBridge(ctx, existing, name+templateSuffix, instance, network.CreateOptions{ConfigOnly: true}); err != nil {
		return "", err
	}
	if named(existing, name) {
		return name, nil
	}
	_, err = s.client.NetworkCreate(ctx, name, network.CreateOptions{
		Driver: "bridge", Scope: "swarm", Attachable: true, ConfigFrom: &network.ConfigReference{Network: name + templateSuffix},
	})
	if err != nil && !errdefs.IsConflict(err) {
		return "", dockerError("create network of the swarm", err)
	}
	return name, nil
}

// RemoveNetwork implements engine. The template goes last: the App is found by it. Swarm
// lets go of a network a moment after its last task is gone, and forgets the Node's part
// of it a moment before the rest.
func (s *swarm) RemoveNetwork(ctx context.Context, appID string) error {
	if err := s.agree(ctx); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	var last error
	err := until(waiting, func() (bool, error) {
		if last = s.client.NetworkRemove(waiting, s.bridgeName(appID)); last == nil || errdefs.IsNotFound(last) {
			last = s.docker.RemoveNetwork(waiting, appID)
		}
		if last == nil || !passes(last) {
			return true, last
		}
		return false, nil
	})
	if err != nil && last != nil {
		err = last
	}
	return wrap("remove network of the swarm", err)
}

// passes says of an error about a network that Swarm is about to mend it.
func passes(err error) bool {
	return slices.ContainsFunc([]string{"in use", "active endpoints", "not found"}, func(words string) bool { return strings.Contains(err.Error(), words) })
}
