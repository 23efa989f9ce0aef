package platform

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
	"github.com/stretchr/testify/require"
)

// overcommitted names the nodes that have promised more than they may.
func (p *Platform) overcommitted(ctx context.Context) ([]string, error) {
	nodes, err := p.candidates(ctx)
	var over []string
	for _, node := range nodes {
		if node.Reserved.MemoryBytes > node.Capacity.MemoryBytes || node.Reserved.CPUMillis > node.Capacity.CPUMillis {
			over = append(over, fmt.Sprintf("%s: %v of %v", node.Name, node.Reserved, node.Capacity))
		}
	}
	return over, err
}

// crowd makes apps and deploys an image to all of them at once, on control planes in
// turn. It returns how many are live, and why the others are not.
func crowd(t *testing.T, s *stage, count int, planes ...*Platform) (live int, refused []string) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range count {
		plane := planes[i%len(planes)]
		app, err := plane.CreateApp(t.Context(), s.actor, NewApp{Name: fmt.Sprintf("app-%d", i)})
		require.NoError(t, err)
		all.Go(func() {
			build, err := plane.DeployImage(t.Context(), s.actor, app, "example/app:1")
			if err == nil {
				err = plane.BuildLog(t.Context(), build, 0, true, func(logs.Entry) error { return nil })
			}
			if err != nil {
				t.Error(err)
				return
			}
			build, _ = plane.Store.Build(t.Context(), build.ID)
			app, _ = plane.Store.App(t.Context(), app.ID)
			mu.Lock()
			defer mu.Unlock()
			if app.LiveReleaseID != nil {
				live++
			} else {
				refused = append(refused, build.Error)
			}
		})
	}
	all.Wait()
	return live, refused
}

// guard looks at what is promised until ctx ends, without a pause.
func (p *Platform) guard(ctx context.Context, t *testing.T) (looks int) {
	for ; ctx.Err() == nil; looks++ {
		over, err := p.overcommitted(ctx)
		if ctx.Err() == nil && (err != nil || len(over) > 0) {
			t.Errorf("overcommitted: %v, %v", over, err)
			return looks
		}
	}
	return looks
}

// TestFiftyDeploymentsOnNearlyFullNodes, by two control planes: what fits is live,
// what does not is refused, and nothing is promised twice at any moment.
func TestFiftyDeploymentsOnNearlyFullNodes(t *testing.T) {
	s := newStage(t)
	first := s.Platform
	s.open(t)
	second := s.Platform
	yes := true
	_, err := s.ChangeNode(t.Context(), s.actor, "local", "", NodeChange{Cordoned: &yes})
	require.NoError(t, err)
	for i := range 5 { // each has room for 7 basic instances
		s.join(t, fmt.Sprintf("n%d", i), 2, 4*gib)
	}
	_, err = s.push(t, 1)
	require.NoError(t, err)
	require.NoError(t, s.Scale(t.Context(), s.actor, s.live(t), models.Formation{"web": 5}, silent{}))

	ctx, cancel := context.WithCancel(t.Context())
	looks := make(chan int)
	go func() { looks <- first.guard(ctx, t) }()
	live, refused := crowd(t, s, 50, first, second)
	cancel()
	require.Positive(t, <-looks)
	require.Equal(t, 35-5, live)
	require.Len(t, refused, 20)
	for _, why := range refused {
		require.Contains(t, why, "there is no room: the app needs 1 × 512 MB and 1 CPU; the nodes have room for 0: memory is short by")
		require.Contains(t, why, "left out: 1 cordoned")
	}
	over, err := s.overcommitted(t.Context())
	require.NoError(t, err)
	require.Empty(t, over)

	_, err = s.push(t, 2)
	require.ErrorContains(t, err, "The 5 that run keep their room until new ones are healthy, so nothing was stopped")
	require.Len(t, s.rows(t), 5)
	require.NoError(t, s.watchCapacity(t.Context(), now()))
	require.NoError(t, s.watchCapacity(t.Context(), now()))
	require.Equal(t, 6, s.notices(t)["capacity.low"], "five nodes and their region, once")
}

// TestDrainNeedsRoom: what cannot be moved runs on, and is named.
func TestDrainNeedsRoom(t *testing.T) {
	s, b, c := threeNodes(t)
	ctx := t.Context()
	before := s.rows(t)
	require.NoError(t, s.DrainNode(ctx, s.actor, "b", silent{}))
	rows := s.rows(t)
	require.Empty(t, rows[b.ID])
	require.Contains(t, rows[c.ID], before[c.ID][0], "what is elsewhere stays")
	yes := true
	_, err := s.ChangeNode(ctx, s.actor, "local", "", NodeChange{Cordoned: &yes})
	require.NoError(t, err)
	err = s.DrainNode(ctx, s.actor, "c", silent{})
	require.ErrorContains(t, err, "1 of 1 apps could not be moved off c: shop: no node can take the app: it needs")
	require.True(t, models.IsCode(err, models.Unavailable))
	require.Equal(t, rows[c.ID], s.rows(t)[c.ID])
}

func TestNodeOptionsAreChecked(t *testing.T) {
	s := newStage(t)
	number := func(value int) *int { return &value }
	for field, change := range map[string]OptionsChange{
		"cpu_overcommit_percent":    {CPUOvercommitPercent: number(0)},
		"memory_overcommit_percent": {MemoryOvercommitPercent: number(5000)},
		"lost_after_seconds":        {LostAfterSeconds: number(1)},
	} {
		_, err := s.ChangeOptions(t.Context(), s.actor, change)
		require.True(t, models.IsCode(err, models.Invalid), field)
		require.Equal(t, field, models.AsError(err).Field)
	}
	options, err := s.ChangeOptions(t.Context(), s.actor, OptionsChange{MemoryOvercommitPercent: number(200)})
	require.NoError(t, err)
	require.Equal(t, 1000, options.CPUOvercommitPercent, "the others stay")
	regions, err := s.Capacity(t.Context(), s.actor)
	require.NoError(t, err)
	require.InDelta(t, 2*0.9*64*float64(gib), float64(regions[0].MemoryBytes), float64(mib))
	require.Equal(t, int64(160_000), regions[0].CPUMillis)
}
