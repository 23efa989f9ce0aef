// Package scheduler decides which Node runs an Instance. It is pure: what it is
// given is all that it knows.
//
// A Node is never filled beyond its Capacity. Within that, the Instances of a
// group, which is a process type, are spread over the Nodes first, then those of
// the whole App; among equals, the Node gets one of whose scarcer resource the
// least is taken then. Ties go to the Node with fewer Instances, then to the
// lower ID, so that equal questions have equal answers.
package scheduler

import (
	"bytes"
	"cmp"
	"container/heap"

	"github.com/skypanel/sky/models"
)

// Size is what an Instance is promised, or what a Node has to promise.
type Size struct {
	CPUMillis   int64
	MemoryBytes int64
}

// Node is a candidate with what is promised to the Instances on it.
type Node struct {
	ID       models.ID
	Name     string
	Region   string
	Cordoned bool
	Offline  bool
	// Capacity is all that may be promised, Reserved what is.
	Capacity  Size
	Reserved  Size
	Instances int
}

// Ask is what has to be placed: Instances of one Size, in groups.
type Ask struct {
	// Region is where they may be; empty is anywhere.
	Region string
	Each   Size
	Groups []Group
}

// Group are Instances that do the same, so that they are best kept apart.
type Group struct {
	Count int
	// Staying counts by Node those that there are already, and stay.
	Staying map[models.ID]int
}

func (a Ask) count() int {
	total := 0
	for _, group := range a.Groups {
		total += group.Count
	}
	return total
}

// Place returns the Nodes for each of the groups, one for each of its Instances.
// When not all of them fit, none is placed: the error is models.Unavailable, since
// it is the platform that lacks something and more of it helps, and says what is
// short by how much.
func Place(nodes []Node, ask Ask) ([][]models.ID, error) {
	seats := open(nodes, ask)
	if err := check(nodes, seats, ask); err != nil {
		return nil, err
	}
	placed := make([][]models.ID, len(ask.Groups))
	for i, group := range ask.Groups {
		placed[i] = fill(seats, group, ask.Each)
	}
	return placed, nil
}

// seat is a Node while Instances are placed on it.
type seat struct {
	node    *Node
	free    Size
	ofGroup int // Instances of the group that is placed now
	ofApp   int
	added   int
	load    float64 // of the scarcer resource, with one Instance more
}

// seats is a heap, with the best Node at its root.
type seats []*seat

func (s seats) Len() int           { return len(s) }
func (s seats) Less(i, j int) bool { return better(s[i], s[j]) < 0 }
func (s seats) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *seats) Push(x any)        { *s = append(*s, x.(*seat)) }
func (s *seats) Pop() any {
	last := len(*s) - 1
	popped := (*s)[last]
	*s = (*s)[:last]
	return popped
}

// better orders the seats; it is asked so often that it compares no more than it
// has to.
func better(a, b *seat) int {
	switch {
	case a.ofGroup != b.ofGroup:
		return a.ofGroup - b.ofGroup
	case a.ofApp != b.ofApp:
		return a.ofApp - b.ofApp
	case a.load != b.load:
		return cmp.Compare(a.load, b.load)
	}
	if more := a.node.Instances + a.added - b.node.Instances - b.added; more != 0 {
		return more
	}
	return bytes.Compare(a.node.ID[:], b.node.ID[:])
}

// open returns the Nodes that take Instances like these at all.
func open(nodes []Node, ask Ask) seats {
	rows := make([]seat, 0, len(nodes))
	opened := make(seats, 0, len(nodes))
	for i := range nodes {
		node := &nodes[i]
		if closedBy(node, ask) != taking {
			continue
		}
		rows = append(rows, seat{node: node, free: node.Capacity.less(node.Reserved)})
		s := &rows[len(rows)-1]
		for _, group := range ask.Groups {
			s.ofApp += group.Staying[node.ID]
		}
		s.weigh(ask.Each)
		opened = append(opened, s)
	}
	return opened
}

// fill places a group on Nodes that are known to have room for it.
func fill(all seats, group Group, each Size) []models.ID {
	candidates := make(seats, 0, len(all))
	for _, s := range all {
		s.ofGroup = group.Staying[s.node.ID]
		if group.Count > 0 && s.free.holds(each) > 0 {
			candidates = append(candidates, s)
		}
	}
	heap.Init(&candidates)
	placed := make([]models.ID, 0, group.Count)
	for range group.Count {
		best := candidates[0]
		placed = append(placed, best.node.ID)
		best.take(each)
		if best.free.holds(each) > 0 {
			heap.Fix(&candidates, 0)
		} else {
			heap.Pop(&candidates)
		}
	}
	return placed
}

func (s *seat) take(each Size) {
	s.free = s.free.less(each)
	s.ofGroup++
	s.ofApp++
	s.added++
	s.weigh(each)
}

// weigh works out what would be taken with one Instance more.
func (s *seat) weigh(each Size) {
	has, left := s.node.Capacity, s.free.less(each)
	s.load = max(share(has.CPUMillis-left.CPUMillis, has.CPUMillis), share(has.MemoryBytes-left.MemoryBytes, has.MemoryBytes))
}

func share(taken, has int64) float64 {
	if has <= 0 {
		return 1
	}
	return float64(taken) / float64(has)
}

func (s Size) less(other Size) Size {
	return Size{CPUMillis: s.CPUMillis - other.CPUMillis, MemoryBytes: s.MemoryBytes - other.MemoryBytes}
}

func (s Size) times(count int) Size {
	return Size{CPUMillis: s.CPUMillis * int64(count), MemoryBytes: s.MemoryBytes * int64(count)}
}

// holds is how many of each fit into what is free.
func (s Size) holds(each Size) int {
	if s.CPUMillis < 0 || s.MemoryBytes < 0 {
		return 0
	}
	const unbounded = 1 << 30 // of what needs nothing
	fit := int64(unbounded)
	if each.CPUMillis > 0 {
		fit = min(fit, s.CPUMillis/each.CPUMillis)
	}
	if each.MemoryBytes > 0 {
		fit = min(fit, s.MemoryBytes/each.MemoryBytes)
	}
	return int(fit)
}

// Add counts what another Node has and has promised as n's own.
func (n *Node) Add(other Node) {
	n.Capacity.CPUMillis += other.Capacity.CPUMillis
	n.Capacity.MemoryBytes += other.Capacity.MemoryBytes
	n.Reserved.CPUMillis += other.Reserved.CPUMillis
	n.Reserved.MemoryBytes += other.Reserved.MemoryBytes
	n.Instances += other.Instances
}

// Share is how much of capacity is reserved, by the scarcer resource: 1 is all.
func Share(reserved, capacity Size) float64 {
	if reserved == (Size{}) {
		return 0
	}
	return max(share(reserved.CPUMillis, capacity.CPUMillis), share(reserved.MemoryBytes, capacity.MemoryBytes))
}
