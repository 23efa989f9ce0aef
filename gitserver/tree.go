package gitserver

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/models"
)

// Tree is the files of one commit as `git archive` would export them: paths
// that .gitattributes marks export-ignore are left out. It is an fs.FS that also
// knows symbolic links; Open, Stat and ReadFile do not follow them. Contents are
// read when asked for. It may be used from many goroutines until Close, and
// answers fs.ErrClosed after it.
//
// ModTime of every file is 1980-01-01 UTC with nanoseconds that hash the
// content: two contents of the same size never look alike to BuildKit, which
// compares size and time only.
type Tree struct {
	commit string
	nodes  map[string]*node
	notes  TreeNotes // without LFSPointers

	mu sync.RWMutex // held for reading while db is used
	db *objectdb.DB // nil once closed
}

// TreeNotes is what a builder should tell the pusher about a Tree.
type TreeNotes struct {
	LFSPointers   []string // files whose content is elsewhere, in Git LFS
	Submodules    []string // directories whose content is another repository
	EscapingLinks []string // symbolic links that lead out of the tree
}

var _ interface {
	fs.ReadFileFS
	fs.ReadDirFS
	fs.StatFS
	fs.ReadLinkFS
} = (*Tree)(nil)

// Tree opens the files of one commit. The caller must Close it. An unknown
// commit is models.NotFound.
func (r *Repositories) Tree(ctx context.Context, app models.ID, commit string) (*Tree, error) {
	db, err := r.objects(app)
	if err != nil {
		return nil, err
	}
	t := &Tree{nodes: map[string]*node{}, db: db}
	if err := t.load(ctx, commit); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return t, nil
}

func (t *Tree) load(ctx context.Context, commit string) error {
	id, info, err := findCommit(t.db, commit)
	if err != nil {
		return err
	}
	t.commit = id.String()
	root, err := (&treeLoader{ctx: ctx, tree: t}).directory(".", info.Tree, nil)
	if err != nil {
		return err
	}
	t.nodes["."] = root
	return t.findEscapes()
}

// Commit returns the commit that the tree belongs to, in hex.
func (t *Tree) Commit() string { return t.commit }

// Close lets go of the files behind the tree. It waits for reads under way.
func (t *Tree) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.db == nil {
		return nil
	}
	db := t.db
	t.db = nil
	return db.Close()
}

// Notes reports what the tree holds that a build may stumble over. It reads
// small files to find LFS pointers, so it costs more than a listing.
func (t *Tree) Notes() (TreeNotes, error) {
	notes := t.notes
	for name, n := range t.nodes {
		if n.mode != object.ModeFile {
			continue
		}
		pointer, err := t.isLFSPointer(n)
		if err != nil {
			return notes, &fs.PathError{Op: "read", Path: name, Err: err}
		}
		if pointer {
			notes.LFSPointers = append(notes.LFSPointers, name)
		}
	}
	slices.Sort(notes.LFSPointers)
	slices.Sort(notes.Submodules)
	slices.Sort(notes.EscapingLinks)
	return notes, nil
}

const (
	lfsMagic = "version https://git-lfs.github.com/spec/v1\n"
	lfsMost  = 1024
)

func (t *Tree) isLFSPointer(n *node) (bool, error) {
	size, err := t.size(n)
	if err != nil || size < int64(len(lfsMagic)) || size > lfsMost {
		return false, err
	}
	data, err := t.content(n)
	return strings.HasPrefix(string(data), lfsMagic), err
}

// findEscapes notes the symbolic links that lead out of the tree.
func (t *Tree) findEscapes() error {
	for name, n := range t.nodes {
		if n.mode != object.ModeSymlink {
			continue
		}
		target, err := t.content(n)
		if err != nil {
			return err
		}
		if escapes(name, string(target)) {
			t.notes.EscapingLinks = append(t.notes.EscapingLinks, name)
		}
	}
	return nil
}

func escapes(name, target string) bool {
	if path.IsAbs(target) {
		return true
	}
	reached := path.Join(path.Dir(name), target)
	return reached == ".." || strings.HasPrefix(reached, "../")
}

// content returns what the caller must not change.
func (t *Tree) content(n *node) ([]byte, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.db == nil {
		return nil, fs.ErrClosed
	}
	return t.db.ReadKind(n.id, object.Blob)
}

func (t *Tree) size(n *node) (int64, error) {
	if n.dir() {
		return 0, nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.db == nil {
		return 0, fs.ErrClosed
	}
	_, size, err := t.db.Stat(n.id)
	return size, err
}

// node is one entry of a Tree.
type node struct {
	name     string
	mode     object.Mode
	id       object.ID
	children []*node // by name
}

// dir reports whether the node is a directory, as a submodule is: an empty one.
func (n *node) dir() bool { return n.mode == object.ModeDir || n.mode == object.ModeSubmodule }

func (n *node) fileMode() fs.FileMode {
	switch n.mode {
	case object.ModeDir, object.ModeSubmodule:
		return fs.ModeDir | 0o755
	case object.ModeSymlink:
		return fs.ModeSymlink | 0o777
	case object.ModeExec:
		return 0o755
	default:
		return 0o644
	}
}

// modTime hashes the content's name into the nanoseconds of a fixed second.
func (n *node) modTime() time.Time {
	nanoseconds := int64(0)
	if !n.dir() {
		nanoseconds = int64(binary.BigEndian.Uint64(n.id[:8]) % uint64(time.Second))
	}
	return time.Date(1980, time.January, 1, 0, 0, 0, int(nanoseconds), time.UTC)
}
