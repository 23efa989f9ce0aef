package gitserver

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/models"
)

const (
	attributesFile = ".gitattributes"
	maxDepth       = 500
	maxNodes       = 1_000_000
)

// treeLoader reads a Tree's directories, all at once: they are small, and
// without them export-ignore cannot be decided.
type treeLoader struct {
	ctx   context.Context
	tree  *Tree
	depth int
}

// directory reads the tree id into a node at dir and below, without what the
// rules leave out.
func (l *treeLoader) directory(dir string, id object.ID, rules exportRules) (*node, error) {
	if err := l.ctx.Err(); err != nil {
		return nil, err
	}
	if l.depth++; l.depth > maxDepth {
		return nil, models.Errorf(models.TooLarge, "directories are nested more than %d deep", maxDepth)
	}
	defer func() { l.depth-- }()
	entries, err := l.entries(id)
	if err != nil {
		return nil, fmt.Errorf("read directory %s: %w", dir, err)
	}
	if rules, err = l.addRules(dir, entries, rules); err != nil {
		return nil, fmt.Errorf("read %s: %w", path.Join(dir, attributesFile), err)
	}
	parent := &node{name: path.Base(dir), mode: object.ModeDir, id: id}
	for _, entry := range entries {
		child, err := l.child(path.Join(dir, entry.name), entry, rules)
		if err != nil {
			return nil, err
		}
		if child != nil {
			parent.children = append(parent.children, child)
		}
	}
	slices.SortFunc(parent.children, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	return parent, nil
}

// child returns nil for what is not exported.
func (l *treeLoader) child(name string, entry *node, rules exportRules) (*node, error) {
	if rules.ignore(name, entry.mode == object.ModeDir) {
		return nil, nil
	}
	if entry.mode == object.ModeDir {
		full, err := l.directory(name, entry.id, rules)
		if err != nil {
			return nil, err
		}
		entry = full
	}
	if entry.mode == object.ModeSubmodule {
		l.tree.notes.Submodules = append(l.tree.notes.Submodules, name)
	}
	if len(l.tree.nodes) >= maxNodes {
		return nil, models.Errorf(models.TooLarge, "the commit has more than %d files", maxNodes)
	}
	l.tree.nodes[name] = entry
	return entry, nil
}

func (l *treeLoader) entries(id object.ID) ([]*node, error) {
	data, err := l.tree.db.ReadKind(id, object.Tree)
	if err != nil {
		return nil, err
	}
	var entries []*node
	for len(data) > 0 {
		entry, rest, problem := object.NextEntry(data)
		if problem != "" {
			return nil, errors.New(problem)
		}
		entries = append(entries, &node{name: string(entry.Name), mode: entry.Mode, id: *entry.ID})
		data = rest
	}
	return entries, nil
}

func (l *treeLoader) addRules(dir string, entries []*node, rules exportRules) (exportRules, error) {
	for _, entry := range entries {
		if entry.name != attributesFile || entry.dir() || entry.mode == object.ModeSymlink {
			continue
		}
		data, err := l.tree.content(entry)
		if err != nil {
			return nil, err
		}
		return append(slices.Clip(rules), parseExportRules(dir, string(data))...), nil
	}
	return rules, nil
}
