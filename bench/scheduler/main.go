// Command scheduler measures placing many instances on many nodes, and placing
// those of lost nodes again.
//
//	go run ./bench/scheduler
//
// Apps of one to nine instances are planned one after the other, as deployments do
// it: each plan is made from all nodes as they are then. Then a tenth of the nodes is
// lost, and every app that ran there is planned again. Only what was on lost nodes
// may move. Nothing here touches a database or a container: it is the decision alone.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
	"github.com/skypanel/sky/scheduler"
)

func main() {
	nodes := flag.Int("nodes", 1000, "how many nodes there are")
	instances := flag.Int("instances", 50_000, "how many instances are placed")
	flag.Parse()
	for _, size := range []struct{ nodes, instances int }{{*nodes / 10, *instances / 10}, {*nodes, *instances}} {
		if err := measure(size.nodes, size.instances); err != nil {
			fmt.Fprintln(os.Stderr, "scheduler:", err)
			os.Exit(1)
		}
	}
}

func measure(nodes, instances int) error {
	f := newFleet(nodes, instances)
	begun := time.Now()
	for i := range f.apps {
		if err := f.plan(&f.apps[i], nil); err != nil {
			return fmt.Errorf("place: %w", err)
		}
	}
	placed := time.Since(begun)
	fmt.Printf("%d nodes, %d instances of %d apps\n", nodes, instances, len(f.apps))
	report("placed", placed, f.started)
	fmt.Printf("  nodes run %d to %d\n", f.least(), f.most())

	lost := f.lose(nodes / 10)
	gone := f.on(lost)
	f.started, f.stopped = 0, 0
	begun = time.Now()
	for i := range f.apps {
		if f.apps[i].runsOn(lost) {
			if err := f.plan(&f.apps[i], lost); err != nil {
				return fmt.Errorf("place again: %w", err)
			}
		}
	}
	report(fmt.Sprintf("placed again after losing %d nodes", len(lost)), time.Since(begun), f.started)
	fmt.Printf("  moves %d, of which not from a lost node %d; over capacity %d nodes; left on lost nodes %d\n",
		f.stopped, f.stopped-gone, f.over(), f.on(lost))
	return nil
}

func report(what string, took time.Duration, count int) {
	fmt.Printf("  %s: %d in %s, %.1f µs for each\n", what, count, took.Round(time.Millisecond), float64(took.Microseconds())/float64(max(1, count)))
}

// fleet is the nodes and what runs on them.
type fleet struct {
	nodes            []scheduler.Node
	at               map[models.ID]int // index of a node
	apps             []app
	each             scheduler.Size
	started, stopped int
}

// app is one with the instances that it runs.
type app struct {
	want rollout.Want
	runs []models.Instance
}

// newFleet has nodes of three sizes, with a fifth more room than all instances need.
func newFleet(nodes, instances int) *fleet {
	f := &fleet{at: map[models.ID]int{}, each: scheduler.Size{CPUMillis: 500, MemoryBytes: 256 << 20}}
	room := instances * 12 / 10 / nodes
	for i := range nodes {
		holds := int64(room * (2 + i%3) / 3) // 2/3, all and 4/3 of it
		f.nodes = append(f.nodes, scheduler.Node{
			ID: models.NewID(), Name: fmt.Sprintf("n%d", i),
			Capacity: scheduler.Size{CPUMillis: holds * f.each.CPUMillis, MemoryBytes: holds * f.each.MemoryBytes},
		})
		f.at[f.nodes[i].ID] = i
	}
	for left, size := instances, 1; left > 0; size = size%9 + 1 {
		web := min(size, left)
		left -= web
		release := models.Release{ID: models.NewID()}
		f.apps = append(f.apps, app{want: rollout.Want{
			App: models.App{ID: models.NewID(), LiveReleaseID: &release.ID}, Release: release, Formation: models.Formation{models.WebProcess: web},
		}})
	}
	return f
}

// plan makes a plan for the app and carries it out.
func (f *fleet) plan(a *app, leave map[models.ID]bool) error {
	a.want.Leave = leave
	plan, err := rollout.NewPlan(a.want, a.runs, rollout.Offer{Nodes: f.nodes, Each: f.each})
	if err != nil {
		return err
	}
	for _, instance := range plan.Start {
		f.count(instance, 1)
	}
	for _, instance := range plan.Stop {
		f.count(instance, -1)
	}
	f.started += len(plan.Start)
	f.stopped += len(plan.Stop)
	a.runs = append(plan.Adopt, plan.Start...)
	return nil
}

func (f *fleet) count(instance models.Instance, sign int64) {
	node := &f.nodes[f.at[instance.NodeID]]
	node.Instances += int(sign)
	node.Reserved.CPUMillis += sign * f.each.CPUMillis
	node.Reserved.MemoryBytes += sign * f.each.MemoryBytes
}

// lose takes every tenth node offline, up to a number.
func (f *fleet) lose(most int) map[models.ID]bool {
	lost := map[models.ID]bool{}
	for i := range f.nodes {
		if i%10 == 0 && len(lost) < most {
			f.nodes[i].Offline = true
			lost[f.nodes[i].ID] = true
		}
	}
	return lost
}

func (a *app) runsOn(nodes map[models.ID]bool) bool {
	for _, instance := range a.runs {
		if nodes[instance.NodeID] {
			return true
		}
	}
	return false
}

func (f *fleet) on(nodes map[models.ID]bool) int {
	sum := 0
	for id := range nodes {
		sum += f.nodes[f.at[id]].Instances
	}
	return sum
}

func (f *fleet) least() int {
	least := f.nodes[0].Instances
	for _, node := range f.nodes {
		least = min(least, node.Instances)
	}
	return least
}

func (f *fleet) most() int {
	most := 0
	for _, node := range f.nodes {
		most = max(most, node.Instances)
	}
	return most
}

func (f *fleet) over() int {
	over := 0
	for _, node := range f.nodes {
		if scheduler.Share(node.Reserved, node.Capacity) > 1 {
			over++
		}
	}
	return over
}
