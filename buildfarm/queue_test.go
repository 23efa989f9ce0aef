package buildfarm

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
	on    map[string]*machine
	mu    sync.Mutex
	group sync.WaitGroup
}

// newCrowd has one machine, with so many places.
func newCrowd(places, perOrganisation int) *crowd {
	c := &crowd{queue: newQueue(perOrganisation), came: make(chan string, 100), leave: map[string]func(){}, on: map[string]*machine{}}
	c.join(&machine{places: places})
	return c
}

// line lets a build stand in line, and returns once it does, or has its turn.
func (c *crowd) line(ctx context.Context, organisation models.ID, name string) {
	c.lineOf(ctx, models.NewID(), organisation, name, false)
}

func (c *crowd) lineOf(ctx context.Context, app, organisation models.ID, name string, again bool) {
	stands := make(chan struct{})
	var once sync.Once
	c.group.Go(func() {
		on, leave, err := c.enter(ctx, app, organisation, again, func(int) { once.Do(func() { close(stands) }) })
		if err != nil {
			once.Do(func() { close(stands) })
			return
		}
		c.mu.Lock()
		c.leave[name], c.on[name] = leave, on
		c.mu.Unlock()
		c.came <- name
		once.Do(func() { close(stands) })
	})
	<-stands
}

// end ends the build of that name.
func (c *crowd) end(name string) {
	c.mu.Lock()
	leave := c.leave[name]
	c.mu.Unlock()
	leave()
}

// ends ends the build of that name and returns whose turn comes.
func (c *crowd) ends(name string) string {
	c.end(name)
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
	c.end("a4")
	c.group.Wait()
	require.Empty(t, c.machines[0].builds)
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

func TestWhoComesAgainGoesFirst(t *testing.T) {
	c := newCrowd(1, 0)
	a := models.NewID()
	c.line(t.Context(), a, "a1")
	require.Equal(t, "a1", <-c.came)
	c.line(t.Context(), a, "a2")
	c.lineOf(t.Context(), models.NewID(), a, "again", true)
	require.Equal(t, "again", c.ends("a1"))
	require.Equal(t, "a2", c.ends("again"))
}

// TestAppsComeBackToTheirMachine: an App is built where it was built before, as long
// as there is a place; and Apps are spread.
func TestAppsComeBackToTheirMachine(t *testing.T) {
	c := newCrowd(1, 0)
	c.part(c.machines[0])
	for range 3 {
		c.join(&machine{id: models.NewID(), places: 2})
	}
	used := map[*machine]bool{}
	for range 40 {
		app := models.NewID()
		c.lineOf(t.Context(), app, models.NewID(), "first", false)
		<-c.came
		home := c.on["first"]
		used[home] = true
		require.True(t, c.builds(home.id, app))
		c.lineOf(t.Context(), app, models.NewID(), "second", false)
		<-c.came
		require.Same(t, home, c.on["second"])
		c.lineOf(t.Context(), app, models.NewID(), "third", false)
		<-c.came
		require.NotSame(t, home, c.on["third"], "it has two places")
		for _, name := range []string{"first", "second", "third"} {
			c.end(name)
		}
		require.False(t, c.builds(home.id, app))
	}
	require.Len(t, used, 3)
}
