package gitserver

import (
	"io/fs"
)

// Tree is the files of one commit as `git archive` would export them: paths
// that .gitattributes marks export-ignore are left out, and so are directories
// without a file. It is an fs.FS that also knows symbolic links; Open, Stat and
// ReadFile do not follow them. Contents are read when asked for. It may be used
// from many goroutines until Close.
//
// ModTime of every file is 1980-01-01 UTC with nanoseconds that hash the
// content: two contents of the same size never look alike to BuildKit, which
// compares size and time only.
type Tree struct{}

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

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) { panic("unwritten") }

// ReadFile implements fs.ReadFileFS.
func (t *Tree) ReadFile(name string) ([]byte, error) { panic("unwritten") }

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) { panic("unwritten") }

// Stat implements fs.StatFS. It does not follow symbolic links.
func (t *Tree) Stat(name string) (fs.FileInfo, error) { panic("unwritten") }

// Lstat implements fs.ReadLinkFS.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) { panic("unwritten") }

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) { panic("unwritten") }

// Commit returns the commit that the tree belongs to, in hex.
func (t *Tree) Commit() string { panic("unwritten") }

// Notes reports what the tree holds that a build may stumble over. It reads
// small files to find LFS pointers, so it costs more than a listing.
func (t *Tree) Notes() (TreeNotes, error) { panic("unwritten") }

// Close lets go of the files behind the tree.
func (t *Tree) Close() error { panic("unwritten") }
