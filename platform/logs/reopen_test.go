package logs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReopenedStreamGoesOn(t *testing.T) {
	dir := t.TempDir()
	hub := open(t, dir)
	for _, entry := range []Entry{{Kind: Say, Text: "one"}, {Kind: End}} {
		require.NoError(t, hub.Append("builds/1", entry))
	}
	require.NoError(t, hub.Append("builds/2", Entry{Kind: Say, Text: "runs"}))

	hub = open(t, dir)
	for _, name := range []string{"builds/1", "builds/2", "builds/none"} {
		require.NoError(t, hub.Reopen(name))
		require.NoError(t, hub.Reopen(name), "again")
	}
	require.NoError(t, hub.Append("builds/1", Entry{Kind: Say, Text: "two"}))
	lines, _ := texts(t, hub, "builds/1", 0)
	require.Equal(t, []string{"one", "two"}, lines)
	lines, _ = texts(t, hub, "builds/2", 0)
	require.Equal(t, []string{"runs"}, lines)
}
