package buildpipeline

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// crowd is a queue whose builds say who they are when their turn has come.
type crowd struct {
	*queue
	came  chan string
	leave map[string]func()
	mu    sync.Mutex
	group sync.WaitGroup
}

func newCrowd(concurrency, perOrganisation int) *crowd {
	return &crowd{queue: newQueue(concurrency, perOrganisation), came: make(chan string, 100), leave: map[string]func(){}}
}

// line lets a build stand in line, and returns once it does, or has its turn.
func (c *crowd) line(ctx context.Context, organisation models.ID, name string) {
	stands := make(chan struct{})
	var once sync.Once
	c.group.Go(func() {
		leave, err := c.enter(ctx, organisation, func(int) { once.Do(func() { close(stands) }) })
		if err != nil {
			once.Do(func() { close(stands) })
			return
		}
		c.mu.Lock()
		c.leave[name] = leave
		c.mu.Unlock()
		c.came <- name
		once.Do(func() { close(stands) })
	})
	<-stands
}

// ends ends the build of that name and returns whose turn comes.
func (c *crowd) ends(name string) string {
	c.mu.Lock()
	leave := c.leave[name]
	c.mu.Unlock()
	leave()
	return <-c.came
}

func TestTurnsGoRoundAmongOrganisations(t *testing.T) {
	c := newCrowd(1, 0)
	a, b := models.NewID(), models.NewID()
	c.line(t.Context(), a, "a1")
	require.Equal(t, "a1", <-c.came)
	for _, name := range []string{"a2", "a3", "a4"} {
		c.line(t.Context(), a, name)
	}
	c.line(t.Context(), b, "b1")
	c.line(t.Context(), b, "b2")
	require.Equal(t, "a2", c.ends("a1"))
	require.Equal(t, "b1", c.ends("a2"))
	require.Equal(t, "a3", c.ends("b1"))
	require.Equal(t, "b2", c.ends("a3"))
	require.Equal(t, "a4", c.ends("b2"))
	c.leave["a4"]()
	c.group.Wait()
	require.Equal(t, 1, c.free)
	require.Empty(t, c.running)
	require.Empty(t, c.order)
}

func TestOneOrganisationHasNoMoreThanItsShare(t *testing.T) {
	c := newCrowd(3, 2)
	a, b := models.NewID(), models.NewID()
	for _, name := range []string{"a1", "a2"} {
		c.line(t.Context(), a, name)
		require.Equal(t, name, <-c.came)
	}
	c.line(t.Context(), a, "a3")
	c.line(t.Context(), b, "b1")
	require.Equal(t, "b1", <-c.came)
	require.Equal(t, "a3", c.ends("a1"))
}

func TestWhoGivesUpLeavesNoGap(t *testing.T) {
	c := newCrowd(1, 0)
	a, b := models.NewID(), models.NewID()
	c.line(t.Context(), a, "a1")
	require.Equal(t, "a1", <-c.came)
	ctx, cancel := context.WithCancel(t.Context())
	c.line(ctx, b, "b1")
	c.line(t.Context(), a, "a2")
	cancel()
	require.Eventually(t, func() bool {
		c.queue.mu.Lock()
		defer c.queue.mu.Unlock()
		return len(c.order) == 1
	}, time.Minute, time.Millisecond)
	require.Equal(t, "a2", c.ends("a1"))
}
