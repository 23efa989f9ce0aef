package logs

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, dir string) *Hub {
	t.Helper()
	hub, err := Open(dir)
	require.NoError(t, err)
	hub.segmentBytes, hub.keepBytes = 500, 2000
	t.Cleanup(func() { require.NoError(t, hub.Close()) })
	return hub
}

func texts(t *testing.T, hub *Hub, name string, offset int64) (lines []string, next int64) {
	t.Helper()
	next = offset
	require.NoError(t, hub.Read(t.Context(), name, offset, false, func(entry Entry) error {
		lines, next = append(lines, entry.Text), entry.Offset
		return nil
	}))
	return lines, next
}

func TestReadersContinueFromAnyOffsetAcrossSegmentsAndRestarts(t *testing.T) {
	dir := t.TempDir()
	hub := open(t, dir)
	for i := range 20 {
		require.NoError(t, hub.Append("builds/1", Entry{Kind: Say, Text: fmt.Sprint(i)}))
	}
	all, end := texts(t, hub, "builds/1", 0)
	require.Len(t, all, 20)
	packed, err := filepath.Glob(filepath.Join(dir, "builds/1/*"+packedSuffix))
	require.NoError(t, err)
	require.NotEmpty(t, packed)

	again := open(t, dir)
	require.NoError(t, again.Append("builds/1", Entry{Kind: Say, Text: "after"}))
	rest, _ := texts(t, again, "builds/1", end)
	require.Equal(t, []string{"after"}, rest)
}

func TestOldSegmentsAreDroppedAndReadersBeginAtTheOldestKept(t *testing.T) {
	hub := open(t, t.TempDir())
	for i := range 200 {
		require.NoError(t, hub.Append("apps/1", Entry{Kind: Stdout, Text: fmt.Sprint(i)}))
	}
	kept, _ := texts(t, hub, "apps/1", 0)
	require.Less(t, len(kept), 100)
	require.Equal(t, "199", kept[len(kept)-1])
}

func TestFollowersSeeEveryEntryOnceAndEndWithTheStream(t *testing.T) {
	hub := open(t, t.TempDir())
	got := make(chan []string, 1)
	go func() {
		var lines []string
		err := hub.Read(context.WithoutCancel(t.Context()), "builds/2", 0, true, func(entry Entry) error {
			lines = append(lines, entry.Text)
			return nil
		})
		if err != nil {
			lines = append(lines, err.Error())
		}
		got <- lines
	}()
	want := []string{}
	for i := range 50 {
		want = append(want, fmt.Sprint(i))
		require.NoError(t, hub.Append("builds/2", Entry{Kind: Say, Text: fmt.Sprint(i)}))
	}
	require.NoError(t, hub.Append("builds/2", Entry{Kind: End}))
	require.Equal(t, append(want, ""), <-got)
}

func TestACutLineDamagesNoOther(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "apps/3"), 0o700))
	file := filepath.Join(dir, "apps/3", fmt.Sprintf("%020d.log", 0))
	require.NoError(t, os.WriteFile(file, []byte(`{"k":"say","x":"whole"}`+"\n"+`{"k":"say","x":"cu`), 0o600))
	hub := open(t, dir)
	require.NoError(t, hub.Append("apps/3", Entry{Kind: Say, Text: "next"}))
	lines, _ := texts(t, hub, "apps/3", 0)
	require.Equal(t, []string{"whole", "(a damaged log line)", "next"}, lines)
}

func TestLastTimeSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	require.NoError(t, open(t, dir).Append("apps/4", Entry{Kind: Stdout, Instance: "a", Time: at, Text: "x"}))
	got, err := open(t, dir).LastTime("apps/4", "a")
	require.NoError(t, err)
	require.True(t, at.Equal(got))
}

func TestNamesStayInside(t *testing.T) {
	require.Error(t, open(t, t.TempDir()).Append("../x", Entry{}))
}
