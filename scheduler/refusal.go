package scheduler

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/skypanel/sky/models"
)

// closed is why a Node takes nothing.
type closed int

const (
	taking closed = iota
	elsewhere
	cordoned
	offline
)

func closedBy(node *Node, ask Ask) closed {
	switch {
	case ask.Region != "" && node.Region != ask.Region:
		return elsewhere
	case node.Cordoned:
		return cordoned
	case node.Offline:
		return offline
	default:
		return taking
	}
}

// check says why not all that is asked for fits, or returns nil. All Instances
// have one Size, so that a Node's room is a number of them.
func check(nodes []Node, open seats, ask Ask) error {
	count := ask.count()
	if count == 0 {
		return nil
	}
	room := 0
	for _, s := range open {
		if room += s.free.holds(ask.Each); room >= count {
			return nil
		}
	}
	out := leftOut(nodes, ask)
	where := "the nodes"
	if ask.Region != "" {
		where += " of region " + ask.Region
	}
	if len(open) == 0 {
		return models.Errorf(models.Unavailable, "no node can take the app: it needs %s%s", needs(count, ask.Each), out).
			WithRemedy("an admin sees the nodes with `sky admin nodes list`, and adds one with `sky admin nodes add NAME`")
	}
	return models.Errorf(models.Unavailable, "there is no room: the app needs %s; %s have room for %d: %s%s",
		needs(count, ask.Each), where, room, shortages(open, ask.Each, count-room), out).
		WithRemedy("scale to fewer, choose a smaller plan, or have an admin add a node: sky admin nodes add NAME")
}

func needs(count int, each Size) string {
	return fmt.Sprintf("%d × %s and %s", count, memory(each.MemoryBytes), cpus(each.CPUMillis))
}

// shortages says what the Nodes would need to take the missing Instances too,
// those first that need the least.
func shortages(open seats, each Size, missing int) string {
	const most = 3
	type shortage struct {
		name  string
		short Size
	}
	lacks := make([]shortage, 0, len(open))
	for _, s := range open {
		left := s.free.less(each.times(s.free.holds(each)))
		lacks = append(lacks, shortage{s.node.Name, each.times(missing).less(left)})
	}
	slices.SortFunc(lacks, func(a, b shortage) int {
		return cmp.Or(cmp.Compare(max(0, a.short.MemoryBytes), max(0, b.short.MemoryBytes)), cmp.Compare(a.short.CPUMillis, b.short.CPUMillis), strings.Compare(a.name, b.name))
	})
	var told []string
	for _, lack := range lacks[:min(most, len(lacks))] {
		told = append(told, lack.short.lacking()+" on "+lack.name)
	}
	if len(lacks) > most {
		told = append(told, fmt.Sprintf("and %d more", len(lacks)-most))
	}
	return strings.Join(told, ", ")
}

// lacking says which parts of a shortage are there.
func (s Size) lacking() string {
	var parts []string
	if s.MemoryBytes > 0 {
		parts = append(parts, "memory is short by "+memory(s.MemoryBytes))
	}
	if s.CPUMillis > 0 {
		parts = append(parts, "CPU is short by "+cpus(s.CPUMillis))
	}
	return strings.Join(parts, " and ")
}

// leftOut counts the Nodes that take nothing, by why.
func leftOut(nodes []Node, ask Ask) string {
	counts := map[closed]int{}
	for i := range nodes {
		counts[closedBy(&nodes[i], ask)]++
	}
	var parts []string
	add := func(why closed, words string) {
		if counts[why] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[why], words))
		}
	}
	add(cordoned, "cordoned")
	add(offline, "offline")
	add(elsewhere, "in other regions")
	if len(parts) == 0 {
		return ""
	}
	return "; left out: " + strings.Join(parts, ", ")
}

// memory writes bytes as people say them, in MB or GB.
func memory(bytes int64) string {
	const mb = 1 << 20
	megabytes := (bytes + mb - 1) / mb
	if megabytes < 1024 {
		return fmt.Sprintf("%d MB", megabytes)
	}
	return strconv.FormatFloat(float64(megabytes*10/1024)/10, 'f', -1, 64) + " GB"
}

func cpus(millis int64) string {
	return strconv.FormatFloat(float64(millis)/1000, 'f', -1, 64) + " CPU"
}
