package buildpipeline

import (
	"os"
	"strconv"
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
func TestWardenLooksAgain(t *testing.T) {
	w := newTestWarden(t, "9:memory:/docker/buildkit/ID\n")
	w.network.steps = true
	w.end = func(error) { t.Error("the build was ended") }
	w.look(nil)
	require.Empty(t, w.held)
}
