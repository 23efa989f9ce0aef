package platform

import (
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// threeNodes is a stage whose app runs one of three instances on each of local, b
// and c.
func threeNodes(t *testing.T) (s *stage, b, c models.Node) {
	t.Helper()
	s = newStage(t)
	b, c = s.join(t, "b", 2, 4*gib), s.join(t, "c", 2, 4*gib)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	require.NoError(t, s.Scale(t.Context(), s.actor, s.live(t), models.Formation{"web": 3}, silent{}))
	rows := s.rows(t)
	require.Len(t, rows, 3, "one on each node")
	return s, b, c
}

// rows are the App's Instances, by node.
func (s *stage) rows(t *testing.T) map[models.ID][]models.Instance {
	t.Helper()
	instances, err := s.Store.Instances(t.Context(), s.app.ID)
	require.NoError(t, err)
	rows := map[models.ID][]models.Instance{}
	for _, instance := range instances {
		rows[instance.NodeID] = append(rows[instance.NodeID], instance)
	}
	return rows
}

// vanish takes nodes offline.
func (s *stage) vanish(t *testing.T, nodes ...models.Node) {
	t.Helper()
	for _, node := range nodes {
		s.nodes.leave(true, node.ID)
		s.Offline(t.Context(), node.ID)
	}
}

// appear brings a node back.
func (s *stage) appear(t *testing.T, node models.Node) {
	t.Helper()
	s.nodes.leave(false, node.ID)
	s.Online(t.Context(), node.ID, protocol.Hello{CPUs: 2, MemoryBytes: 4 * gib})
	s.nodes.Refresh(node.ID)
}

// kinds are the audit facts of a kind, newest first.
func (s *stage) kinds(t *testing.T, kind string) []models.Event {
	t.Helper()
	events, err := s.Events(t.Context(), s.actor, EventsAsked{Kind: kind}, models.PageRequest{})
	require.NoError(t, err)
	return events.Items
}

// notices counts the notifications of the admin's organisation by kind.
func (s *stage) notices(t *testing.T) map[string]int {
	t.Helper()
	told, err := s.Notifications(t.Context(), s.actor, "admin", false, models.PageRequest{})
	require.NoError(t, err)
	counts := map[string]int{}
	for _, notification := range told.Items {
		counts[notification.Kind]++
	}
	return counts
}

func (s *stage) look(t *testing.T, in time.Duration) {
	t.Helper()
	require.NoError(t, s.replaceLost(t.Context(), now().Add(in)))
}

// TestLostNode: only what it ran is replaced, in the same release; when it comes
// back, it is not to run it again.
func TestLostNode(t *testing.T) {
	s, b, c := threeNodes(t)
	ctx := t.Context()
	release := *s.live(t).LiveReleaseID
	before := s.rows(t)
	for node, instances := range before {
		s.Observed(ctx, node, protocol.Observed{Instances: []protocol.InstanceStatus{{
			ID: instances[0].ID.String(), AppID: s.app.ID.String(), State: string(models.InstanceHealthy), Since: now(),
		}}})
	}
	s.vanish(t, b)
	s.look(t, time.Minute)
	require.Equal(t, before, s.rows(t), "it has two minutes")
	require.Equal(t, 1, s.notices(t)["node.offline"])

	s.look(t, 3*time.Minute)
	require.Eventually(t, func() bool { return len(s.kinds(t, "app.replaced")) == 1 }, patience, tick)
	after := s.rows(t)
	require.Empty(t, after[b.ID])
	require.Len(t, append(after[c.ID], after[s.local(t).ID]...), 3)
	for _, node := range []models.ID{c.ID, s.local(t).ID} {
		require.Contains(t, after[node], before[node][0], "what is healthy stays")
	}
	require.Equal(t, release, *s.live(t).LiveReleaseID)
	builds, err := s.Store.Builds(ctx, s.app.ID, 100)
	require.NoError(t, err)
	require.Len(t, builds, 1)
	open, err := s.Store.OpenInstances(ctx)
	require.NoError(t, err)
	require.NotContains(t, open, before[b.ID][0].ID, "nobody pays for it")
	require.Len(t, open, 2)

	s.look(t, 4*time.Minute)
	require.Equal(t, 1, s.notices(t)["node.lost"])
	s.appear(t, b)
	assignment, err := s.Assignment(ctx, b.ID)
	require.NoError(t, err)
	require.Empty(t, assignment.Instances, "so that its agent stops the doubles")
	node, err := s.Store.Node(ctx, b.ID)
	require.NoError(t, err)
	require.Nil(t, node.LostAt)
	require.Nil(t, node.OfflineSince)
	require.Len(t, s.kinds(t, "node.returned"), 1)
	require.NoError(t, s.RemoveNode(ctx, s.actor, "b"))
}

func (s *stage) local(t *testing.T) models.Node {
	t.Helper()
	node, err := s.Store.NodeByName(t.Context(), "local")
	require.NoError(t, err)
	return node
}

// TestNothingIsLostWhileNobodyIsSeen: it is the control plane that is cut off; and
// when the first node is back, the others have their time.
func TestNothingIsLostWhileNobodyIsSeen(t *testing.T) {
	s, b, c := threeNodes(t)
	before := s.rows(t)
	s.vanish(t, s.local(t), b, c)
	s.look(t, time.Hour)
	s.appear(t, c)
	s.look(t, time.Minute)
	require.Empty(t, s.kinds(t, "node.lost"))
	require.Equal(t, before, s.rows(t))
	s.look(t, 3*time.Minute)
	require.Eventually(t, func() bool { return len(s.rows(t)[c.ID]) == 3 }, patience, tick)
	require.Len(t, s.kinds(t, "node.lost"), 2)
}

// TestRestartGivesNodesTheirTime, those too that were offline before it.
func TestRestartGivesNodesTheirTime(t *testing.T) {
	s, b, c := threeNodes(t)
	s.vanish(t, b)
	_, err := s.Store.UpdateNode(t.Context(), b.ID, func(node *models.Node) error {
		long := now().Add(-time.Hour)
		node.OfflineSince = &long
		return nil
	})
	require.NoError(t, err)
	s.Stop()
	s.open(t)
	s.appear(t, c)
	s.look(t, time.Minute)
	require.Empty(t, s.kinds(t, "node.lost"))
	s.look(t, 3*time.Minute)
	require.Len(t, s.kinds(t, "node.lost"), 2, "local has not come either")
}

// TestStrandedInstances: no room is told once, and tried again.
func TestStrandedInstances(t *testing.T) {
	s, b, c := threeNodes(t)
	ctx := t.Context()
	yes := true
	for _, name := range []string{"local", "c"} {
		_, err := s.ChangeNode(ctx, s.actor, name, "", NodeChange{Cordoned: &yes})
		require.NoError(t, err)
	}
	s.vanish(t, b)
	for minutes := range 3 {
		s.look(t, time.Duration(3+minutes)*time.Minute)
	}
	require.Eventually(t, func() bool { return s.notices(t)["app.stranded"] == 1 }, patience, tick)
	require.Len(t, s.rows(t)[b.ID], 1)
	events := s.kinds(t, "app.stranded")
	require.Len(t, events, 1)
	require.Contains(t, events[0].Detail, "ran on the node b, which is lost, and could not start elsewhere: no node can take the app: it needs 1 × 512 MB and 1 CPU; left out: 2 cordoned")

	no := false
	_, err := s.ChangeNode(ctx, s.actor, "c", "", NodeChange{Cordoned: &no})
	require.NoError(t, err)
	require.Eventually(t, func() bool { // an attempt may be at work still
		s.look(t, 7*time.Minute)
		return len(s.rows(t)[c.ID]) == 2
	}, patience, tick)
	require.Len(t, s.kinds(t, "app.stranded"), 1)
}

func TestIsLost(t *testing.T) {
	at := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { since := at.Add(-d); return &since }
	for name, test := range map[string]struct {
		node   models.Node
		seeing time.Duration // ago
		want   bool
	}{
		"online":            {models.Node{State: models.NodeOnline}, time.Hour, false},
		"never came":        {models.Node{State: models.NodePending}, time.Hour, false},
		"just offline":      {models.Node{State: models.NodeOffline, OfflineSince: ago(time.Minute)}, time.Hour, false},
		"exactly":           {models.Node{State: models.NodeOffline, OfflineSince: ago(2 * time.Minute)}, time.Hour, true},
		"nobody looked":     {models.Node{State: models.NodeOffline, OfflineSince: ago(time.Hour)}, time.Minute, false},
		"looked for enough": {models.Node{State: models.NodeOffline, OfflineSince: ago(time.Hour)}, 2 * time.Minute, true},
		"from before":       {models.Node{State: models.NodeOffline}, time.Hour, false},
	} {
		require.Equal(t, test.want, isLost(test.node, at.Add(-test.seeing), at, 2*time.Minute), name)
	}
}

func TestCapacityNews(t *testing.T) {
	told := map[string]bool{}
	for i, step := range []struct {
		share  float64
		raised []string
		told   bool
	}{
		{0.5, nil, false}, {0.9, []string{"node a"}, true}, {0.99, nil, true}, {0.85, nil, true}, {0.9, nil, true},
		{0.84, nil, false}, {0.89, nil, false}, {0.95, []string{"node a"}, true},
	} {
		next, raised := capacityNews(told, map[string]float64{"node a": step.share})
		require.Equal(t, step.raised, raised, i)
		require.Equal(t, step.told, next["node a"], i)
		told = next
	}
	next, _ := capacityNews(told, map[string]float64{})
	require.Empty(t, next, "a node that is gone is forgotten")
}
