package outgoing

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
)

// Query says what a client wants and what it has.
type Query struct {
	Wants []object.ID // commits, tags or any object
	Haves []object.ID // commits, with all they reach
	// Grafts are commits whose parents the client is not to be sent.
	Grafts map[object.ID]bool
	// ClientGrafts are commits whose parents the client lacks, though it has
	// the commit.
	ClientGrafts map[object.ID]bool
}

// Select returns the objects that the client lacks. It may return some that the
// client has, never too few. It blocks while it reads history, until ctx ends.
func Select(ctx context.Context, db *objectdb.DB, query Query) ([]object.ID, error) {
	s := &selection{ctx: ctx, db: db, query: query, seen: map[object.ID]bool{}, marks: map[object.ID]mark{}}
	if err := s.walkHistory(); err != nil {
		return nil, fmt.Errorf("walk history: %w", err)
	}
	for _, tree := range s.known { // first, so that they are not sent
		if err := s.addTree(tree, false); err != nil {
			return nil, fmt.Errorf("walk known trees: %w", err)
		}
	}
	for _, tree := range s.trees {
		if err := s.addTree(tree, true); err != nil {
			return nil, fmt.Errorf("walk trees: %w", err)
		}
	}
	return s.found, nil
}

// mark is what is known of a commit.
type mark uint8

const (
	wanted mark = 1 << iota // reachable from a want
	common                  // reachable from a have
)

type selection struct {
	ctx   context.Context
	db    *objectdb.DB
	query Query

	marks  map[object.ID]mark
	queue  commitQueue
	active int // queued commits that are wanted and not known to be common

	seen  map[object.ID]bool
	found []object.ID
	trees []object.ID // of wanted commits
	known []object.ID // of common commits at the border
}

// walkHistory paints commits, newest first, until nothing wanted is left that
// may not be common.
func (s *selection) walkHistory() error {
	for _, have := range s.query.Haves {
		if err := s.paint(have, common); err != nil {
			return err
		}
	}
	for _, want := range s.query.Wants {
		if err := s.want(want); err != nil {
			return err
		}
	}
	var commits []*commit
	for s.active > 0 {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		c := heap.Pop(&s.queue).(*commit)
		if c.counted {
			c.counted = false
			s.active--
		}
		if s.marks[c.id]&common == 0 {
			commits = append(commits, c)
		}
		if err := s.spread(c); err != nil {
			return err
		}
	}
	return s.collect(commits)
}

// spread passes a commit's marks on to its parents.
func (s *selection) spread(c *commit) error {
	marks := s.marks[c.id]
	cut := s.query.Grafts[c.id]
	if marks&common != 0 {
		cut = s.query.ClientGrafts[c.id]
	}
	if cut {
		return nil
	}
	for _, parent := range c.parents {
		if err := s.paint(parent, marks); err != nil {
			return err
		}
	}
	return nil
}

// maxKnown bounds the trees that are read only to be left out.
const maxKnown = 64

// paint marks a commit and queues it when that is news.
func (s *selection) paint(id object.ID, m mark) error {
	before, seen := s.marks[id]
	after := before | m
	if before == after {
		return nil
	}
	s.marks[id] = after
	if seen && before&common == 0 && after&common != 0 {
		s.recount(id)
	}
	c, err := s.read(id)
	if err != nil {
		return err
	}
	if !seen && after&common == 0 {
		s.active++
		c.counted = true
	}
	heap.Push(&s.queue, c)
	return nil
}

// recount takes a queued commit that turned out to be common out of the count.
func (s *selection) recount(id object.ID) {
	for _, queued := range s.queue {
		if queued.id == id && queued.counted {
			queued.counted = false
			s.active--
		}
	}
}

// want paints a commit, or adds what is none.
func (s *selection) want(id object.ID) error {
	kind, _, err := s.db.Stat(id)
	if err != nil {
		return err
	}
	switch kind {
	case object.Commit:
		return s.paint(id, wanted)
	case object.Tree:
		s.trees = append(s.trees, id)
		return nil
	case object.Tag:
		return s.wantTag(id)
	}
	s.add(id)
	return nil
}

func (s *selection) wantTag(id object.ID) error {
	data, err := s.db.ReadKind(id, object.Tag)
	if err != nil {
		return err
	}
	target, _, err := object.TagTarget(data)
	if err != nil {
		return err
	}
	s.add(id)
	return s.want(target)
}

// collect keeps the commits that did not turn out to be common later, and the
// trees of the common ones at their border.
func (s *selection) collect(commits []*commit) error {
	border := map[object.ID]bool{}
	for _, c := range commits {
		if s.marks[c.id]&common != 0 || !s.add(c.id) {
			continue
		}
		s.trees = append(s.trees, c.tree)
		for _, parent := range c.parents {
			if s.marks[parent]&common != 0 && len(border) < maxKnown {
				border[parent] = true
			}
		}
	}
	for id := range border {
		c, err := s.read(id)
		if err != nil {
			return err
		}
		s.known = append(s.known, c.tree)
	}
	return nil
}

func (s *selection) add(id object.ID) bool {
	if s.seen[id] {
		return false
	}
	s.seen[id] = true
	s.found = append(s.found, id)
	return true
}

// addTree adds a tree and what is in it, or with send unset marks them as what
// the client has.
func (s *selection) addTree(id object.ID, send bool) error {
	if s.seen[id] {
		return nil
	}
	if err := s.ctx.Err(); err != nil {
		return err
	}
	data, err := s.db.ReadKind(id, object.Tree)
	if err != nil {
		return err
	}
	s.mark(id, send)
	for len(data) > 0 {
		entry, rest, problem := object.NextEntry(data)
		if problem != "" {
			return fmt.Errorf("tree %s: %s", id, problem)
		}
		switch {
		case entry.Dir():
			if err := s.addTree(*entry.ID, send); err != nil {
				return err
			}
		case entry.Mode != object.ModeSubmodule && !s.seen[*entry.ID]:
			s.mark(*entry.ID, send)
		}
		data = rest
	}
	return nil
}

func (s *selection) mark(id object.ID, send bool) {
	s.seen[id] = true
	if send {
		s.found = append(s.found, id)
	}
}

func (s *selection) read(id object.ID) (*commit, error) {
	data, err := s.db.ReadKind(id, object.Commit)
	if err != nil {
		return nil, err
	}
	info, err := object.ParseCommit(data)
	if err != nil {
		return nil, err
	}
	return &commit{id: id, tree: info.Tree, parents: info.Parents, when: info.When}, nil
}

type commit struct {
	id, tree object.ID
	parents  []object.ID
	when     time.Time
	counted  bool // in selection.active
}

// commitQueue is a heap of commits, the newest on top.
type commitQueue []*commit

func (q commitQueue) Len() int           { return len(q) }
func (q commitQueue) Less(i, j int) bool { return q[i].when.After(q[j].when) }
func (q commitQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *commitQueue) Push(c any)        { *q = append(*q, c.(*commit)) }
func (q *commitQueue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	*q = (*q)[:last]
	return c
}
