package platform

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

const (
	joinTokenLife = time.Hour
	defaultRegion = "default"
)

// EnsureNode returns the Node of this name and makes it where there is none.
func (p *Platform) EnsureNode(ctx context.Context, name string) (models.Node, error) {
	node, err := p.Store.NodeByName(ctx, name)
	if !models.IsCode(err, models.NotFound) {
		return node, err
	}
	node = models.Node{ID: models.NewID(), Name: name, State: models.NodePending, Region: defaultRegion, CreatedAt: now()}
	return node, p.Store.CreateNode(ctx, &node)
}

// AddNode makes a Node and returns the single-use token that registers its
// agent.
func (p *Platform) AddNode(ctx context.Context, actor models.Actor, name, region string) (models.Node, string, error) {
	if err := permitPlatform(actor); err != nil {
		return models.Node{}, "", err
	}
	if region == "" {
		region = defaultRegion
	}
	if err := checkRegionName(region); err != nil {
		return models.Node{}, "", err
	}
	if err := models.CheckAppName(name); err != nil {
		return models.Node{}, "", models.Errorf(models.Invalid, "node name %q is not allowed", narrative.Clean(name)).WithField("name").
			WithRemedy("use lower-case letters, digits and dashes")
	}
	secret := newSecret()
	expires := now().Add(joinTokenLife)
	node := models.Node{
		ID: models.NewID(), Name: name, State: models.NodePending, Region: region, JoinHash: hashToken(secret),
		JoinExpiresAt: &expires, CreatedAt: now(),
	}
	err := p.commit(ctx, actor, fact{kind: "node.add", detail: name}, func(tx *store.Store) error {
		return taken(tx.CreateNode(ctx, &node), "node", name)
	})
	return node, p.joinToken(secret), err
}

// joinToken is what an admin hands to a machine: it registers, and knows us by our
// authority where we have one of our own.
func (p *Platform) joinToken(secret string) string {
	return protocol.JoinToken(secret, protocol.Pin(p.Settings.AgentCA))
}

// NodesAsked narrows a list of Nodes.
type NodesAsked struct {
	Region string
	State  string
	Search string
}

// NodeView is a Node with what is promised to the Instances on it.
type NodeView struct {
	models.Node
	Instances      int
	ReservedMillis int64 // of CPU
	ReservedBytes  int64 // of memory
}

// Nodes lists nodes, for an admin of the platform.
func (p *Platform) Nodes(ctx context.Context, actor models.Actor, asked NodesAsked, page models.PageRequest) (models.Page[NodeView], error) {
	if err := permitPlatform(actor); err != nil {
		return models.Page[NodeView]{}, err
	}
	rows, err := p.Store.NodePage(ctx, store.NodeFilter(asked), page)
	if err != nil {
		return models.Page[NodeView]{}, err
	}
	reserved, err := p.Store.Reserved(ctx)
	views := models.Page[NodeView]{Next: rows.Next}
	for _, row := range rows.Items {
		views.Items = append(views.Items, nodeView(p.loads.latest(row), reserved[row.ID]))
	}
	return views, err
}

func nodeView(node models.Node, reserved store.Reservation) NodeView {
	return NodeView{node, reserved.Instances, reserved.CPUMillis, reserved.MemoryBytes}
}

// Node returns the named node, for an admin of the platform.
func (p *Platform) Node(ctx context.Context, actor models.Actor, name string) (NodeView, error) {
	if err := permitPlatform(actor); err != nil {
		return NodeView{}, err
	}
	node, err := p.Store.NodeByName(ctx, name)
	if models.IsCode(err, models.NotFound) {
		return NodeView{}, models.Errorf(models.NotFound, "there is no node %q", narrative.Clean(name)).WithField("node").
			WithRemedy("`sky admin nodes list` shows them")
	}
	if err != nil {
		return NodeView{}, err
	}
	reserved, err := p.Store.Reserved(ctx)
	return nodeView(p.loads.latest(node), reserved[node.ID]), err
}

func checkRegionName(name string) error {
	if models.CheckAppName(name) == nil {
		return nil
	}
	return models.Errorf(models.Invalid, "that is not a region's name").WithField("region").
		WithRemedy("use lower-case letters, digits and dashes")
}

// NodeChange are the settings to change; nil leaves one as it is.
type NodeChange struct {
	Region   *string
	Cordoned *bool
}

// ChangeNode changes a node. A cordoned one keeps what it runs and gets nothing
// new.
func (p *Platform) ChangeNode(ctx context.Context, actor models.Actor, name, revision string, change NodeChange) (NodeView, error) {
	view, err := p.Node(ctx, actor, name)
	if err != nil {
		return NodeView{}, err
	}
	if change.Region != nil {
		if err := checkRegionName(*change.Region); err != nil {
			return NodeView{}, err
		}
	}
	err = p.commit(ctx, actor, fact{kind: "node.change", detail: name}, func(tx *store.Store) error {
		view.Node, err = tx.UpdateNode(ctx, view.ID, func(row *models.Node) error {
			put(&row.Region, change.Region)
			put(&row.Cordoned, change.Cordoned)
			return models.CheckRevision(revision, row.Revision())
		})
		return err
	})
	return view, err
}

// DrainNode cordons a node and moves what it runs to others, app by app, without
// losing a request. It returns when nothing is left on it, or with what could
// not be moved and why; calling it again goes on.
func (p *Platform) DrainNode(ctx context.Context, actor models.Actor, name string, log rollout.Log) error {
	cordoned := true
	view, err := p.ChangeNode(ctx, actor, name, "", NodeChange{Cordoned: &cordoned})
	if err != nil {
		return err
	}
	p.record(ctx, actor, fact{kind: "node.drain", detail: name})
	apps, err := p.appsOn(ctx, view.ID)
	if err != nil {
		return err
	}
	var stuck []string
	for _, app := range apps {
		err := p.moveApp(ctx, app, map[models.ID]bool{view.ID: true}, log)
		if p.stopping(err) || (err != nil && ctx.Err() != nil) {
			return err
		}
		if err != nil {
			stuck = append(stuck, app.Name+": "+told(err))
		}
	}
	if len(stuck) == 0 {
		return nil
	}
	return models.Errorf(models.Unavailable, "%d of %d apps could not be moved off %s: %s", len(stuck), len(apps), name, strings.Join(stuck, "; ")).
		WithRemedy("they run on there; make room and drain again")
}

// told is what may be told of an error: not what broke inside Sky.
func told(err error) string {
	if coded := models.AsError(err); coded != nil {
		return coded.Message
	}
	return "a fault of Sky's; its log has more"
}

// appsOn lists the Apps that have Instances on a Node, oldest first.
func (p *Platform) appsOn(ctx context.Context, node models.ID) ([]models.App, error) {
	instances, err := p.Store.InstancesOnNode(ctx, node)
	if err != nil {
		return nil, err
	}
	var ids []models.ID
	for _, instance := range instances {
		if !slices.Contains(ids, instance.AppID) {
			ids = append(ids, instance.AppID)
		}
	}
	found, err := p.Store.AppsByID(ctx, ids)
	apps := make([]models.App, 0, len(found))
	for _, id := range ids {
		if app, there := found[id]; there {
			apps = append(apps, app)
		}
	}
	return apps, err
}

// moveApp replaces the App's Instances on the Nodes to leave, and no others.
func (p *Platform) moveApp(ctx context.Context, app models.App, leave map[models.ID]bool, log rollout.Log) error {
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		if app.LiveReleaseID == nil || app.Stopped || app.Suspended {
			return nil
		}
		release, err := p.Store.Release(ctx, *app.LiveReleaseID)
		if err != nil {
			return err
		}
		return p.roll(ctx, rollout.Want{App: app, Release: release, Formation: formation(app, release), Leave: leave}, log)
	})
}

// RemoveNode deletes a node that runs nothing. Its agent's credential is refused
// from then on.
func (p *Platform) RemoveNode(ctx context.Context, actor models.Actor, name string) error {
	view, err := p.Node(ctx, actor, name)
	if err != nil {
		return err
	}
	return p.commit(ctx, actor, fact{kind: "node.remove", detail: name}, func(tx *store.Store) error { return tx.DeleteNode(ctx, view.ID) })
}

// RejoinNode makes a fresh join token for a node whose agent lost its
// credential, or never came. The former token is void.
func (p *Platform) RejoinNode(ctx context.Context, actor models.Actor, name string) (models.Node, string, error) {
	view, err := p.Node(ctx, actor, name)
	if err != nil {
		return models.Node{}, "", err
	}
	secret, expires := newSecret(), now().Add(joinTokenLife)
	err = p.commit(ctx, actor, fact{kind: "node.rejoin", detail: name}, func(tx *store.Store) error {
		view.Node, err = tx.UpdateNode(ctx, view.ID, func(row *models.Node) error {
			row.JoinHash, row.JoinExpiresAt = hashToken(secret), &expires
			return nil
		})
		return err
	})
	return view.Node, p.joinToken(secret), err
}
