package gitserver

import (
	"bytes"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/skypanel/sky/gitserver/object"
)

func (t *Tree) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, ok := t.nodes[name]
	if !ok {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.dir() {
		return &openDir{tree: t, node: n}, nil
	}
	data, err := t.content(n)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{Reader: bytes.NewReader(data), info: fileInfo{n, int64(len(data))}}, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.dir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errIsDirectory}
	}
	data, err := t.content(n)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return slices.Clone(data), nil
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.dir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDirectory}
	}
	entries := make([]fs.DirEntry, len(n.children))
	for i, child := range n.children {
		entries[i] = dirEntry{t, child}
	}
	return entries, nil
}

// Stat implements fs.StatFS. It does not follow symbolic links.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	size, err := t.size(n)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return fileInfo{n, size}, nil
}

// Lstat implements fs.ReadLinkFS.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { return t.Stat(name) }

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) {
	n, err := t.find("readlink", name)
	if err != nil {
		return "", err
	}
	if n.mode != object.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	target, err := t.content(n)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(target), nil
}

type treeError string

func (e treeError) Error() string { return string(e) }

const (
	errIsDirectory  = treeError("is a directory")
	errNotDirectory = treeError("not a directory")
)

type fileInfo struct {
	node *node
	size int64
}

func (i fileInfo) Name() string       { return i.node.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.node.fileMode() }
func (i fileInfo) ModTime() time.Time { return i.node.modTime() }
func (i fileInfo) IsDir() bool        { return i.node.dir() }
func (i fileInfo) Sys() any           { return nil }

type dirEntry struct {
	tree *Tree
	node *node
}

func (e dirEntry) Name() string      { return e.node.name }
func (e dirEntry) IsDir() bool       { return e.node.dir() }
func (e dirEntry) Type() fs.FileMode { return e.node.fileMode().Type() }
func (e dirEntry) Info() (fs.FileInfo, error) {
	size, err := e.tree.size(e.node)
	return fileInfo{e.node, size}, err
}

// openFile is a file whose content was read when it was opened.
type openFile struct {
	*bytes.Reader
	info fileInfo
}

// Stat implements fs.File.
func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements fs.File.
func (f *openFile) Close() error { return nil }

// openDir is a directory that remembers how far it was read.
type openDir struct {
	tree *Tree
	node *node
	at   int
}

// Stat implements fs.File.
func (d *openDir) Stat() (fs.FileInfo, error) { return fileInfo{d.node, 0}, nil }

// Read implements fs.File.
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.node.name, Err: errIsDirectory}
}

// Close implements fs.File.
func (d *openDir) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(most int) ([]fs.DirEntry, error) {
	rest := d.node.children[d.at:]
	if most > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(most, len(rest))]
	}
	d.at += len(rest)
	entries := make([]fs.DirEntry, len(rest))
	for i, child := range rest {
		entries[i] = dirEntry{d.tree, child}
	}
	return entries, nil
}
