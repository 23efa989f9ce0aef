package object

import "bytes"

// Mode is the mode of a tree entry.
type Mode uint32

// The modes that git writes, and GroupFile, which it wrote once.
const (
	ModeDir       Mode = 0o040000
	ModeFile      Mode = 0o100644
	ModeGroupFile Mode = 0o100664
	ModeExec      Mode = 0o100755
	ModeSymlink   Mode = 0o120000
	ModeSubmodule Mode = 0o160000
)

// TreeEntry is one line of a tree. Name and ID point into the tree's bytes.
type TreeEntry struct {
	Mode Mode
	Name []byte
	ID   *ID
}

// Dir reports whether the entry is a tree.
func (e TreeEntry) Dir() bool { return e.Mode == ModeDir }

// NextEntry cuts the first entry off a tree: "mode SP name NUL id". A problem
// that is not "" means that the tree is malformed.
func NextEntry(tree []byte) (entry TreeEntry, rest []byte, problem string) {
	space := -1
	for i := 0; i < len(tree) && i < 8; i++ {
		digit := tree[i]
		if digit == ' ' {
			space = i
			break
		}
		if digit < '0' || digit > '7' {
			return entry, nil, "badTree: bad mode"
		}
		entry.Mode = entry.Mode<<3 | Mode(digit-'0')
	}
	if space <= 0 {
		return entry, nil, "badTree: bad mode"
	}
	tail := tree[space+1:]
	end := bytes.IndexByte(tail, 0)
	if end < 0 || len(tail) < end+1+Size {
		return entry, nil, "badTree: truncated entry"
	}
	entry.Name, tail = tail[:end], tail[end+1:]
	entry.ID = (*ID)(tail[:Size])
	return entry, tail[Size:], ""
}
