package logs

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestALineOfAnyLengthIsRead appends what escapes to six times its size and
// would not fit into a read window: readers would wait behind it for ever.
func TestALineOfAnyLengthIsRead(t *testing.T) {
	hub := open(t, t.TempDir())
	hub.segmentBytes, hub.keepBytes = defaultSegment, defaultKeep
	long := strings.Repeat("\x01é", readWindow)
	require.NoError(t, hub.Append("builds/1", Entry{Kind: Say, Text: long}))
	require.NoError(t, hub.Append("builds/1", Entry{Kind: Say, Text: "next"}))
	lines, _ := texts(t, hub, "builds/1", 0)
	require.Len(t, lines, 2)
	require.True(t, strings.HasPrefix(long, strings.TrimSuffix(lines[0], "…")))
	require.Equal(t, "next", lines[1])
}

// TestAPartlyWrittenEntryHidesNoOther gives the stream a file that takes only a
// part of an entry, as a disk does that becomes full.
func TestAPartlyWrittenEntryHidesNoOther(t *testing.T) {
	dir := t.TempDir()
	hub := open(t, dir)
	require.NoError(t, hub.Append("builds/1", Entry{Kind: Say, Text: "before"}))
	s, err := hub.stream("builds/1")
	require.NoError(t, err)
	reader, err := os.Open(filepath.Join(dir, "builds/1", "00000000000000000000.log"))
	require.NoError(t, err)
	require.NoError(t, s.active.Close())
	s.active = reader // a write to it fails
	require.Error(t, hub.Append("builds/1", Entry{Kind: Say, Text: "lost"}))
	require.Nil(t, s.active)

	cut, err := os.OpenFile(reader.Name(), os.O_WRONLY|os.O_APPEND, 0)
	require.NoError(t, err)
	part, err := io.WriteString(cut, `{"k":"say","x":"pa`)
	require.NoError(t, err)
	require.NoError(t, cut.Close())
	s.segments[0].size += int64(part) // as append counts what was written
	require.NoError(t, hub.Append("builds/1", Entry{Kind: End, Text: "after"}))
	lines, _ := texts(t, hub, "builds/1", 0)
	require.Equal(t, []string{"before", "(a damaged log line)", "after"}, lines)
}
