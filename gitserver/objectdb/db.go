package objectdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/packfile"
)

// ErrNotFound means that no directory holds the object.
var ErrNotFound = errors.New("object not found")

// DB is the objects of one or more object directories.
type DB struct {
	dirs      []string
	packs     []*pack
	inflaters sync.Pool
	cache     cache
}

// Open opens the object directories, each like a repository's objects/, in the
// order in which they are searched, the oldest pack of each first: a delta's
// base is then found before the delta more often than not. A directory that is
// missing is empty. Files may be removed once Open has returned.
func Open(dirs ...string) (*DB, error) {
	db := &DB{dirs: dirs}
	for _, dir := range dirs {
		indexes, err := filepath.Glob(filepath.Join(dir, "pack", "pack-*.idx"))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("list packs: %w", err), db.Close())
		}
		first := len(db.packs)
		for _, index := range indexes {
			if err := db.add(index); err != nil {
				return nil, errors.Join(fmt.Errorf("open pack: %w", err), db.Close())
			}
		}
		slices.SortStableFunc(db.packs[first:], func(a, b *pack) int { return a.modified.Compare(b.modified) })
	}
	return db, nil
}

func (db *DB) add(index string) error {
	p, err := openPack(index)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an index arrives before its pack, and leaves before it
	}
	if err != nil {
		return err
	}
	db.packs = append(db.packs, p)
	return nil
}

// Close lets go of the files. Nothing may read from the DB any more.
func (db *DB) Close() error {
	var errs []error
	for _, p := range db.packs {
		errs = append(errs, p.close())
	}
	db.packs = nil
	return errors.Join(errs...)
}

// Has reports whether the DB holds the object.
func (db *DB) Has(id object.ID) bool {
	if _, _, ok := db.find(id); ok {
		return true
	}
	_, ok := db.loosePath(id)
	return ok
}

// Read returns an object, or ErrNotFound. The caller must not change the data.
func (db *DB) Read(id object.ID) (object.Kind, []byte, error) {
	if p, offset, ok := db.find(id); ok {
		kind, data, err := db.readPacked(p, offset)
		if err != nil {
			return 0, nil, fmt.Errorf("read object %s: %w", id, err)
		}
		return kind, data, nil
	}
	path, ok := db.loosePath(id)
	if !ok {
		return 0, nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	kind, data, err := db.readLoose(path)
	if err != nil {
		return 0, nil, fmt.Errorf("read object %s: %w", id, err)
	}
	return kind, data, nil
}

// ReadKind is Read for an object that must be of one kind.
func (db *DB) ReadKind(id object.ID, want object.Kind) ([]byte, error) {
	kind, data, err := db.Read(id)
	if err != nil {
		return nil, err
	}
	if kind != want {
		return nil, fmt.Errorf("object %s is a %s, not a %s", id, kind, want)
	}
	return data, nil
}

// Stat returns an object's kind and size without inflating it, or ErrNotFound.
func (db *DB) Stat(id object.ID) (object.Kind, int64, error) {
	if p, offset, ok := db.find(id); ok {
		kind, size, err := db.statPacked(p, offset)
		if err != nil {
			return 0, 0, fmt.Errorf("stat object %s: %w", id, err)
		}
		return kind, size, nil
	}
	kind, data, err := db.Read(id)
	return kind, int64(len(data)), err
}

func (db *DB) find(id object.ID) (p *pack, offset int64, ok bool) {
	for _, p := range db.packs {
		if offset, ok := p.find(id); ok {
			return p, offset, true
		}
	}
	return nil, 0, false
}

func (db *DB) loosePath(id object.ID) (string, bool) {
	hex := id.String()
	for _, dir := range db.dirs {
		path := filepath.Join(dir, hex[:2], hex[2:])
		if _, err := os.Lstat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

func (db *DB) readLoose(path string) (object.Kind, []byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	inflater := db.inflater()
	defer db.inflaters.Put(inflater)
	if err := inflater.Reset(file); err != nil {
		return 0, nil, err
	}
	header, data, err := inflater.Loose()
	if err != nil {
		return 0, nil, err
	}
	word, _, _ := strings.Cut(header, " ")
	kind, ok := object.ParseKind(word)
	if !ok {
		return 0, nil, fmt.Errorf("loose object has type %.20q", word)
	}
	return kind, data, nil
}

func (db *DB) inflater() *packfile.Inflater {
	if inflater, ok := db.inflaters.Get().(*packfile.Inflater); ok {
		return inflater
	}
	return &packfile.Inflater{}
}
