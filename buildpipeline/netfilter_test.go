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

// TestWardenLooksAgain for another process of a step, when the one that it found
// is gone before its network was bounded.
// TestAThousandRoutesAreSet, which the kernel answers one by one.
func TestAThousandRoutesAreSet(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	step := exec.Command("cat")
	step.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	_, err := step.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, step.Start())
	defer func() { _ = step.Process.Kill(); _ = step.Wait() }()
	network, err := openNamespace("/proc", strconv.Itoa(step.Process.Pid))
	require.NoError(t, err)
	defer func() { require.NoError(t, network.Close()) }()
	var routes []route
	for i := range 1000 {
		routes = append(routes, route{to: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 32)})
	}
	require.NoError(t, network.confine(routes))
	chains, err := network.filter.ListChains()
	require.NoError(t, err)
	require.Len(t, chains, 1)
	rules, err := network.filter.GetRules(chains[0].Table, chains[0])
	require.NoError(t, err)
	require.Len(t, rules, 2+2*len(routes))
}

func TestWardenLooksAgain(t *testing.T) {
	w := newTestWarden(t, "9:memory:/docker/buildkit/ID\n")
	w.network.steps = true
	w.end = func(error) { t.Error("the build was ended") }
	w.look(nil)
	require.Empty(t, w.held)
}
