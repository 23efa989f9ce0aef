package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/skypanel/sky/gitserver/object"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/gitserver/outgoing"
	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
)

const (
	// packsMost is how many packs an App may gather before they are made one.
	packsMost = 50
	// garbageAge is how long objects that no ref reaches are held: a build may
	// be under way that will move a ref to them, or a rollback may want them.
	garbageAge = 14 * 24 * time.Hour
)

// ConsolidateIfDue is Consolidate for an App that has gathered more than 50
// packs since the last time. When it has not, it costs one directory listing, so
// that it may be called after every deployment.
func (r *Repositories) ConsolidateIfDue(ctx context.Context, app models.ID) error {
	packs, err := filepath.Glob(filepath.Join(r.packDir(app), "pack-*.pack"))
	if err != nil {
		return fmt.Errorf("count packs: %w", err)
	}
	if len(packs)-r.state(app).settled() <= packsMost {
		return nil
	}
	return r.Consolidate(ctx, app)
}

// Consolidate writes one pack of everything that the App's refs reach, hidden
// ones included, and removes the packs that it makes superfluous. It blocks
// while it does, on about one core, and returns at once when another call is at
// it already. Pushes, fetches and Trees go on meanwhile: the App's lock is held
// only to open the packs and to swap them, and who has a pack open keeps it.
//
// Objects that a push relies on never vanish:
//
//   - A pack is removed only if it was there at the start, and if the new pack
//     holds all of its objects; or else, as garbage, under the next rule.
//   - Garbage goes only if its pack is older than 14 days, if what stays does
//     not link to it, and if no push was under way from start to swap: a push
//     counts from its advertisement until the Receiver has decided, because what
//     it was offered as a base may lose its ref meanwhile.
//   - Nor does it go if a ref has moved to it meanwhile. A ref that would move
//     later is refused, for UpdateRefs and Keep look whether the object is there.
//
// So the store holds whatever its objects link to, before and after. A killed
// process leaves a sound repository: the new pack appears whole, index first,
// before any old one goes. What else is left Recover removes.
func (r *Repositories) Consolidate(ctx context.Context, app models.ID) error {
	state := r.state(app)
	if !state.consolidating.TryLock() {
		return nil
	}
	defer state.consolidating.Unlock()
	c, err := r.beginConsolidation(app)
	if err != nil {
		return fmt.Errorf("begin consolidation: %w", err)
	}
	defer c.end(r)
	if err := c.write(ctx); err != nil {
		return fmt.Errorf("write consolidated pack: %w", err)
	}
	garbage, err := c.garbage(ctx)
	if err != nil {
		return fmt.Errorf("find garbage: %w", err)
	}
	if err := r.swap(c, garbage); err != nil {
		return fmt.Errorf("swap packs: %w", err)
	}
	return nil
}

// consolidation is one Consolidate.
type consolidation struct {
	app        models.ID
	roots      []object.ID
	pushes     uint64       // the state's count when it began
	old        *objectdb.DB // what was there when it began
	quarantine *quarantine
	pack       *packfile.Pack // nil when refs reach nothing
	fresh      *objectdb.DB   // the new pack alone
}

func (r *Repositories) beginConsolidation(app models.ID) (*consolidation, error) {
	quarantine, err := r.quarantine(app)
	if err != nil {
		return nil, err
	}
	c := &consolidation{app: app, quarantine: quarantine}
	defer r.lock(app)()
	c.pushes = r.state(app).count
	if c.roots, err = r.roots(app); err == nil {
		c.old, err = r.openObjects(app)
	}
	if err != nil {
		quarantine.discard(r.Log)
		return nil, err
	}
	return c, nil
}

func (c *consolidation) end(r *Repositories) {
	for _, db := range []*objectdb.DB{c.old, c.fresh} {
		if db == nil {
			continue
		}
		if err := db.Close(); err != nil {
			r.Log.Warn("packs not closed", "app", c.app, "error", err)
		}
	}
	c.quarantine.discard(r.Log)
}

// roots are what all refs lead to, and HEAD when it is detached.
func (r *Repositories) roots(app models.ID) ([]object.ID, error) {
	all, err := r.allRefs(app)
	if err != nil {
		return nil, err
	}
	var roots []object.ID
	for _, ref := range all {
		roots = append(roots, ref.ID)
	}
	head, err := os.ReadFile(filepath.Join(r.path(app), "HEAD"))
	if err != nil {
		return nil, fmt.Errorf("read HEAD: %w", err)
	}
	if id, err := object.ParseID(strings.TrimSpace(string(head))); err == nil {
		roots = append(roots, id)
	}
	return roots, nil
}

// write makes the new pack in quarantine. Indexing it without a store proves
// that it is sound and holds all that it links to.
func (c *consolidation) write(ctx context.Context) error {
	ids, err := outgoing.Select(ctx, c.old, outgoing.Query{Wants: c.roots})
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		if c.pack, err = c.index(ctx, ids); err != nil {
			return err
		}
	}
	c.fresh, err = objectdb.Open(c.quarantine.dir)
	return err
}

func (c *consolidation) index(ctx context.Context, ids []object.ID) (*packfile.Pack, error) {
	ctx, cancel := context.WithCancel(ctx)
	reader, writer := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		writer.CloseWithError(outgoing.Write(ctx, writer, c.old, ids, true))
	}()
	indexer := packfile.Indexer{Dir: c.quarantine.packDir(), Store: nothing{}, Limits: consolidationLimits}
	pack, err := indexer.Index(ctx, reader)
	cancel()
	_ = reader.Close()
	<-written
	return pack, err
}

// consolidationLimits allow what many pushes, each within its own, add up to.
var consolidationLimits = packfile.Limits{
	Bytes: math.MaxInt64, Objects: math.MaxInt32, ObjectBytes: math.MaxUint32, FreeBytes: math.MaxInt64 / 2,
	Amplify: 1, Depth: 4_500, LiveBytes: math.MaxInt64, Workers: 1,
}

// nothing is an empty packfile.Store.
type nothing struct{}

// Has implements packfile.Store.
func (nothing) Has(object.ID) bool { return false }

// Read implements packfile.Store.
func (nothing) Read(id object.ID) (object.Kind, []byte, error) {
	return 0, nil, fmt.Errorf("%w: %s", objectdb.ErrNotFound, id)
}

// garbage returns the old packs with objects that no ref reaches, and whether
// each may go: those that are young stay, and those that hold what these reach.
func (c *consolidation) garbage(ctx context.Context) (map[string]bool, error) {
	garbage := map[string]bool{}
	var staying []object.ID
	for _, pack := range c.old.Packs() {
		lost := c.unreached(pack)
		if len(lost) == 0 {
			continue
		}
		garbage[pack.Path] = time.Since(pack.Modified) > garbageAge
		if !garbage[pack.Path] {
			staying = append(staying, lost...)
		}
	}
	for len(staying) > 0 {
		reached, err := outgoing.Select(ctx, c.old, outgoing.Query{Wants: staying})
		if err != nil {
			return nil, err
		}
		staying = c.spare(garbage, reached)
	}
	return garbage, nil
}

// spare lets the garbage stay that holds what is reached, and returns the
// objects that stay with it.
func (c *consolidation) spare(garbage map[string]bool, reached []object.ID) (staying []object.ID) {
	packs := c.old.Packs()
	for _, id := range reached {
		place, packed := c.old.Locate(id)
		if !packed || c.fresh.Has(id) || !garbage[packs[place.Pack].Path] {
			continue
		}
		garbage[packs[place.Pack].Path] = false
		staying = append(staying, c.unreached(packs[place.Pack])...)
	}
	return staying
}

// unreached returns the objects of a pack that the new one lacks.
func (c *consolidation) unreached(pack objectdb.Pack) []object.ID {
	var lost []object.ID
	for id := range pack.Objects() {
		if !c.fresh.Has(id) {
			lost = append(lost, id)
		}
	}
	return lost
}

// swap publishes the new pack and removes what may go by now.
func (r *Repositories) swap(c *consolidation, garbage map[string]bool) error {
	defer r.lock(c.app)()
	if err := r.require(c.app); err != nil {
		return err
	}
	quiet, err := r.quiet(c)
	if err != nil {
		return err
	}
	if err := c.quarantine.adopt(c.pack); err != nil {
		return err
	}
	var doomed []string
	for _, pack := range c.old.Packs() {
		old, lost := garbage[pack.Path]
		if (!lost || old && quiet) && !c.isNew(pack.Path) {
			doomed = append(doomed, pack.Path)
		}
	}
	if err := removePacks(r.packDir(c.app), doomed); err != nil {
		return err
	}
	left, err := filepath.Glob(filepath.Join(r.packDir(c.app), "pack-*.pack"))
	r.state(c.app).left = len(left)
	r.Log.Info("packs consolidated", "app", c.app, "removed", len(doomed), "left", len(left))
	return err
}

// isNew reports whether the pack at path is the very one that was written.
func (c *consolidation) isNew(path string) bool {
	return c.pack != nil && filepath.Base(path) == filepath.Base(c.pack.Path)
}

// quiet reports whether neither push nor ref could have come to rely on garbage
// since the consolidation began.
func (r *Repositories) quiet(c *consolidation) (bool, error) {
	state := r.state(c.app)
	if state.pushes > 0 || state.count != c.pushes {
		return false, nil
	}
	roots, err := r.roots(c.app)
	return !slices.ContainsFunc(roots, func(id object.ID) bool { return !c.fresh.Has(id) }), err
}

// removePacks removes packs, each before its index, as adopt adds them in the
// other order. A pack that git was told to keep stays.
func removePacks(dir string, packs []string) error {
	if len(packs) == 0 {
		return nil
	}
	stale, err := filepath.Glob(filepath.Join(dir, "multi-pack-index*"))
	errs := []error{err}
	for _, pack := range packs {
		base := strings.TrimSuffix(pack, ".pack")
		if _, err := os.Stat(base + ".keep"); err == nil {
			continue
		}
		for _, suffix := range []string{".pack", ".idx", ".rev", ".bitmap", ".mtimes"} {
			stale = append(stale, base+suffix)
		}
	}
	for _, path := range stale {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errors.Join(errs...), durable.SyncDir(dir))
}
