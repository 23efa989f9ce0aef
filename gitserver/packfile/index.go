package packfile

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/skypanel/sky/gitserver/object"
)

// Store is the objects that the receiving repository has already.
type Store interface {
	// Has reports whether the store holds the object.
	Has(id object.ID) bool
	// Read returns an object. Any error counts as its absence.
	Read(id object.ID) (object.Kind, []byte, error)
}

// Indexer receives packs into a directory.
type Indexer struct {
	Dir    string // where the pack and its index are written
	Store  Store
	Limits Limits
	// Shallow are the commits at which the client's history ends: their parents
	// may be missing.
	Shallow map[object.ID]bool
	// Progress, if set, is told now and then how many objects are resolved. It
	// is called by many goroutines.
	Progress func(done, total int)
}

// Pack is a verified pack: every delta resolves, every object is sound, and
// every link leads to the pack or the store.
type Pack struct {
	Path      string // of the .pack file; the index lies beside it, as .idx
	IndexPath string
	Checksum  object.ID
	Objects   int // as announced
	Completed int // bases that a thin pack lacked and that were added
	Bytes     int64
	// Shallow are those of Indexer.Shallow whose parents really are missing.
	Shallow []object.ID
	// Modules are the blobs that trees of this pack call .gitmodules.
	Modules []object.ID
}

// Index consumes exactly one pack from r, not a byte more, and blocks until it
// is verified and durable, or refused. It returns nil for a pack without
// objects. On error it leaves no file. Errors: ErrCorrupt, LimitError,
// ObjectError, MissingError, those of r, and ctx's.
func (x *Indexer) Index(ctx context.Context, r io.Reader) (*Pack, error) {
	file, err := os.CreateTemp(x.Dir, "incoming-*.tmp")
	if err != nil {
		return nil, fmt.Errorf("create pack file: %w", err)
	}
	defer file.Close()
	in := newIntake(ctx, x, file)
	pack, err := in.run(r)
	if err != nil || pack == nil {
		_ = os.Remove(file.Name())
	}
	return pack, err
}

// intake is the state of one pack on its way in.
type intake struct {
	*Indexer
	limits  Limits
	ctx     context.Context
	file    *os.File
	entries table
	end     int64 // where the trailer begins
	waiting map[object.ID][]int32
	arena   arena
	links   linkSet

	inflated atomic.Int64
	live     atomic.Int64
	resolved atomic.Int64
	failure  atomic.Pointer[error]

	mu       sync.Mutex
	boundary map[object.ID][]object.ID // shallow commit to its parents
	modules  map[object.ID]bool
}

func newIntake(ctx context.Context, x *Indexer, file *os.File) *intake {
	in := &intake{Indexer: x, limits: x.Limits.WithDefaults(), ctx: ctx, file: file}
	if in.limits.Workers <= 0 {
		in.limits.Workers = runtime.GOMAXPROCS(0)
	}
	in.waiting = map[object.ID][]int32{}
	in.boundary = map[object.ID][]object.ID{}
	in.modules = map[object.ID]bool{}
	in.arena.max = in.limits.DeltaBytes
	return in
}

func (in *intake) run(r io.Reader) (*Pack, error) {
	sum, err := in.receive(r)
	if err != nil {
		return nil, err
	}
	announced := in.entries.length
	if announced == 0 {
		return nil, nil
	}
	if err := in.resolve(); err != nil {
		return nil, err
	}
	if in.unresolved() {
		if sum, err = in.complete(); err != nil {
			return nil, err
		}
	}
	in.arena = arena{}
	byName, err := in.entries.sorted()
	if err != nil {
		return nil, err
	}
	if err := in.links.verify(byName, in.Store); err != nil {
		return nil, err
	}
	pack := &Pack{Checksum: sum, Objects: announced, Completed: in.entries.length - announced, Bytes: in.end + trailerSize}
	pack.Shallow = in.openBoundary(byName)
	for id := range in.modules {
		pack.Modules = append(pack.Modules, id)
	}
	return pack, in.publish(pack, byName)
}

// publish makes the pack and its index durable and gives them their names.
func (in *intake) publish(pack *Pack, byName names) error {
	base := filepath.Join(in.Dir, "pack-"+pack.Checksum.String())
	pack.Path, pack.IndexPath = base+".pack", base+".idx"
	if err := in.sumEntries(); err != nil {
		return fmt.Errorf("checksum entries: %w", err)
	}
	if err := writeIndex(pack.IndexPath, byName, pack.Checksum); err != nil {
		return fmt.Errorf("write pack index: %w", err)
	}
	if err := in.file.Chmod(0o444); err != nil {
		return fmt.Errorf("protect pack: %w", err)
	}
	if err := in.file.Sync(); err != nil {
		return fmt.Errorf("sync pack: %w", err)
	}
	if err := os.Rename(in.file.Name(), pack.Path); err != nil {
		return fmt.Errorf("name pack: %w", err)
	}
	return nil
}

// openBoundary returns the shallow commits that have a parent nobody has.
func (in *intake) openBoundary(byName names) []object.ID {
	var open []object.ID
	for commit, parents := range in.boundary {
		for _, parent := range parents {
			if _, ok := byName.find(parent); !ok && !in.Store.Has(parent) {
				open = append(open, commit)
				break
			}
		}
	}
	return open
}

func (in *intake) unresolved() bool { return in.resolved.Load() != int64(in.entries.length) }

// fail keeps the first error of all workers, which makes the others stop.
func (in *intake) fail(err error) { in.failure.CompareAndSwap(nil, &err) }

func (in *intake) err() error {
	if err := in.failure.Load(); err != nil {
		return *err
	}
	return in.ctx.Err()
}

// grow accounts for size more inflated bytes in a pack of packed bytes so far.
func (in *intake) grow(size, packed int64) error {
	if size > in.limits.ObjectBytes {
		return limitf("an object of %d bytes, %d are allowed", size, in.limits.ObjectBytes)
	}
	if in.inflated.Add(size) > in.limits.FreeBytes+in.limits.Amplify*packed {
		return limitf("the pack inflates to more than %d bytes", in.limits.FreeBytes+in.limits.Amplify*packed)
	}
	return nil
}

// progress tells the owner every thousandth object.
func (in *intake) progress(done int64) {
	if in.Progress != nil && done&1023 == 0 {
		in.Progress(int(done), in.entries.length)
	}
}
