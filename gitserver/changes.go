package gitserver

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/models"
)

// Changes lists the paths of the files that differ between two commits: added,
// removed, or with other contents or another mode. From ZeroObject it lists all
// files of the other. Only directories that differ are read. It never lists more
// than most.
func (r *Repositories) Changes(ctx context.Context, app models.ID, from, to string, most int) ([]string, error) {
	db, err := r.objects(app)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	c := &comparison{ctx: ctx, db: db, most: most}
	before, err := c.root(from)
	if err != nil {
		return nil, err
	}
	after, err := c.root(to)
	if err != nil {
		return nil, err
	}
	if err := c.compare("", before, after); err != nil {
		return nil, fmt.Errorf("compare commits: %w", err)
	}
	slices.Sort(c.paths)
	return c.paths, nil
}

// comparison collects what differs between two trees.
type comparison struct {
	ctx   context.Context
	db    *objectdb.DB
	most  int
	paths []string
}

// side is an entry of one of the two trees.
type side struct {
	mode object.Mode
	id   object.ID
}

func (c *comparison) root(commit string) (*side, error) {
	if commit == models.ZeroObject {
		return nil, nil
	}
	_, info, err := findCommit(c.db, commit)
	if err != nil {
		return nil, err
	}
	return &side{object.ModeDir, info.Tree}, nil
}

// compare adds what differs between two entries of one name; nil is none.
func (c *comparison) compare(name string, before, after *side) error {
	if len(c.paths) >= c.most || (before != nil && after != nil && *before == *after) {
		return nil
	}
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if (before != nil && !before.dir()) || (after != nil && !after.dir()) {
		c.paths = append(c.paths, name)
	}
	was, err := c.entries(before)
	if err != nil {
		return err
	}
	is, err := c.entries(after)
	if err != nil {
		return err
	}
	all := maps.Clone(was)
	maps.Copy(all, is)
	for _, child := range slices.Sorted(maps.Keys(all)) {
		if err := c.compare(path.Join(name, child), was[child], is[child]); err != nil {
			return err
		}
	}
	return nil
}

func (s *side) dir() bool { return s.mode == object.ModeDir }

// entries reads a directory; anything else has none.
func (c *comparison) entries(of *side) (map[string]*side, error) {
	found := map[string]*side{}
	if of == nil || !of.dir() {
		return found, nil
	}
	tree, err := c.db.ReadKind(of.id, object.Tree)
	if err != nil {
		return nil, err
	}
	for len(tree) > 0 {
		entry, rest, problem := object.NextEntry(tree)
		if problem != "" {
			return nil, fmt.Errorf("tree %s: %s", of.id, problem)
		}
		found[string(bytes.Clone(entry.Name))] = &side{entry.Mode, *entry.ID}
		tree = rest
	}
	return found, nil
}
