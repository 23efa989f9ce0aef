package agent

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/stretchr/testify/require"
)

// shelf is an engine's images by name.
type shelf map[string]string

func (s shelf) PulledImages(context.Context) (map[string]string, error) { return maps.Clone(s), nil }
func (s shelf) RemoveImage(_ context.Context, name string) error {
	delete(s, name)
	return nil
}

func TestImagesGoWhenTheyAreIdleTwice(t *testing.T) {
	images := shelf{"new": "sha256:2", "old": "sha256:1"}
	a := &Agent{}
	idle, err := a.sweepImages(t.Context(), images, map[string]bool{"new": true, "old": true})
	require.NoError(t, err)
	require.Empty(t, idle)
	require.Len(t, images, 2, "without an assignment nothing is known to be idle")

	a.known, a.assignment = true, protocol.Assignment{Instances: []protocol.Instance{{Image: "sha256:2"}}}
	idle, err = a.sweepImages(t.Context(), images, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"old": true}, idle)
	require.Len(t, images, 2)
	_, err = a.sweepImages(t.Context(), images, idle)
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, slices.Collect(maps.Keys(images)))
}

func TestOnlyOurDoorsNamesCount(t *testing.T) {
	const digest = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	for name, ours := range map[string]bool{
		"127.0.0.1:40123/01a21de8-adc5-7019-a80f-d21b1678c517" + digest: true,
		"127.0.0.1:5000/library/redis" + digest:                         false,
		"registry.example.com/01a21de8-adc5-7019-a80f-d21b1678c517":     false,
		"redis" + digest: false,
		"":               false,
	} {
		require.Equal(t, ours, ourDoors(name), name)
	}
}
