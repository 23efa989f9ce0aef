package narrative

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLinesStayWithinTheTerminal(t *testing.T) {
	text := "Node.js 22 (" + strings.Repeat("a reason; ", 20) + ")"
	for line := range strings.SplitSeq(Timed("Detect", text, 90*time.Second), "\n") {
		require.LessOrEqual(t, len(line), Width)
	}
}

func TestTimedEndsAtTheRightEdge(t *testing.T) {
	line := Timed("Build", "image 0123456789ab", 2100*time.Millisecond)
	require.Len(t, line, Width)
	require.True(t, strings.HasPrefix(line, "Build    image 0123456789ab "))
	require.True(t, strings.HasSuffix(line, " 2.1s"))
}

func TestAWordLongerThanTheTerminalIsNotCut(t *testing.T) {
	word := strings.Repeat("x", 2*Width)
	require.Contains(t, Field("Live", word), word)
}
