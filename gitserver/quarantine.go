package gitserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/internal/durable"
	"github.com/skypanel/sky/models"
)

// quarantine is a directory like objects/ in which one push waits for its
// verdict. It lies outside objects/, where other programs would look into it.
type quarantine struct {
	dir        string
	repository string
}

// quarantine makes an empty one. The caller must discard it.
func (r *Repositories) quarantine(app models.ID) (*quarantine, error) {
	if err := r.require(app); err != nil {
		return nil, err
	}
	root := filepath.Join(r.path(app), quarantineDir)
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("make quarantine: %w", err)
	}
	dir, err := os.MkdirTemp(root, quarantinePrefix)
	if err != nil {
		return nil, fmt.Errorf("make quarantine: %w", err)
	}
	q := &quarantine{dir: dir, repository: r.path(app)}
	if err := os.Mkdir(q.packDir(), 0o700); err != nil {
		return nil, errors.Join(fmt.Errorf("make quarantine: %w", err), os.RemoveAll(dir))
	}
	return q, nil
}

func (q *quarantine) packDir() string { return filepath.Join(q.dir, "pack") }

// adopt moves a verified pack into the repository, durably. The index goes
// first: git and this package ignore an index without a pack, go-git fails on a
// pack without an index. A nil pack is nothing to do; one that is there already
// becomes as young as if it were new. The caller holds the App's lock.
func (q *quarantine) adopt(pack *packfile.Pack) error {
	if pack == nil {
		return nil
	}
	home := filepath.Join(q.repository, "objects", "pack")
	known, err := holds(filepath.Join(home, filepath.Base(pack.IndexPath)), pack.IndexPath)
	if err != nil {
		return err
	}
	if known {
		now := time.Now()
		return os.Chtimes(filepath.Join(home, filepath.Base(pack.Path)), now, now)
	}
	for _, path := range []string{pack.IndexPath, pack.Path} {
		if err := os.Rename(path, filepath.Join(home, filepath.Base(path))); err != nil {
			return fmt.Errorf("store pack: %w", err)
		}
	}
	return durable.SyncDir(home)
}

// holds reports whether the very same pack is there already: one of the same
// name but with another index would be another pack.
func holds(there, here string) (bool, error) {
	stored, err := os.ReadFile(there)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("compare packs: %w", err)
	}
	fresh, err := os.ReadFile(here)
	if err != nil {
		return false, fmt.Errorf("compare packs: %w", err)
	}
	if !bytes.Equal(stored, fresh) {
		return false, fmt.Errorf("two packs share the name %s", filepath.Base(there))
	}
	_, err = os.Stat(there[:len(there)-len(".idx")] + ".pack")
	return err == nil, nil
}

func (q *quarantine) discard(log *slog.Logger) {
	if err := os.RemoveAll(q.dir); err != nil {
		log.Warn("quarantine not removed", "dir", q.dir, "error", err)
	}
}
