package buildpipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/docker/go-units"
	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/internal/diskspace"
	"github.com/skypanel/sky/models"
	"golang.org/x/sys/unix"
)

// Limits bound what one build may use. Zero of any is no limit.
type Limits struct {
	MemoryBytes int64 // of each of its steps
	CPUMillis   int64 // of each of its steps; thousandths of a CPU
	Time        time.Duration
	// ContextBytes bounds the files that the build sees.
	ContextBytes int64
}

const (
	// lookEvery is how soon after its start a step is found, at the latest.
	lookEvery = 20 * time.Millisecond
	// buildPids bounds the processes of a step.
	buildPids = 4096
	// buildShares and buildWeight are what builds get of CPUs that others want
	// too, in cgroup v1 and v2: an eighth of what a container has.
	buildShares = "128"
	buildWeight = "12"
	sharesFile  = "cpu.shares"
	weightFile  = "cpu.weight"
	cpusFile    = "cpuset.cpus"
	// diskEvery is how often the free disk space is looked at.
	diskEvery = time.Second
)

// warden watches one build: it holds the build's steps to its limits, and notes
// those that die for want of memory. The engine's BuildKit has no such limits of
// its own before 23.0; a step is known by a secret that only this build mounts,
// and its control group by its processes.
type warden struct {
	id     string
	limits Limits
	cpus   string // that its steps stay on, as in cpuset.cpus; empty for all
	// proc and groups are /proc and /sys/fs/cgroup, but in tests.
	proc, groups string
	held         map[string]bool // groups, by their path
	oom          atomic.Bool
	// network bounds what steps reach, and end ends the build when one cannot be
	// held to it.
	network bounds
	end     context.CancelCauseFunc
	// undone are steps whose way out of their network was not there yet, and when
	// that is given up.
	undone map[*namespace]time.Time
	coming coming
}

func newWarden(limits Limits) *warden {
	return &warden{id: rand.Text(), limits: limits, cpus: fewestCPUs(limits.CPUMillis, ownCPUs()), proc: "/proc", groups: "/sys/fs/cgroup", held: map[string]bool{}, undone: map[*namespace]time.Time{}, coming: coming{hurry: make(chan struct{}, 1)}}
}

// watch works until ctx ends. Where the server cannot see the engine's
// processes, because they run on another machine or Sky is not root, it finds
// nothing and limits nothing.
func (w *warden) watch(ctx context.Context) {
	for {
		older, pause := w.coming.now()
		w.look(older)
		select {
		case <-ctx.Done():
			w.look(nil) // what died last
			w.leaveNetworks()
			return
		case <-w.coming.hurry:
		case <-time.After(pause):
		}
	}
}

// look finds steps that began and holds them, and looks at those that are held.
// Processes that are older than the step that is looked for are not looked at.
func (w *warden) look(older map[string]bool) {
	for group := range w.held {
		w.noteDeaths(group)
	}
	w.finishConfining()
	for _, pid := range processes(w.proc) {
		if older[pid] {
			continue
		}
		group := w.buildkitGroup(pid)
		if group == "" || w.held[group] || !w.mine(pid) {
			continue
		}
		w.hold(group, pid)
	}
}

// stepGroup matches the groups of BuildKit's steps: below one of its own, or
// where systemd manages groups, a scope as containers have, whose ids are longer.
var stepGroup = regexp.MustCompile(`/buildkit/|/docker-[0-9a-z]{25}\.scope$`)

// buildkitGroup is the control group of a process that BuildKit runs, or "".
func (w *warden) buildkitGroup(pid string) string {
	text, err := os.ReadFile(filepath.Join(w.proc, pid, "cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && (parts[1] == "memory" || parts[1] == "") && stepGroup.MatchString(parts[2]) {
			return parts[2]
		}
	}
	return ""
}

// mine reports whether the process sees this build's secret. What a build's own
// processes put there can neither lead out of their root nor make this wait.
func (w *warden) mine(pid string) bool {
	root, err := os.OpenRoot(filepath.Join(w.proc, pid, "root"))
	if err != nil {
		return false
	}
	defer func() { _ = root.Close() }()
	file, err := root.OpenFile(w.secretPath(pid), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, int64(len(w.id))+1))
	return err == nil && string(text) == w.id
}

// secretPath is where the process would see the secret of its build. A step that is
// being made sees it below the directory that becomes its root: it is found long
// before it runs.
func (w *warden) secretPath(pid string) string {
	const own = "run/secrets/" + buildpacks.BuildIDSecret
	mounts, err := os.ReadFile(filepath.Join(w.proc, pid, "mountinfo"))
	if err != nil {
		return own
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasSuffix(fields[4], "/"+own) {
			return strings.TrimPrefix(fields[4], "/")
		}
	}
	return own
}

// hold bounds a step's network and writes the limits into its control groups, in
// either version. A step that has ended meanwhile has none any more. A step whose
// network cannot be bounded ends the build.
func (w *warden) hold(group, pid string) {
	if w.network.steps {
		err := w.confine(pid)
		if errors.Is(err, errEnded) {
			return // the step may go on without it: another process of it is found next
		}
		if err != nil {
			w.end(fmt.Errorf("bound the network of a step: %w", err))
			return
		}
	} else {
		w.coming.came()
	}
	w.held[group] = true
	settings := w.version1(group)
	if _, err := os.Stat(filepath.Join(w.groups, "cgroup.controllers")); err == nil {
		settings = w.version2(group)
	}
	for _, to := range settings {
		if to.value != "" {
			_ = os.WriteFile(filepath.Join(w.groups, to.path), []byte(to.value), 0o644)
		}
	}
	giveWay(filepath.Join(w.proc, pid, "task"))
}

// setting is what to write into a file of a control group.
type setting struct{ path, value string }

// version1 bounds memory before memory and swap, which may not be less.
func (w *warden) version1(group string) []setting {
	return append([]setting{
		{filepath.Join("memory", group, "memory.limit_in_bytes"), bytesText(w.limits.MemoryBytes)},
		{filepath.Join("memory", group, "memory.memsw.limit_in_bytes"), bytesText(w.limits.MemoryBytes)},
		{filepath.Join("cpu", group, "cpu.cfs_quota_us"), quota(w.limits.CPUMillis, "-1")},
		{filepath.Join("cpu", group, sharesFile), buildShares},
		{filepath.Join("cpuset", group, cpusFile), w.cpus},
		{filepath.Join("pids", group, "pids.max"), strconv.Itoa(buildPids)},
	}, besideContainers(filepath.Join("cpu", filepath.Dir(group)), sharesFile, buildShares)...)
}

func (w *warden) version2(group string) []setting {
	return append([]setting{
		{filepath.Join(group, "memory.max"), bytesText(w.limits.MemoryBytes)},
		{filepath.Join(group, "memory.swap.max"), "0"},
		{filepath.Join(group, "memory.oom.group"), "1"},
		{filepath.Join(group, "cpu.max"), quota(w.limits.CPUMillis, "max")},
		{filepath.Join(group, weightFile), buildWeight},
		{filepath.Join(group, cpusFile), w.cpus},
		{filepath.Join(group, "pids.max"), strconv.Itoa(buildPids)},
	}, besideContainers(filepath.Dir(group), weightFile, buildWeight)...)
}

// besideContainers weighs the group of all of BuildKit's steps: where they have
// one, a step's weight counts among steps alone, and it is that group which
// stands beside the containers.
func besideContainers(parent, file, weight string) []setting {
	if filepath.Base(parent) != "buildkit" {
		return nil
	}
	return []setting{{filepath.Join(parent, file), weight}}
}

func bytesText(bytes int64) string {
	if bytes <= 0 {
		return ""
	}
	return strconv.FormatInt(bytes, 10)
}

// quota is how many microseconds of each 100,000 the limit allows.
func quota(millis int64, none string) string {
	if millis <= 0 {
		return none
	}
	return strconv.FormatInt(millis*100, 10)
}

// noteDeaths sees whether the kernel killed something in the group for want of
// memory. The files are those of Linux' admin guide: memory.oom_control in
// version 1, memory.events in version 2.
func (w *warden) noteDeaths(group string) {
	for _, path := range []string{filepath.Join("memory", group, "memory.oom_control"), filepath.Join(group, "memory.events")} {
		text, err := os.ReadFile(filepath.Join(w.groups, path))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok && count != "0" {
				w.oom.Store(true)
			}
		}
	}
}

// explain says what a failed build ran out of, or returns err as it is.
func (w *warden) explain(err error) error {
	failure := models.AsError(err)
	if failure == nil || failure.Code != models.Failed || !w.oom.Load() || w.limits.MemoryBytes == 0 {
		return err
	}
	return models.Errorf(models.Failed, "the build ran out of memory: %s; it had %s", failure.Message, units.BytesSize(float64(w.limits.MemoryBytes))).
		WithRemedy("let it use less (fewer parallel jobs, a smaller bundle), or choose a larger plan: sky plans list")
}

// errNoRoom ends a build when the disk fills up.
var errNoRoom = models.Errorf(models.Unavailable, "the server's disk is almost full, so that the build was stopped").
	WithRemedy("the operator frees space: sky admin disk; then push again. What runs goes on running")

// floor is the free space that builds leave on the engine's disk; the zero floor
// leaves none.
type floor struct {
	dir   string // the engine's own
	least int64
}

// floor finds the engine's disk, where some of it is to be left.
func (b *Builder) floor(ctx context.Context) (floor, error) {
	if b.minFree <= 0 {
		return floor{}, nil
	}
	info, err := b.docker.Info(ctx)
	if err != nil {
		return floor{}, fmt.Errorf("ask the engine for its directory: %w", err)
	}
	return floor{info.DockerRootDir, b.minFree}, nil
}

// watch ends the build with errNoRoom when less than the floor is free. It works
// until ctx ends.
func (f floor) watch(ctx context.Context, end context.CancelCauseFunc) {
	ticker := time.NewTicker(diskEvery)
	defer ticker.Stop()
	for {
		free, _, err := diskspace.Of(f.dir)
		if err == nil && free < f.least {
			end(errNoRoom)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
