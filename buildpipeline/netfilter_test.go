package buildpipeline

import (
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamespacesOfOthersOnly: this machine's own network is never bounded, and a
// process that is gone says so.
func TestNamespacesOfOthersOnly(t *testing.T) {
	_, err := openNamespace("/proc", strconv.Itoa(os.Getpid()))
	require.ErrorIs(t, err, errNoNamespace)
	_, err = openNamespace(t.TempDir(), "7")
	require.ErrorIs(t, err, errEnded)
}

// TestAMachineOfManyNetworks, as one with many apps is, bounds steps all the same.
func TestAMachineOfManyNetworks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	step := exec.Command("cat")
	step.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	input, err := step.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, step.Start())
	defer func() {
		require.NoError(t, input.Close())
		require.NoError(t, step.Wait())
	}()
	network, err := openNamespace("/proc", strconv.Itoa(step.Process.Pid))
	require.NoError(t, err)
	defer network.Close()
	var routes []route
	for i := range 1000 {
		routes = append(routes, route{to: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 26)})
	}
	require.NoError(t, network.confine(routes))
}

// TestWardenLooksAgain for another process of a step, when the one that it found
// is gone before its network was bounded.
func TestWardenLooksAgain(t *testing.T) {
	w := newTestWarden(t, "9:memory:/docker/buildkit/ID\n")
	w.network.steps = true
	w.end = func(error) { t.Error("the build was ended") }
	w.look(nil)
	require.Empty(t, w.held)
}
