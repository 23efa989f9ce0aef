package buildpipeline

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bounds are what a build's network is held to. Without routes it is held to
// nothing.
type bounds struct {
	routes []route
	// steps says that steps can be held to them, too: not only what the engine
	// fetches itself.
	steps bool
}

// bounds finds out what a build may reach. Where steps cannot be held to that,
// the operator is told, once.
func (b *Builder) bounds(ctx context.Context) (bounds, error) {
	if b.reach.Everything {
		return bounds{}, nil
	}
	return b.boundsUnless(ctx, b.hindrance(ctx))
}

func (b *Builder) boundsUnless(ctx context.Context, hindrance string) (bounds, error) {
	around, err := b.surroundings(ctx)
	if err != nil {
		return bounds{}, err
	}
	if hindrance != "" {
		b.unbounded.Do(func() {
			b.notes.Warn("builds' steps can reach private networks and this machine: "+hindrance, "see", "docs/builds.md, Network")
		})
	}
	return bounds{routes: b.reach.routes(around), steps: hindrance == ""}, nil
}

// hindrance says why steps' networks cannot be bounded, or is empty.
func (b *Builder) hindrance(ctx context.Context) string {
	if os.Geteuid() != 0 {
		return "Sky does not run as root"
	}
	info, err := b.docker.Info(ctx)
	if err != nil || !strings.HasPrefix(b.docker.DaemonHost(), "unix://") {
		return "the container engine is on another machine"
	}
	if _, err := os.Stat(info.DockerRootDir); err != nil {
		return "Sky does not see the container engine's files: it runs in a container itself"
	}
	if err := canFilter(); err != nil {
		return "the kernel's packet filter cannot be used: " + err.Error()
	}
	return ""
}

// deviceFor is how long a step's way out of its network may take to be there; a
// step that was told to have none never gets it.
const deviceFor = 2 * time.Second

// confine bounds the network of a step, before it runs: as soon as it has one. It
// is errEnded when the process is gone.
func (w *warden) confine(pid string) error {
	network, err := openNamespace(w.proc, pid)
	if err != nil {
		return err
	}
	if err := network.confine(w.network.routes); err != nil {
		return errors.Join(err, network.Close())
	}
	w.undone[network] = time.Now().Add(deviceFor)
	return nil
}

// finishConfining bounds the way out of networks that have got it meanwhile.
func (w *warden) finishConfining() {
	for network, until := range w.undone {
		err := network.confineDevice(w.network.routes)
		if isMissing(err) && time.Now().Before(until) {
			continue
		}
		_ = network.Close()
		delete(w.undone, network)
		w.coming.came()
	}
}

// isMissing: the device is not there yet. Another error is a kernel's that cannot.
func isMissing(err error) bool { return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) }

// leaveNetworks lets go of networks that nothing more is to be done to.
func (w *warden) leaveNetworks() {
	for network := range w.undone {
		_ = network.Close()
	}
	clear(w.undone)
}
