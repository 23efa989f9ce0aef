package platform

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
	"github.com/stretchr/testify/require"
)

// tailOf returns the last lines of the App's log as `sky logs` asks for them.
func (s *stage) tailOf(t *testing.T, app models.App, lines int) []string {
	t.Helper()
	offset, err := s.AppLogTail(t.Context(), app, lines)
	require.NoError(t, err)
	var got []string
	require.NoError(t, s.AppLog(t.Context(), app, offset, false, func(entry logs.Entry) error {
		got = append(got, entry.Text)
		return nil
	}))
	return got
}

func TestATailHasWholeLinesHoweverLong(t *testing.T) {
	s := newStage(t)
	app := models.App{ID: models.NewID()}
	require.Empty(t, s.tailOf(t, app, 3))
	header := protocol.StreamHeader{AppID: app.ID.String(), Instance: "i", Process: "web", Ordinal: 1}
	var all []string
	for i := range 30 {
		text := fmt.Sprint(i, strings.Repeat("x", i*i*10))
		all = append(all, text)
		require.NoError(t, s.Append(t.Context(), header, protocol.LogLine{Time: time.Now(), Text: text}))
	}
	for _, lines := range []int{1, 2, 3, 29, 30} {
		require.Equal(t, all[len(all)-lines:], s.tailOf(t, app, lines), "%d lines", lines)
	}
	require.Equal(t, all, s.tailOf(t, app, 1000))
	require.Empty(t, s.tailOf(t, app, 0))
}
