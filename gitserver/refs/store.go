package refs

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/skypanel/sky/gitserver/object"
)

// Store is the refs of the bare repository at Dir. Reads see each ref before or
// after a write, never between.
type Store struct{ Dir string }

// Ref is a name and the object that it leads to.
type Ref struct {
	Name string
	ID   object.ID
}

const (
	lockSuffix = ".lock"
	packedFile = "packed-refs"
)

// Get returns the object that name leads to, or object.Zero when there is no
// such ref.
func (s Store) Get(name string) (object.ID, error) {
	id, err := s.loose(name)
	if err == nil || !absent(err) {
		return id, err
	}
	packed, err := s.packed()
	if err != nil {
		return object.Zero, err
	}
	return packed.ids[name], nil
}

// List returns all refs by name.
func (s Store) List() ([]Ref, error) {
	// Packed first: a ref that is being packed is then seen in one of the two.
	all, err := s.packed()
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(filepath.Join(s.Dir, "refs"), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() || strings.HasSuffix(path, lockSuffix) {
			return err
		}
		return s.addLoose(all.ids, path)
	})
	if err != nil {
		return nil, fmt.Errorf("list refs: %w", err)
	}
	list := make([]Ref, 0, len(all.ids))
	for name, id := range all.ids {
		list = append(list, Ref{name, id})
	}
	slices.SortFunc(list, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (s Store) addLoose(ids map[string]object.ID, path string) error {
	relative, err := filepath.Rel(s.Dir, path)
	if err != nil {
		return err
	}
	name := filepath.ToSlash(relative)
	id, err := s.loose(name)
	if err == nil {
		ids[name] = id
	}
	if absent(err) {
		return nil
	}
	return err
}

func (s Store) path(name string) string { return filepath.Join(s.Dir, filepath.FromSlash(name)) }

func (s Store) loose(name string) (object.ID, error) {
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		return object.Zero, err
	}
	id, err := object.ParseID(strings.TrimSpace(string(data)))
	if err != nil {
		return object.Zero, fmt.Errorf("read ref %s: %w", name, err)
	}
	return id, nil
}

// absent reports whether err means that there is no loose ref: no file, a
// directory of other refs, or a shorter ref in the way.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR)
}

// packedRefs is the content of packed-refs; lines keep what is not ours to
// change, such as peeled tags.
type packedRefs struct {
	ids   map[string]object.ID
	lines []string
}

func (s Store) packed() (packedRefs, error) {
	refs := packedRefs{ids: map[string]object.ID{}}
	file, err := os.Open(filepath.Join(s.Dir, packedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return refs, nil
	}
	if err != nil {
		return refs, fmt.Errorf("read packed refs: %w", err)
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		line := scanner.Text()
		refs.lines = append(refs.lines, line)
		if name, id, ok := parsePacked(line); ok {
			refs.ids[name] = id
		}
	}
	if err := scanner.Err(); err != nil {
		return refs, fmt.Errorf("read packed refs: %w", err)
	}
	return refs, nil
}

// parsePacked reads "id SP name"; comments and peeled tags are neither.
func parsePacked(line string) (name string, id object.ID, ok bool) {
	hex, name, found := strings.Cut(line, " ")
	if !found || strings.HasPrefix(line, "#") {
		return "", id, false
	}
	id, err := object.ParseID(hex)
	return name, id, err == nil
}

// without returns the lines that remain when the named refs, with the peeled
// lines that follow them, are taken out.
func (p packedRefs) without(names map[string]bool) (lines []string, changed bool) {
	dropping := false
	for _, line := range p.lines {
		if dropping && strings.HasPrefix(line, "^") {
			continue
		}
		name, _, ok := parsePacked(line)
		if dropping = ok && names[name]; dropping {
			changed = true
			continue
		}
		lines = append(lines, line)
	}
	return lines, changed
}
