package gitserver

import (
	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/pktline"
)

// depthPlan is where a shallow history ends, and how that differs from where
// the client's ends now.
type depthPlan struct {
	grafts    map[object.ID]bool // commits whose parents are not sent
	shallow   []object.ID        // for the client to mark
	unshallow []object.ID        // for the client to unmark
	deeper    []object.ID        // parents of those, which it lacks
}

// planDepth walks depth commits down from the wants, breadth first. Without a
// depth it leaves the client's own boundary where it is.
func (u *uploading) planDepth(r *fetchRequest) (*depthPlan, error) {
	plan := &depthPlan{grafts: map[object.ID]bool{}}
	if !r.deepens {
		return plan, nil
	}
	level := make([]object.ID, 0, len(r.wants))
	for _, want := range r.wants {
		target, _ := u.peel(want)
		level = append(level, target)
	}
	seen := map[object.ID]bool{}
	for depth := 1; len(level) > 0 && depth <= r.depth; depth++ {
		if err := u.ctx.Err(); err != nil {
			return nil, err
		}
		var next []object.ID
		for _, id := range level {
			parents, err := u.parents(id, seen)
			if err != nil {
				return nil, err
			}
			plan.add(id, parents, r, depth)
			next = append(next, parents...)
		}
		level = next
	}
	return plan, nil
}

// add places one commit of the walk on its side of the boundary.
func (p *depthPlan) add(id object.ID, parents []object.ID, r *fetchRequest, depth int) {
	switch {
	case len(parents) == 0:
	case depth == r.depth:
		p.grafts[id] = true
		if !r.shallow[id] {
			p.shallow = append(p.shallow, id)
		}
	case r.shallow[id]:
		p.unshallow = append(p.unshallow, id)
		p.deeper = append(p.deeper, parents...)
	}
}

// parents returns those of a commit that was not met before.
func (u *uploading) parents(id object.ID, seen map[object.ID]bool) ([]object.ID, error) {
	if seen[id] {
		return nil, nil
	}
	seen[id] = true
	kind, data, err := u.db.Read(id)
	if err != nil || kind != object.Commit {
		return nil, err
	}
	info, err := object.ParseCommit(data)
	return info.Parents, err
}

// lines are the packets of shallow-info. As with git they end in no newline: libgit2
// would not take it.
func (p *depthPlan) lines() []byte {
	var lines []byte
	for _, id := range p.shallow {
		lines = pktline.Append(lines, "shallow %s", id)
	}
	for _, id := range p.unshallow {
		lines = pktline.Append(lines, "unshallow %s", id)
	}
	return lines
}
