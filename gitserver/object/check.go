package object

import "bytes"

// Visitor is told what a checked object refers to. An id is valid during the
// call only.
type Visitor interface {
	// Link is called for every object that must exist, with its kind.
	Link(id *ID, kind Kind)
	// Modules is called for every .gitmodules file, besides Link.
	Modules(id *ID)
}

// Check says what makes an object malformed or unsafe to check out, in the
// words of git fsck; "" means nothing does. A problem in a tree that git merely
// warns about is a refusal here when extracting it could leave the tree.
func Check(kind Kind, data []byte, visitor Visitor) (problem string) {
	switch kind {
	case Tree:
		return checkTree(data, visitor)
	case Commit:
		return checkCommit(data, visitor)
	case Tag:
		return checkTag(data, visitor)
	default:
		return ""
	}
}

func checkTree(data []byte, visitor Visitor) string {
	var order treeOrder
	for len(data) > 0 {
		entry, rest, problem := NextEntry(data)
		if problem != "" {
			return problem
		}
		if problem = checkName(entry.Name); problem != "" {
			return problem
		}
		if problem = order.next(entry.Name, entry.Dir()); problem != "" {
			return problem
		}
		if problem = checkMode(entry, visitor); problem != "" {
			return problem
		}
		data = rest
	}
	return ""
}

func checkMode(entry TreeEntry, visitor Visitor) string {
	if *entry.ID == Zero {
		return "nullSha1: entry points to null oid"
	}
	switch entry.Mode {
	case ModeDir:
		visitor.Link(entry.ID, Tree)
	case ModeFile, ModeExec, ModeGroupFile:
		visitor.Link(entry.ID, Blob)
		if IsModules(entry.Name) {
			visitor.Modules(entry.ID)
		}
	case ModeSymlink:
		if IsModules(entry.Name) {
			return "gitmodulesSymlink: .gitmodules is a symbolic link"
		}
		visitor.Link(entry.ID, Blob)
	case ModeSubmodule: // its commit lives in another repository
	default:
		return "badFilemode: unknown entry mode"
	}
	return ""
}

// treeOrder proves that entries are sorted and none occurs twice. A directory
// sorts as if its name ended in a slash, so that the file "a" and the directory
// "a" may stand apart with "a.b" between them: files remembers those that a
// later directory could double.
type treeOrder struct {
	prev    []byte
	prevDir bool
	started bool
	files   [][]byte
}

func (o *treeOrder) next(name []byte, dir bool) string {
	prev, prevDir, started := o.prev, o.prevDir, o.started
	o.prev, o.prevDir, o.started = name, dir, true
	if !started {
		return ""
	}
	switch order := compareNames(prev, prevDir, name, dir); {
	case order == 0 || bytes.Equal(prev, name):
		return "duplicateEntries: tree has duplicate entries"
	case order > 0:
		return "treeNotSorted: entries not properly sorted"
	}
	if !prevDir && extends(name, prev) {
		o.files = append(o.files, prev)
	} else if dir && o.doubled(name) {
		return "duplicateEntries: tree has duplicate entries"
	}
	return ""
}

// extends reports whether name is file with more after it that sorts before a
// slash, so that a directory called file could still follow.
func extends(name, file []byte) bool {
	return len(name) > len(file) && name[len(file)] < '/' && bytes.HasPrefix(name, file)
}

func (o *treeOrder) doubled(dir []byte) bool {
	for len(o.files) > 0 {
		last := o.files[len(o.files)-1]
		if bytes.Equal(dir, last) {
			return true
		}
		if extends(dir, last) {
			return false
		}
		o.files = o.files[:len(o.files)-1]
	}
	return false
}

func compareNames(a []byte, aDir bool, b []byte, bDir bool) int {
	shared := min(len(a), len(b))
	if order := bytes.Compare(a[:shared], b[:shared]); order != 0 {
		return order
	}
	return int(byteAfter(a, aDir, shared)) - int(byteAfter(b, bDir, shared))
}

func byteAfter(name []byte, dir bool, at int) byte {
	switch {
	case len(name) > at:
		return name[at]
	case dir:
		return '/'
	default:
		return 0
	}
}

func checkCommit(data []byte, visitor Visitor) string {
	var id ID
	line, rest, ok := bytes.Cut(data, newline)
	if !ok || !parseLine(line, "tree ", &id) {
		return "missingTree: invalid format - expected 'tree' line"
	}
	visitor.Link(&id, Tree)
	for {
		if line, rest, ok = bytes.Cut(rest, newline); !ok {
			return "missingAuthor: invalid format - expected 'author' line"
		}
		if !bytes.HasPrefix(line, []byte("parent ")) {
			break
		}
		if !parseLine(line, "parent ", &id) {
			return "badParentSha1: invalid 'parent' line format - bad sha1"
		}
		visitor.Link(&id, Commit)
	}
	return checkPeople(data, line, rest)
}

func checkPeople(data, line, rest []byte) string {
	author, committer := []byte("author "), []byte("committer ")
	if !bytes.HasPrefix(line, author) {
		return "missingAuthor: invalid format - expected 'author' line"
	}
	for bytes.HasPrefix(rest, author) { // old imports have several
		_, rest, _ = bytes.Cut(rest, newline)
	}
	if !bytes.HasPrefix(rest, committer) {
		return "missingCommitter: invalid format - expected 'committer' line"
	}
	header, _, _ := bytes.Cut(data, []byte("\n\n"))
	if bytes.IndexByte(header, 0) >= 0 {
		return "nulInHeader: unterminated header: NUL"
	}
	return ""
}

func checkTag(data []byte, visitor Visitor) string {
	var id ID
	line, rest, ok := bytes.Cut(data, newline)
	if !ok || !parseLine(line, "object ", &id) {
		return "missingObject: invalid format - expected 'object' line"
	}
	line, _, _ = bytes.Cut(rest, newline)
	word, ok := bytes.CutPrefix(line, []byte("type "))
	kind, known := ParseKind(string(word))
	if !ok || !known {
		return "badType: invalid 'type' value"
	}
	visitor.Link(&id, kind)
	return ""
}

// parseLine reads an ID after prefix, on a path hot enough to avoid strings.
func parseLine(line []byte, prefix string, id *ID) bool {
	if len(line) != len(prefix)+HexSize || string(line[:len(prefix)]) != prefix {
		return false
	}
	digits := line[len(prefix):]
	for i := range id {
		high, low := hexDigit(digits[2*i]), hexDigit(digits[2*i+1])
		if high > 15 || low > 15 {
			return false
		}
		id[i] = high<<4 | low
	}
	return true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	default:
		return 0xff
	}
}
