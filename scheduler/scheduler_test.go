package scheduler

import (
	"slices"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

const (
	mb = int64(1) << 20
	gb = int64(1) << 30
)

// basic is what most Instances of the tables are promised.
var basic = Size{CPUMillis: 1000, MemoryBytes: 512 * mb}

// id makes IDs that sort as their letters do.
func id(letter byte) models.ID { return models.ID{15: letter} }

// node has room for n basic Instances, of memory; its CPUs are plenty.
func node(letter byte, n int, change ...func(*Node)) Node {
	made := Node{ID: id(letter), Name: string(letter), Capacity: Size{CPUMillis: 100_000, MemoryBytes: int64(n) * 512 * mb}}
	for _, c := range change {
		c(&made)
	}
	return made
}

func taken(n int) func(*Node) {
	return func(node *Node) { node.Instances, node.Reserved = n, basic.times(n) }
}
func within(region string) func(*Node) { return func(node *Node) { node.Region = region } }
func cordon(node *Node)                { node.Cordoned = true }
func away(node *Node)                  { node.Offline = true }
func cpuOnly(millis int64) func(*Node) {
	return func(node *Node) { node.Capacity.CPUMillis = millis }
}

func asking(count int) Ask { return Ask{Each: basic, Groups: []Group{{Count: count}}} }

func letters(placed []models.ID) string {
	var text []byte
	for _, id := range placed {
		text = append(text, id[15])
	}
	return string(text)
}

func TestPlace(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []Node
		ask   Ask
		want  []string // by group
	}{
		"one node takes all":           {[]Node{node('a', 9)}, asking(2), []string{"aa"}},
		"spread over nodes":            {[]Node{node('a', 9), node('b', 9)}, asking(4), []string{"abab"}},
		"ties go to the lower id":      {[]Node{node('b', 9), node('a', 9)}, asking(1), []string{"a"}},
		"least loaded first":           {[]Node{node('a', 9, taken(5)), node('b', 9)}, asking(1), []string{"b"}},
		"by share, not by number":      {[]Node{node('a', 4, taken(1)), node('b', 40, taken(5))}, asking(1), []string{"b"}},
		"by the scarcer resource":      {[]Node{node('a', 9, cpuOnly(1000)), node('b', 9, taken(2))}, asking(1), []string{"b"}},
		"the share after placing":      {[]Node{node('a', 2), node('b', 9, taken(2))}, asking(1), []string{"b"}},
		"what stays weighs":            {[]Node{node('a', 9, taken(8)), node('b', 9, taken(1))}, Ask{Each: basic, Groups: []Group{{1, map[models.ID]int{id('b'): 1}}}}, []string{"a"}},
		"the app weighs after a group": {[]Node{node('a', 9), node('b', 9)}, Ask{Each: basic, Groups: []Group{{Count: 1}, {Count: 1}}}, []string{"a", "b"}},
		"a group before the app":       {[]Node{node('a', 9), node('b', 9)}, Ask{Each: basic, Groups: []Group{{1, map[models.ID]int{id('a'): 1}}, {Staying: map[models.ID]int{id('b'): 2}}}}, []string{"b", ""}},
		"never beyond capacity":        {[]Node{node('a', 1), node('b', 3)}, asking(4), []string{"babb"}},
		"exactly full":                 {[]Node{node('a', 2, taken(1)), node('b', 2, taken(1))}, asking(2), []string{"ab"}},
		"only the region":              {[]Node{node('a', 9), node('b', 9, within("east"))}, Ask{Region: "east", Each: basic, Groups: []Group{{Count: 2}}}, []string{"bb"}},
		"anywhere":                     {[]Node{node('a', 1, within("west")), node('b', 1, within("east"))}, asking(2), []string{"ab"}},
		"not on cordoned or offline":   {[]Node{node('a', 9, cordon), node('b', 9, away), node('c', 9)}, asking(1), []string{"c"}},
		"an overfull node is left":     {[]Node{node('a', 1, taken(3)), node('b', 1)}, asking(1), []string{"b"}},
		"nothing to be placed":         {nil, asking(0), []string{""}},
		"what needs nothing":           {[]Node{node('a', 0)}, Ask{Groups: []Group{{Count: 2}}}, []string{"aa"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(c.nodes)
			placed, err := Place(c.nodes, c.ask)
			require.NoError(t, err)
			var got []string
			for _, group := range placed {
				got = append(got, letters(group))
			}
			require.Equal(t, c.want, got)
			require.Equal(t, before, c.nodes, "what it was given is left as it is")
		})
	}
}

func TestPlaceRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		nodes []Node
		ask   Ask
		want  string
	}{
		"no node":   {nil, asking(1), "no node can take the app: it needs 1 × 512 MB and 1 CPU"},
		"none open": {[]Node{node('a', 9, cordon), node('b', 9, away), node('c', 9, away)}, asking(1), "no node can take the app: it needs 1 × 512 MB and 1 CPU; left out: 1 cordoned, 2 offline"},
		"memory": {
			[]Node{node('a', 1, within("east")), node('b', 9, within("west"))}, Ask{Region: "east", Each: basic, Groups: []Group{{Count: 2}, {Count: 1}}},
			"there is no room: the app needs 3 × 512 MB and 1 CPU; the nodes of region east have room for 1: memory is short by 1 GB on a; left out: 1 in other regions",
		},
		"CPU":  {[]Node{node('a', 9, cpuOnly(1500))}, asking(2), "there is no room: the app needs 2 × 512 MB and 1 CPU; the nodes have room for 1: CPU is short by 0.5 CPU on a"},
		"both": {[]Node{node('a', 0, cpuOnly(0))}, asking(1), "there is no room: the app needs 1 × 512 MB and 1 CPU; the nodes have room for 0: memory is short by 512 MB and CPU is short by 1 CPU on a"},
		"the nearest first": {
			[]Node{node('a', 0), node('b', 2, taken(5)), node('c', 0), node('d', 0)}, asking(1),
			"there is no room: the app needs 1 × 512 MB and 1 CPU; the nodes have room for 0: memory is short by 512 MB on a, memory is short by 512 MB on c, memory is short by 512 MB on d, and 1 more",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Place(c.nodes, c.ask)
			require.EqualError(t, err, c.want)
			require.True(t, models.IsCode(err, models.Unavailable))
			require.NotEmpty(t, models.AsError(err).Remedy)
		})
	}
}

func TestCapacity(t *testing.T) {
	plain := Policy{CPUPercent: 100, MemoryPercent: 100}
	for name, c := range map[string]struct {
		policy Policy
		memory int64
		want   Size
	}{
		"small machines keep 256 MB": {plain, 1 * gb, Size{2000, 768 * mb / 100 * 100}},
		"large ones a tenth":         {plain, 100 * gb, Size{2000, 90 * gb / 100 * 100}},
		"tiny ones have nothing":     {plain, 128 * mb, Size{2000, 0}},
		"overcommitted":              {Policy{CPUPercent: 1000, MemoryPercent: 150}, 100 * gb, Size{20_000, 90 * gb / 100 * 150}},
		"nothing known":              {plain, 0, Size{2000, 0}},
	} {
		require.Equal(t, c.want, c.policy.Capacity(2, c.memory), name)
	}
	require.Zero(t, Share(Size{}, Size{}))
	require.Equal(t, 0.5, Share(Size{500, 1}, Size{1000, 100}))
	require.Equal(t, 1.0, Share(Size{500, 1}, Size{}), "promised where there is nothing")
}
