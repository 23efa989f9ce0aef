package buildpipeline

import (
	"strings"
	"testing"
	"time"

	kitclient "github.com/moby/buildkit/client"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestCachesAreHeldPerApp: what an app's builds mount is counted as its own, and
// given up when it is too much; another app's stays.
func TestCachesAreHeldPerApp(t *testing.T) {
	one, other := newBench(t), newBench(t)
	fill := func(b *bench) {
		result, err := b.build(t.Context(), map[string]string{"Dockerfile": "FROM " + testBase +
			"\nRUN --mount=type=cache,target=/cache/x head -c 3000000 /dev/urandom > /cache/x/" + b.app.String() + " && echo \"in $0\"\n"})
		require.NoError(t, err)
		require.Contains(t, strings.Join(b.log.details(), "\n"), "in /bin/sh", "a command does not notice")
		history, err := b.docker.ImageHistory(t.Context(), result.Image)
		require.NoError(t, err)
		for _, layer := range history {
			require.NotContains(t, layer.CreatedBy, cacheMark)
		}
	}
	caches := func() map[models.ID]int64 {
		usage, err := one.DiskUsage(t.Context())
		require.NoError(t, err)
		return usage.Caches
	}
	fill(one)
	fill(other)
	require.GreaterOrEqual(t, caches()[one.app], int64(3000000))
	require.GreaterOrEqual(t, caches()[other.app], int64(3000000))
	require.NoError(t, one.pruneApps(t.Context(), 1<<40))
	require.NotZero(t, caches()[one.app], "within its budget")

	kit, err := one.buildkit(t.Context())
	require.NoError(t, err)
	defer kit.Close()
	records, err := kit.DiskUsage(t.Context())
	require.NoError(t, err)
	for _, record := range excess(records, 1) {
		if app, _ := cacheOwner(record.Description); app == one.app { // others' builds may run beside this
			require.NoError(t, kit.Prune(t.Context(), nil, kitclient.PruneAll, kitclient.WithFilter([]string{"id==" + record.ID})))
		}
	}
	require.Zero(t, caches()[one.app])
	require.NotZero(t, caches()[other.app])
}

// TestExcess gives up what was used longest ago, of those alone that have too much.
func TestExcess(t *testing.T) {
	big, small := models.NewID(), models.NewID()
	record := func(id string, app models.ID, size int64, minutes int) *kitclient.UsageInfo {
		used := time.Unix(0, 0).Add(time.Duration(minutes) * time.Minute)
		return &kitclient.UsageInfo{ID: id, Size: size, LastUsedAt: &used, Description: "cached mount /x from exec sh -c x sh " + cacheMark + app.String()}
	}
	busy := record("busy", big, 9, 0)
	busy.InUse = true
	records := []*kitclient.UsageInfo{
		record("old", big, 6, 1), record("new", big, 6, 3), record("middle", big, 4, 2), record("small", small, 10, 0), busy,
		{ID: "nobody's", Size: 100, Description: "pulled from x"},
	}
	var given []string
	for _, one := range excess(records, 10) {
		given = append(given, one.ID)
	}
	require.Equal(t, []string{"old"}, given)
}
