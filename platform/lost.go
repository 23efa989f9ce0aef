package platform

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

// sight is since when this process has seen any node without a break. A node that
// is missed since before is not missed because it is gone: nobody was looking.
type sight struct {
	mu    sync.Mutex
	since time.Time
	// replacing are the nodes whose Instances are being replaced.
	replacing map[models.ID]bool
}

func (s *sight) begin(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = at
}

func (s *sight) began() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

// claim returns false while somebody replaces what the node ran.
func (s *sight) claim(node models.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replacing[node] {
		return false
	}
	if s.replacing == nil {
		s.replacing = map[models.ID]bool{}
	}
	s.replacing[node] = true
	return true
}

func (s *sight) release(node models.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.replacing, node)
}

// LostAfter is how long a node may be offline until it is lost.
func (p *Platform) LostAfter(ctx context.Context) time.Duration {
	options, err := p.Options(ctx)
	if err != nil {
		options = defaultOptions()
	}
	return time.Duration(options.LostAfterSeconds) * time.Second
}

// comesBack notes that a node is about to be online: that it was lost, and that it is
// the first one to be seen again.
func (p *Platform) comesBack(ctx context.Context, id models.ID) {
	if seen, err := p.Store.AnyOnline(ctx); err == nil && !seen {
		p.sight.begin(now())
	}
	node, err := p.Store.Node(ctx, id)
	if err == nil && node.LostAt != nil {
		p.record(ctx, models.Actor{Name: "sky"}, fact{kind: "node.returned", detail: node.Name})
	}
}

func isOnline(node models.Node) bool { return node.State == models.NodeOnline }

// isLost reports whether a node has been offline for too long, as far as anybody
// looked.
func isLost(node models.Node, seeing, at time.Time, after time.Duration) bool {
	if node.State != models.NodeOffline || node.OfflineSince == nil {
		return false
	}
	since := *node.OfflineSince
	if seeing.After(since) {
		since = seeing
	}
	return !at.Before(since.Add(after))
}

// replaceLost has what lost nodes ran replaced elsewhere. While no node is online,
// it is more likely that this process is cut off than that all are gone, and none is lost.
func (p *Platform) replaceLost(ctx context.Context, at time.Time) error {
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(nodes, isOnline) {
		p.sight.begin(at)
		return nil
	}
	after := p.LostAfter(ctx)
	for _, node := range nodes {
		if node.LostAt == nil && !isLost(node, p.sight.began(), at, after) {
			continue
		}
		if err := p.declareLost(ctx, node, at); err != nil {
			return err
		}
		if p.sight.claim(node.ID) {
			p.chores.Go(func() {
				defer p.sight.release(node.ID)
				p.evacuate(p.ctx, node.ID)
			})
		}
	}
	return nil
}

// declareLost marks a node as lost and ends the usage of what it ran, which nobody
// has had since the node went offline.
func (p *Platform) declareLost(ctx context.Context, node models.Node, at time.Time) error {
	if node.LostAt != nil {
		return nil
	}
	what := notice{
		kind: "node.lost", ref: node.Name + " " + node.OfflineSince.Format(time.RFC3339Nano),
		text: "The node " + node.Name + " has been offline for too long. What it ran starts on other nodes.",
	}
	var ended []models.ID
	err := p.alertIf(ctx, what, func(tx *store.Store) (bool, error) {
		lost, err := tx.NodeLost(ctx, node.ID, at)
		if err != nil || !lost {
			return false, err
		}
		instances, err := tx.InstancesOnNode(ctx, node.ID)
		for _, instance := range instances {
			ended = append(ended, instance.ID)
		}
		if err != nil {
			return false, err
		}
		return true, tx.CloseUsage(ctx, ended, *node.OfflineSince)
	})
	if err == nil {
		p.meter.set(ended, false)
	}
	return err
}

// evacuations is how many Apps of a lost node start elsewhere at once.
const evacuations = 4

// evacuate replaces what a lost node ran, App by App. What could not be replaced is
// told, and tried again by the next chore.
func (p *Platform) evacuate(ctx context.Context, node models.ID) {
	apps, err := p.appsOn(ctx, node)
	if err != nil {
		p.Log.Error("list what a lost node ran", "node", node, "error", err)
		return
	}
	turns := make(chan struct{}, evacuations)
	var moves sync.WaitGroup
	for _, app := range apps {
		turns <- struct{}{}
		moves.Go(func() {
			defer func() { <-turns }()
			if err := p.leaveLost(ctx, app, node); err != nil && !p.stopping(err) {
				p.tellStranded(ctx, app, node, err)
			}
		})
	}
	moves.Wait()
}

// leaveLost replaces the App's Instances on lost nodes, in its live Release.
func (p *Platform) leaveLost(ctx context.Context, app models.App, node models.ID) error {
	err := p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		lost, gone, err := p.onLost(ctx, app.ID)
		if err != nil || !lost[node] || len(gone) == 0 { // it came back, or others were quicker
			return err
		}
		if app.LiveReleaseID == nil || app.Stopped || app.Suspended {
			return p.change(ctx, rollout.Change{App: app.ID, Remove: gone})
		}
		release, err := p.Store.Release(ctx, *app.LiveReleaseID)
		if err != nil {
			return err
		}
		if err := p.deliver(ctx, &release); err != nil {
			return err
		}
		want := rollout.Want{App: app, Release: release, Formation: formation(app, release), Leave: lost}
		if _, err := p.Roller.Roll(ctx, want, quiet{}); err != nil {
			return err
		}
		p.record(ctx, models.Actor{Name: "sky"}, fact{kind: "app.replaced", detail: fmt.Sprintf("%d instances of lost nodes", len(gone)), app: &app})
		return nil
	})
	if models.IsCode(err, models.NotFound) {
		return nil // the App was deleted meanwhile
	}
	return err
}

// onLost returns the nodes that are lost, and the App's Instances there.
func (p *Platform) onLost(ctx context.Context, app models.ID) (map[models.ID]bool, []models.Instance, error) {
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return nil, nil, err
	}
	lost := map[models.ID]bool{}
	for _, node := range nodes {
		if node.LostAt != nil {
			lost[node.ID] = true
		}
	}
	instances, err := p.Store.Instances(ctx, app)
	return lost, slices.DeleteFunc(instances, func(instance models.Instance) bool {
		return !lost[instance.NodeID] || instance.OneOff() // who waits for that lets go of it
	}), err
}

// tellStranded tells the admins and the App's people, once for each time that a node
// is lost, that Instances could not be replaced.
func (p *Platform) tellStranded(ctx context.Context, app models.App, id models.ID, why error) {
	p.Log.Warn("replace instances of a lost node", "app", app.Name, "node", id, "error", why)
	node, err := p.Store.Node(ctx, id)
	if err == nil && node.LostAt != nil {
		what := notice{
			kind: "app.stranded", app: &app, ref: app.ID.String() + " " + id.String() + " " + node.LostAt.Format(time.RFC3339Nano),
			text: narrative.Clean(fmt.Sprintf("Instances of %s ran on the node %s, which is lost, and could not start elsewhere: %s. It is tried again every minute.",
				app.Name, node.Name, told(why))),
		}
		err = p.alertIf(ctx, what, func(*store.Store) (bool, error) { return true, nil })
	}
	if err != nil && ctx.Err() == nil {
		p.Log.Error("tell that instances are stranded", "app", app.Name, "error", err)
	}
}
