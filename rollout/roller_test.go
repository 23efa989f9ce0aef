package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// world is a store and a fleet of nodes that do at once what they are assigned,
// unless become says otherwise.
type world struct {
	cast
	mu         sync.Mutex
	changed    chan struct{}
	rows       []models.Instance
	live       *models.ID
	generation uint64
	inForce    uint64
	observed   map[models.ID]protocol.InstanceStatus
	away       map[models.ID]bool // Nodes that are offline
	taken      int                // how often room is taken meanwhile
	trouble    string
	changes    []Change
	// become decides what a new Instance turns into; nil lets it be healthy.
	become func(models.Instance) protocol.InstanceStatus
	// lazy nodes put no Assignment into force by themselves.
	lazy     bool
	applyErr error
	// blind worlds offer Nodes that are offline.
	blind bool
}

func newWorld() *world {
	return &world{cast: newCast(1), changed: make(chan struct{}), observed: map[models.ID]protocol.InstanceStatus{}}
}

// let changes the world and wakes who waits for it.
func (w *world) let(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) Instances(context.Context, models.ID) ([]models.Instance, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.rows), nil
}

func (w *world) Await(ctx context.Context, _ models.ID) error { return ctx.Err() }

func (w *world) Offer(context.Context, models.ID) (Offer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	offer := Offer{Nodes: slices.Clone(w.nodes)}
	for i := range offer.Nodes {
		offer.Nodes[i].Offline = w.away[offer.Nodes[i].ID] && !w.blind
	}
	return offer, nil
}

func (w *world) Apply(ctx context.Context, change Change) (map[models.ID]uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.applyErr != nil {
		return nil, w.applyErr
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(change.Add) > 0 && w.taken > 0 {
		w.taken--
		return nil, models.Errorf(models.Unavailable, "%w", ErrRoomTaken)
	}
	w.changes = append(w.changes, change)
	w.rows = append(w.rows, change.Add...)
	w.rows = slices.DeleteFunc(w.rows, func(row models.Instance) bool {
		return slices.ContainsFunc(change.Remove, func(gone models.Instance) bool { return gone.ID == row.ID })
	})
	if change.Live != nil {
		w.live = change.Live
	}
	w.generation++
	return map[models.ID]uint64{w.nodes[0].ID: w.generation}, nil
}

func (w *world) RefreshLater(node models.ID) { w.Refresh(node) }

func (w *world) Refresh(models.ID) {
	w.let(func() {
		wanted := map[models.ID]protocol.InstanceStatus{}
		for _, row := range w.rows {
			status := protocol.InstanceStatus{State: string(models.InstanceHealthy)}
			if w.become != nil {
				status = w.become(row)
			}
			wanted[row.ID] = status
		}
		w.observed = wanted
		if !w.lazy {
			w.inForce = w.generation
		}
	})
}

func (w *world) Wait(ctx context.Context, condition func(View) (bool, error)) error {
	for {
		w.mu.Lock()
		done, err := condition(view{w})
		changed := w.changed
		w.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type view struct{ *world }

func (v view) Instance(id models.ID) (protocol.InstanceStatus, bool) {
	status, known := v.observed[id]
	return status, known
}
func (v view) Generation(models.ID) uint64 { return v.inForce }
func (v view) Online(node models.ID) bool  { return !v.away[node] }
func (v view) Trouble(models.ID) string    { return v.trouble }

type heard []string

func (h *heard) Say(format string, args ...any) { *h = append(*h, fmt.Sprintf(format, args...)) }
func (h *heard) Detail(string)                  {}

// serving is a world in which the old Release serves with one web Instance.
func serving() (*world, Want) {
	w := newWorld()
	w.rows = []models.Instance{w.instance(w.old, "web", 1)}
	w.observed[w.rows[0].ID] = protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	w.app.LiveReleaseID, w.live = &w.old.ID, &w.old.ID
	return w, Want{App: w.app, Release: w.new, Formation: models.Formation{"web": 2}}
}

func (w *world) roller() *Roller { return &Roller{Store: w, Fleet: w, Patience: time.Minute} }

func releases(rows []models.Instance) map[models.ID]int {
	counts := map[models.ID]int{}
	for _, row := range rows {
		counts[row.ReleaseID]++
	}
	return counts
}

func TestRoll(t *testing.T) {
	w, want := serving()
	outcome, err := w.roller().Roll(t.Context(), want, &heard{})
	require.NoError(t, err)
	require.Equal(t, 2, outcome.Healthy)
	require.Equal(t, map[models.ID]int{w.new.ID: 2}, releases(w.rows))
	require.Equal(t, w.new.ID, *w.live)
	require.Len(t, w.changes, 2)
	require.Nil(t, w.changes[0].Live, "the routes stay until all are healthy")
	require.Len(t, w.changes[1].Remove, 1, "and the old go with the switch")
}

func TestFailedInstanceUndoesTheRollout(t *testing.T) {
	w, want := serving()
	w.become = func(row models.Instance) protocol.InstanceStatus {
		if row.ReleaseID == w.new.ID && row.Ordinal == 2 {
			return protocol.InstanceStatus{State: string(models.InstanceFailed), Reason: "exited with code 1", Tail: []string{"boom"}}
		}
		return protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	}
	log := &heard{}
	_, err := w.roller().Roll(t.Context(), want, log)
	require.EqualError(t, err, "web.2 exited with code 1")
	require.Equal(t, models.Failed, models.CodeOf(err))
	require.Equal(t, map[models.ID]int{w.old.ID: 1}, releases(w.rows))
	require.Equal(t, w.old.ID, *w.live)
	require.Equal(t, heard{"", "   boom"}, *log)
}

// TestFailedScaleKeepsWhatServes: undoing takes only what was added when the
// wanted Release is live already.
func TestFailedScaleKeepsWhatServes(t *testing.T) {
	w, want := serving()
	want.Release = w.old
	w.become = func(row models.Instance) protocol.InstanceStatus {
		if row.Ordinal == 2 {
			return protocol.InstanceStatus{State: string(models.InstanceFailed), Reason: "is sick"}
		}
		return protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	}
	_, err := w.roller().Roll(t.Context(), want, &heard{})
	require.EqualError(t, err, "web.2 is sick")
	require.Equal(t, []string{"web.1"}, names(w.rows))
}

// TestEndMidwayLeavesTheRows, so that Roll can go on where it stopped.
func TestEndMidwayLeavesTheRows(t *testing.T) {
	w, want := serving()
	ctx, cancel := context.WithCancelCause(t.Context())
	w.become = func(row models.Instance) protocol.InstanceStatus {
		if row.ReleaseID == w.new.ID {
			cancel(errors.New("stop"))
			return protocol.InstanceStatus{State: string(models.InstanceStarting)}
		}
		return protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	}
	_, err := w.roller().Roll(ctx, want, &heard{})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, map[models.ID]int{w.old.ID: 1, w.new.ID: 2}, releases(w.rows))

	before := slices.Clone(w.rows)
	w.become = nil
	w.Refresh(w.nodes[0].ID)
	_, err = w.roller().Roll(t.Context(), want, &heard{})
	require.NoError(t, err)
	require.Equal(t, before[1:], w.rows, "what had begun was adopted")
}

// TestCutOverWaitsForTheGeneration: Roll must not return before the ingress
// leads to the new Release.
func TestCutOverWaitsForTheGeneration(t *testing.T) {
	w, want := serving()
	w.lazy = true
	done := make(chan error, 1)
	go func() {
		_, err := w.roller().Roll(t.Context(), want, &heard{})
		done <- err
	}()
	require.NoError(t, w.Wait(t.Context(), func(View) (bool, error) { return len(w.changes) == 2, nil }))
	select {
	case err := <-done:
		t.Fatalf("returned %v before the switch was in force", err)
	default:
	}
	w.let(func() { w.inForce = 1 })
	select {
	case err := <-done:
		t.Fatalf("returned %v on an older generation", err)
	default:
	}
	w.let(func() { w.inForce = 2 })
	require.NoError(t, <-done)
}

func TestPatience(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*world)
		want    string
	}{
		"slow":    {func(*world) {}, "gave up after 10ms: web.1 is not healthy yet"},
		"reason":  {func(w *world) { w.become = pulling }, "gave up after 10ms: web.1 pulls its image"},
		"offline": {func(w *world) { w.away, w.blind = map[models.ID]bool{w.nodes[0].ID: true}, true }, "the node of web.1 went offline"},
		"trouble": {func(w *world) { w.trouble = "Docker does not answer" }, "gave up after 10ms: Docker does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w, want := serving()
			want.Formation = models.Formation{"web": 1}
			w.become = func(models.Instance) protocol.InstanceStatus {
				return protocol.InstanceStatus{State: string(models.InstanceStarting)}
			}
			test.prepare(w)
			roller := w.roller()
			roller.Patience = 10 * time.Millisecond
			_, err := roller.Roll(t.Context(), want, &heard{})
			require.EqualError(t, err, test.want)
			require.Equal(t, models.Unavailable, models.CodeOf(err))
			require.Equal(t, map[models.ID]int{w.old.ID: 1}, releases(w.rows))
		})
	}
}

func pulling(models.Instance) protocol.InstanceStatus {
	return protocol.InstanceStatus{State: string(models.InstancePulling), Reason: "pulls its image"}
}

func TestStoreThatRefuses(t *testing.T) {
	w, want := serving()
	w.applyErr = errors.New("disk full")
	_, err := w.roller().Roll(t.Context(), want, &heard{})
	require.EqualError(t, err, "assign new instances: disk full")
}

// TestProofOnlyWhereSomethingServes: a first release and a scaled-down web have
// nothing to prove.
func TestProofOnlyWhereSomethingServes(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*world, *Want)
		want   int
	}{
		"next release":  {func(*world, *Want) {}, 1},
		"first release": {func(w *world, want *Want) { want.App.LiveReleaseID, w.rows = nil, nil }, 0},
		"stopped":       {func(_ *world, want *Want) { want.App.Stopped = true }, 0},
		"to nothing":    {func(_ *world, want *Want) { want.Formation = models.Formation{"web": 0} }, 0},
		"scale up":      {func(w *world, want *Want) { want.Release = w.old }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w, want := serving()
			test.change(w, &want)
			probed := 0
			roller := w.roller()
			roller.Probe = func(models.App) *Probe {
				probed++
				return &Probe{URL: "http://127.0.0.1:1/", Pause: time.Hour}
			}
			_, err := roller.Roll(t.Context(), want, &heard{})
			require.NoError(t, err)
			require.Equal(t, test.want, probed)
		})
	}
}
