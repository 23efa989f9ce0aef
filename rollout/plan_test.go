package rollout

import (
	"fmt"
	"slices"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/scheduler"
	"github.com/stretchr/testify/require"
)

// cast names the rows that the tables speak of.
type cast struct {
	app      models.App
	old, new models.Release
	nodes    []scheduler.Node
}

func newCast(nodes int) cast {
	c := cast{
		app: models.App{ID: models.NewID(), Name: "shop"},
		old: models.Release{ID: models.NewID(), Number: 1}, new: models.Release{ID: models.NewID(), Number: 2},
	}
	for i := range nodes {
		c.nodes = append(c.nodes, scheduler.Node{ID: models.NewID(), Name: string(rune('a' + i))})
	}
	return c
}

func (c cast) instance(release models.Release, process string, ordinal int) models.Instance {
	return models.Instance{
		ID: models.NewID(), AppID: c.app.ID, ReleaseID: release.ID, NodeID: c.nodes[0].ID, Process: process, Ordinal: ordinal,
	}
}

func names(instances []models.Instance) []string {
	told := []string{}
	for _, instance := range instances {
		told = append(told, fmt.Sprintf("%s.%d", instance.Process, instance.Ordinal))
	}
	return told
}

func TestNewPlan(t *testing.T) {
	c := newCast(2)
	oldWeb, oldWorker := c.instance(c.old, "web", 1), c.instance(c.old, "worker", 1)
	web1, web2, web3 := c.instance(c.new, "web", 1), c.instance(c.new, "web", 2), c.instance(c.new, "web", 3)
	planned := web3
	planned.PlanID = &c.old.ID
	type formation = models.Formation
	type instances = []models.Instance
	for name, test := range map[string]struct {
		want               Want
		current            instances
		start, adopt, stop []string
	}{
		"first":           {Want{Formation: formation{"worker": 1, "web": 2, "a": 0}}, nil, []string{"web.1", "web.2", "worker.1"}, []string{}, []string{}},
		"next release":    {Want{Formation: formation{"web": 1, "worker": 1}}, instances{oldWeb, oldWorker}, []string{"web.1", "worker.1"}, []string{}, []string{"web.1", "worker.1"}},
		"no change":       {Want{Formation: formation{"web": 2}}, instances{web1, web2}, []string{}, []string{"web.1", "web.2"}, []string{}},
		"scale up":        {Want{Formation: formation{"web": 3}}, instances{web1, web3}, []string{"web.2"}, []string{"web.1", "web.3"}, []string{}},
		"scale down":      {Want{Formation: formation{"web": 1}}, instances{web1, web2}, []string{}, []string{"web.1"}, []string{"web.2"}},
		"to nothing":      {Want{Formation: formation{"web": 0}}, instances{web1}, []string{}, []string{}, []string{"web.1"}},
		"restart":         {Want{Formation: formation{"web": 1}, Fresh: true}, instances{web1}, []string{"web.1"}, []string{}, []string{"web.1"}},
		"one has failed":  {Want{Formation: formation{"web": 2}, Failed: map[models.ID]bool{web1.ID: true}}, instances{web1, web2}, []string{"web.1"}, []string{"web.2"}, []string{"web.1"}},
		"taken up again":  {Want{Formation: formation{"web": 2}}, instances{oldWeb, web1}, []string{"web.2"}, []string{"web.1"}, []string{"web.1"}},
		"another plan":    {Want{Formation: formation{"web": 2}}, instances{web1, planned}, []string{"web.2"}, []string{"web.1"}, []string{"web.3"}},
		"process removed": {Want{Formation: formation{"web": 1}}, instances{web1, oldWorker}, []string{}, []string{"web.1"}, []string{"worker.1"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.want.App, test.want.Release = c.app, c.new
			plan, err := NewPlan(test.want, test.current, Offer{Nodes: c.nodes})
			require.NoError(t, err)
			require.Equal(t, test.start, names(plan.Start))
			require.Equal(t, test.adopt, names(plan.Adopt))
			require.Equal(t, test.stop, names(plan.Stop))
			require.Equal(t, len(test.start)+len(test.adopt)+len(test.stop) == 0, plan.Empty())
			require.Equal(t, len(test.start)+len(test.stop) == 0, test.want.Met(test.current))
			for _, started := range plan.Start {
				require.Equal(t, c.new.ID, started.ReleaseID)
				require.Equal(t, c.app.ID, started.AppID)
			}
		})
	}
}

func TestPlanSpreads(t *testing.T) {
	c := newCast(2)
	plan, err := NewPlan(Want{App: c.app, Release: c.new, Formation: models.Formation{"web": 4}}, nil, Offer{Nodes: c.nodes})
	require.NoError(t, err)
	onFirst := slices.DeleteFunc(slices.Clone(plan.Start), func(i models.Instance) bool { return i.NodeID != c.nodes[0].ID })
	require.Len(t, onFirst, 2)
}

func TestPlanWithoutNodes(t *testing.T) {
	c := newCast(1)
	_, err := NewPlan(Want{App: c.app, Release: c.new, Formation: models.Formation{"web": 1}}, nil, Offer{})
	require.True(t, models.IsCode(err, models.Unavailable))
	plan, err := NewPlan(Want{App: c.app, Release: c.new, Formation: models.Formation{"web": 0}}, []models.Instance{c.instance(c.new, "web", 1)}, Offer{})
	require.NoError(t, err, "to stop needs no node")
	require.Len(t, plan.Stop, 1)
}

// TestPlanLeavesNodes: only what is there is replaced, and elsewhere.
func TestPlanLeavesNodes(t *testing.T) {
	c := newCast(3)
	at := func(node int, process string, ordinal int) models.Instance {
		instance := c.instance(c.new, process, ordinal)
		instance.NodeID = c.nodes[node].ID
		return instance
	}
	type instances = []models.Instance
	for name, test := range map[string]struct {
		formation         models.Formation
		current           instances
		leave             []int
		start, stop, land []string
	}{
		"the lost ones only":   {models.Formation{"web": 3}, instances{at(0, "web", 1), at(1, "web", 2), at(2, "web", 3)}, []int{1}, []string{"web.2"}, []string{"web.2"}, []string{"a"}},
		"where fewest are":     {models.Formation{"web": 3}, instances{at(0, "web", 1), at(0, "web", 2), at(1, "web", 3)}, []int{1}, []string{"web.3"}, []string{"web.3"}, []string{"c"}},
		"every process type":   {models.Formation{"web": 1, "worker": 1}, instances{at(1, "web", 1), at(1, "worker", 1)}, []int{1}, []string{"web.1", "worker.1"}, []string{"web.1", "worker.1"}, []string{"a", "c"}},
		"several nodes":        {models.Formation{"web": 2}, instances{at(0, "web", 1), at(1, "web", 2)}, []int{0, 1}, []string{"web.1", "web.2"}, []string{"web.1", "web.2"}, []string{"c", "c"}},
		"nothing of it there":  {models.Formation{"web": 1}, instances{at(0, "web", 1)}, []int{1}, []string{}, []string{}, []string{}},
		"scaled down meantime": {models.Formation{"web": 1}, instances{at(0, "web", 1), at(1, "web", 2)}, []int{1}, []string{}, []string{"web.2"}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			want := Want{App: c.app, Release: c.new, Formation: test.formation, Leave: map[models.ID]bool{}}
			for _, node := range test.leave {
				want.Leave[c.nodes[node].ID] = true
			}
			plan, err := NewPlan(want, test.current, Offer{Nodes: c.nodes})
			require.NoError(t, err)
			require.Equal(t, test.start, names(plan.Start))
			require.Equal(t, test.stop, names(plan.Stop))
			landed := []string{}
			for _, started := range plan.Start {
				at := slices.IndexFunc(c.nodes, func(node scheduler.Node) bool { return node.ID == started.NodeID })
				landed = append(landed, c.nodes[at].Name)
			}
			require.Equal(t, test.land, landed)
		})
	}
}

// TestPlanNeedsRoomForOldAndNew: the old one is never stopped to make room.
func TestPlanNeedsRoomForOldAndNew(t *testing.T) {
	c := newCast(1)
	each := scheduler.Size{CPUMillis: 1000, MemoryBytes: 512 << 20}
	c.nodes[0].Capacity, c.nodes[0].Reserved = scheduler.Size{CPUMillis: 10_000, MemoryBytes: 800 << 20}, each
	old := []models.Instance{c.instance(c.old, "web", 1)}
	want := Want{App: c.app, Release: c.new, Formation: models.Formation{"web": 1}}
	_, err := NewPlan(want, old, Offer{Nodes: c.nodes, Each: each})
	require.ErrorContains(t, err, "memory is short by 224 MB on a. The 1 that run keep their room until new ones are healthy, so nothing was stopped")
	require.True(t, models.IsCode(err, models.Unavailable))
	require.Contains(t, models.AsError(err).Remedy, "sky stop")
	_, err = NewPlan(want, nil, Offer{Nodes: c.nodes, Each: each})
	require.NotContains(t, err.Error(), "nothing was stopped")
	want.Formation = models.Formation{"web": 0}
	_, err = NewPlan(want, old, Offer{Nodes: c.nodes, Each: each})
	require.NoError(t, err, "to stop needs no room")
}

func TestCheckFormation(t *testing.T) {
	known := models.Processes{"web": {"x"}, "worker": {"y"}}
	require.NoError(t, CheckFormation(models.Formation{"web": 0, "worker": models.MaxInstancesPerProcess}, known))
	for name, test := range map[string]struct {
		formation models.Formation
		field     string
		remedy    string
	}{
		"unknown":  {models.Formation{"job": 1}, "job", "it has [web worker]"},
		"negative": {models.Formation{"web": -1}, "web", "use 0 to 100"},
		"too many": {models.Formation{"web": 101}, "web", "use 0 to 100"},
	} {
		refused := models.AsError(CheckFormation(test.formation, known))
		require.NotNil(t, refused, name)
		require.Equal(t, models.Invalid, refused.Code)
		require.Equal(t, test.field, refused.Field)
		require.Contains(t, refused.Remedy, test.remedy)
	}
}
