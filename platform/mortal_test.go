package platform

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

// life is a control plane's, which is killed before one of its steps: a commit, a
// ref that moves, word to a node. Nothing that it does from then on has effect.
type life struct {
	mu   sync.Mutex
	left int // steps until it is killed; below zero it never is
	dead bool
	end  func()
}

var errKilled = errors.New("killed")

func (l *life) step() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 && !l.dead {
		l.dead = true
		l.end()
	}
	if l.dead {
		return errKilled
	}
	l.left--
	return nil
}

// endAfter has it killed once it has made so many steps more.
func (l *life) endAfter(steps int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left = steps
}

func (l *life) goesOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.dead
}

// lives are those that new connections to an SQLite file serve, by its URL.
var lives sync.Map

// countCommits makes each commit of a connection a step of the life that it serves:
// SQLite itself refuses those of the dead.
func countCommits(conn sqlite.ExecQuerierContext, dsn string) error {
	file, _, _ := strings.Cut(dsn, "?")
	served, mortal := lives.Load(file)
	if !mortal {
		return nil
	}
	conn.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 {
		if served.(*life).step() != nil {
			return 1
		}
		return 0
	})
	return nil
}

// mortalRepositories move no refs for the dead.
type mortalRepositories struct {
	*repositories
	life *life
}

func (r mortalRepositories) UpdateRefs(ctx context.Context, app models.ID, updates []*models.RefUpdate, atomic bool) error {
	if err := r.life.step(); err != nil {
		return err
	}
	return r.repositories.UpdateRefs(ctx, app, updates, atomic)
}

func (r mortalRepositories) Keep(context.Context, models.ID, string, string) error {
	return r.life.step()
}

// mortalNodes hear nothing from the dead. What they hear of, they start; it is healthy,
// or has ended, and is reported, once somebody waits.
type mortalNodes struct {
	*nodes
	life *life
	hall []models.Node
	turn *sync.Mutex // held from an Assignment's making until its node has heard it
	look func(node models.ID)
}

func (n mortalNodes) Refresh(node models.ID) {
	n.turn.Lock()
	defer n.turn.Unlock()
	if n.life.step() != nil {
		return
	}
	n.look(node)
	n.nodes.Refresh(node)
}

func (n mortalNodes) RefreshLater(node models.ID) { n.Refresh(node) }

func (n mortalNodes) Wait(ctx context.Context, condition func(rollout.View) (bool, error)) error {
	n.goOn()
	return n.nodes.Wait(ctx, condition)
}

func (n mortalNodes) goOn() {
	n.turn.Lock()
	defer n.turn.Unlock()
	if !n.life.goesOn() {
		return
	}
	for _, node := range n.hall {
		n.nodes.Refresh(node.ID)
		n.platform.Observed(context.Background(), node.ID, n.report(node.ID))
	}
}

func (n *nodes) isHealthy(instance models.ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.observed[instance].State == protocol.StateHealthy
}

// report is what a node's agent observes.
func (n *nodes) report(node models.ID) protocol.Observed {
	n.mu.Lock()
	defer n.mu.Unlock()
	var observed protocol.Observed
	for id, at := range n.on {
		if at == node {
			observed.Instances = append(observed.Instances, n.observed[id])
		}
	}
	return observed
}

// mortals is a stage whose control planes are killed, and follow one another. It
// watches every Assignment that they hand out.
type mortals struct {
	*stage
	t    *testing.T
	hall []models.Node

	turn        sync.Mutex
	mu          sync.Mutex
	heard       map[string]bool      // Instances that an agent was assigned
	releases    map[string]models.ID // by Instance
	commands    map[string]string    // the Instance that runs a Release's command, by both
	generations map[models.ID]uint64 // by Node
}

// newMortals is a stage with an App on two nodes, which have exactly the room for
// five Instances of two Releases. No control plane runs.
func newMortals(t *testing.T) *mortals {
	t.Helper()
	m := &mortals{
		stage: newStage(t), t: t, heard: map[string]bool{}, releases: map[string]models.ID{}, commands: map[string]string{}, generations: map[models.ID]uint64{},
	}
	yes := true
	_, err := m.ChangeNode(t.Context(), m.actor, "local", "", NodeChange{Cordoned: &yes})
	require.NoError(t, err)
	m.hall = []models.Node{m.join(t, "b", 2, 3*gib), m.join(t, "c", 2, 3*gib)}
	name, memory := "small", 256*mib
	_, err = m.CreatePlan(t.Context(), m.actor, PlanChange{Name: &name, MemoryBytes: &memory})
	require.NoError(t, err)
	m.nodes.become = m.become
	m.build.scripts = models.Processes{"release": {"migrate"}, "postdeploy": {"tell"}, "setup": {"seed"}}
	m.Stop()
	return m
}

// begin starts a control plane, to which the agents come.
func (m *mortals) begin(t *testing.T) *life {
	t.Helper()
	life := &life{left: -1}
	lives.Store("file:"+url.PathEscape(m.db), life)
	m.configure = []func(*Platform){func(p *Platform) {
		life.end = func() { p.cancel(errStopping) } // what waits ends at once
		fleet := mortalNodes{m.nodes, life, m.hall, &m.turn, m.look}
		p.Fleet, p.Roller.Fleet, p.Repositories = fleet, fleet, mortalRepositories{m.repos, life}
	}}
	m.open(t)
	for _, node := range m.hall {
		m.Online(t.Context(), node.ID, protocol.Hello{CPUs: 2, MemoryBytes: 3 * gib})
		m.Fleet.Refresh(node.ID)
	}
	return life
}

// become has an Instance start when its agent hears of it, and then be healthy, or
// end if it runs once.
func (m *mortals) become(instance protocol.Instance) protocol.InstanceStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.heard[instance.ID] {
		m.heard[instance.ID] = true
		return protocol.InstanceStatus{State: protocol.StateStarting}
	}
	if instance.Once {
		return protocol.InstanceStatus{State: protocol.StateStopped}
	}
	return protocol.InstanceStatus{State: protocol.StateHealthy}
}

// look holds the Assignment that a node is about to hear against what must be true
// of each.
func (m *mortals) look(node models.ID) {
	ctx := context.Background()
	over, err := m.overcommitted(ctx)
	assert.NoError(m.t, err)
	assert.Empty(m.t, over, "overcommitted")
	var assignment protocol.Assignment
	var instances []models.Instance
	assert.NoError(m.t, m.Store.Snapshot(ctx, func(tx transaction) error {
		var failed error
		assignment, err = m.assignment(ctx, tx, node)
		instances, failed = tx.Instances(ctx, m.app.ID)
		return errors.Join(err, failed)
	}))
	m.mu.Lock()
	defer m.mu.Unlock()
	assert.GreaterOrEqual(m.t, assignment.Generation, m.generations[node], "a generation that went back")
	m.generations[node] = assignment.Generation
	for _, instance := range instances {
		m.releases[instance.ID.String()] = instance.ReleaseID
		m.lookAtCommand(instance)
	}
	for _, route := range assignment.Routes {
		m.lookAtRoute(route)
	}
}

// lookAtCommand: a Release's own command is begun once.
func (m *mortals) lookAtCommand(instance models.Instance) {
	if instance.Process != models.ReleaseProcess {
		return
	}
	of, id := instance.ReleaseID.String(), instance.ID.String()
	if first := m.commands[of]; first != "" && first != id {
		m.t.Error("a release command began twice")
	}
	m.commands[of] = id
}

// lookAtRoute: one Release has it, and some Instance there serves.
func (m *mortals) lookAtRoute(route protocol.Route) {
	if route.Stopped {
		return
	}
	targets := slices.Clone(route.Targets)
	for _, remote := range route.Remotes {
		targets = append(targets, remote.Instance)
	}
	serves, releases := false, map[models.ID]bool{}
	for _, target := range targets {
		id, _ := models.ParseID(target)
		serves = serves || m.nodes.isHealthy(id)
		releases[m.releases[target]] = true
	}
	assert.Len(m.t, releases, 1, "releases on the route")
	assert.True(m.t, serves, "nothing on the route is healthy")
}
