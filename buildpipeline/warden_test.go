package buildpipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// write makes files under dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
}

// newTestWarden watches a /proc and control groups of the test's own, in which
// process 7 is a step of its build and 8 of another's.
func newTestWarden(t *testing.T, cgroup string) *warden {
	w := newWarden(Limits{MemoryBytes: 1 << 20, CPUMillis: 1500})
	w.proc, w.groups, w.cpus = t.TempDir(), t.TempDir(), "2,3"
	write(t, w.proc, map[string]string{
		"7/cgroup": strings.ReplaceAll(cgroup, "ID", "seven"), "7/root/run/secrets/sky-build": w.id,
		"8/cgroup": strings.ReplaceAll(cgroup, "ID", "eight"), "8/root/run/secrets/sky-build": "another",
		"9/cgroup": strings.ReplaceAll(cgroup, "buildkit/ID", "shop"), "9/root/run/secrets/sky-build": w.id,
		"self/cgroup": "", "cpuinfo": "",
	})
	return w
}

// systemdScope is where systemd puts process 7.
const systemdScope = "system.slice/docker-seven01234567890123456789.scope"

func TestWardenHoldsItsOwnSteps(t *testing.T) {
	for name, test := range map[string]struct {
		cgroup string
		files  map[string]string
		want   map[string]string
		deaths string
	}{
		"version 1": {
			"12:pids:/docker/buildkit/ID\n9:memory:/docker/buildkit/ID\n4:cpu:/docker/buildkit/ID\n",
			map[string]string{"memory/docker/buildkit/seven/x": "", "cpu/docker/buildkit/seven/x": "", "cpuset/docker/buildkit/seven/x": "", "pids/docker/buildkit/seven/x": "", "memory/docker/buildkit/eight/x": ""},
			map[string]string{
				"memory/docker/buildkit/seven/memory.limit_in_bytes": "1048576", "cpu/docker/buildkit/seven/cpu.cfs_quota_us": "150000",
				"cpuset/docker/buildkit/seven/cpuset.cpus": "2,3",
				"cpu/docker/buildkit/seven/cpu.shares":     "128", "cpu/docker/buildkit/cpu.shares": "128", "pids/docker/buildkit/seven/pids.max": "4096",
			},
			"memory/docker/buildkit/seven/memory.oom_control",
		},
		"version 2 with systemd": {
			"0::/system.slice/docker-ID01234567890123456789.scope\n",
			map[string]string{"cgroup.controllers": "cpu memory", systemdScope + "/x": ""},
			map[string]string{systemdScope + "/memory.max": "1048576", systemdScope + "/cpu.weight": "12"},
			systemdScope + "/memory.events",
		},
		"version 2": {
			"0::/docker/buildkit/ID\n", map[string]string{"cgroup.controllers": "cpu memory", "docker/buildkit/seven/x": "", "docker/buildkit/eight/x": ""},
			map[string]string{
				"docker/buildkit/seven/memory.max": "1048576", "docker/buildkit/seven/memory.swap.max": "0",
				"docker/buildkit/seven/cpuset.cpus": "2,3", "docker/buildkit/seven/cpu.max": "150000", "docker/buildkit/cpu.weight": "12", "docker/buildkit/seven/pids.max": "4096",
			},
			"docker/buildkit/seven/memory.events",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTestWarden(t, test.cgroup)
			write(t, w.groups, test.files)
			w.look(nil)
			for file, want := range test.want {
				text, err := os.ReadFile(filepath.Join(w.groups, file))
				require.NoError(t, err)
				require.Equal(t, want, string(text), file)
			}
			require.NoFileExists(t, filepath.Join(w.groups, "system.slice/cpu.weight"))
			for _, foreign := range []string{"memory/docker/buildkit/eight/memory.limit_in_bytes", "docker/buildkit/eight/memory.max"} {
				require.NoFileExists(t, filepath.Join(w.groups, foreign))
			}
			require.Len(t, w.held, 1)

			failed := models.Errorf(models.Failed, "build step `make` exited with code 2")
			write(t, w.groups, map[string]string{test.deaths: "low 0\noom_kill 0\n"})
			w.look(nil)
			require.Equal(t, error(failed), w.explain(failed))
			write(t, w.groups, map[string]string{test.deaths: "low 0\noom_kill 2\n"})
			w.look(nil)
			require.EqualError(t, w.explain(failed), "the build ran out of memory: build step `make` exited with code 2; it had 1MiB")
			require.NoError(t, w.explain(nil))
		})
	}
}

func TestFewestCPUs(t *testing.T) {
	require.Empty(t, fewestCPUs(0, []int{0, 1}), "no limit")
	require.Empty(t, fewestCPUs(1001, []int{0, 1}), "all of them")
	require.Empty(t, fewestCPUs(1000, nil), "CPUs unknown")
	seen := map[string]bool{}
	for range 100 {
		seen[fewestCPUs(1500, []int{0, 2, 5})] = true
	}
	require.Equal(t, map[string]bool{"0,2": true, "2,5": true, "5,0": true}, seen)
	require.NotEmpty(t, ownCPUs())
}

// TestStepLeavesCPUsToApps asks a real step how many CPUs it has, and how it is
// scheduled.
func TestStepLeavesCPUsToApps(t *testing.T) {
	b := newBench(t)
	if os.Geteuid() != 0 || len(ownCPUs()) < 2 {
		t.Skip("limits need root, and more than one CPU")
	}
	b.number++
	_, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: b.number, Log: b.log, Runtimes: ownDockerfiles, Limits: Limits{CPUMillis: 1000, Time: time.Minute},
		Files: commit(map[string]string{"Dockerfile": "FROM " + testBase + "\n" +
			"RUN until python3 -c 'import os; assert len(os.sched_getaffinity(0)) == 1 and os.sched_getscheduler(0) == os.SCHED_IDLE'; do sleep 0.01; done # " + b.app.String() + "\n"}),
	})
	require.NoError(t, err)
}

// TestWardenIsNotLedAstray: a step's own files are hostile.
func TestWardenIsNotLedAstray(t *testing.T) {
	w := newTestWarden(t, "0::/docker/buildkit/ID\n")
	outside := filepath.Join(t.TempDir(), "id")
	require.NoError(t, os.WriteFile(outside, []byte(w.id), 0o600))
	secret := filepath.Join(w.proc, "8/root/run/secrets/sky-build")
	require.NoError(t, os.Remove(secret))
	require.NoError(t, os.Symlink(outside, secret))
	require.False(t, w.mine("8"), "a link out of its root")
	require.True(t, w.mine("7"))
}

// TestStepOutOfMemoryIsNamed lets a real step take more than it may.
func TestStepOutOfMemoryIsNamed(t *testing.T) {
	b := newBench(t)
	if os.Geteuid() != 0 {
		t.Skip("limits need root")
	}
	b.number++
	_, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: b.number, Log: b.log, Runtimes: ownDockerfiles, Limits: Limits{MemoryBytes: 100 << 20},
		Files: commit(map[string]string{"Dockerfile": "FROM " + testBase + "\n" +
			// Its shell outlives it, as make outlives a compiler.
			"RUN python3 -c 'import time; time.sleep(0.3); x = bytearray(300 << 20); time.sleep(5)'; echo $? $(date +%N); sleep 0.2; exit 2 # " + b.app.String() + "\n"}),
	})
	require.ErrorContains(t, err, "the build ran out of memory")
	require.ErrorContains(t, err, "it had 100MiB")
	require.NotEmpty(t, models.AsError(err).Remedy)
}

func TestBuildTakesTooLong(t *testing.T) {
	b := newBench(t)
	b.number++
	_, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: b.number, Log: b.log, Runtimes: ownDockerfiles, Limits: Limits{Time: 2 * time.Second},
		Files: commit(map[string]string{"Dockerfile": "FROM " + testBase + "\nRUN sleep 600 # " + b.app.String() + "\n"}),
	})
	require.EqualError(t, err, "the build took longer than the 2s that its plan allows")
	require.Equal(t, models.Failed, models.CodeOf(err))
}

func TestContextIsBounded(t *testing.T) {
	files := &contextFS{files: fstest.MapFS{"a": {Data: make([]byte, 600)}, "b": {Data: make([]byte, 600)}}, most: 1000}
	require.NoError(t, files.refusal())
	nothing := func(string, os.DirEntry, error) error { return nil }
	require.ErrorIs(t, files.Walk(t.Context(), "", nothing), errContext)
	require.ErrorContains(t, files.refusal(), "larger than the 1000B")
	require.NoError(t, (*contextFS)(nil).refusal())

	b := newBench(t)
	b.number++
	_, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: b.number, Log: b.log, Runtimes: ownDockerfiles, Limits: Limits{ContextBytes: 1000},
		Files: commit(map[string]string{"Dockerfile": "FROM " + testBase + "\nCOPY . ./\n", "large": strings.Repeat("x", 2000)}),
	})
	require.ErrorContains(t, err, "the files to build are larger than the 1000B")
}

func TestFullDiskEndsTheBuild(t *testing.T) {
	b := newBench(t)
	b.minFree = 1 << 60
	_, err := b.build(t.Context(), map[string]string{"Dockerfile": "FROM " + testBase + "\nRUN sleep 600 # " + b.app.String() + "\n"})
	require.Equal(t, error(errNoRoom), err)
}
