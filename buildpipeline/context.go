package buildpipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/docker/go-units"
	"github.com/skypanel/sky/models"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// contextFS shows a commit's files to BuildKit. BuildKit asks for a file's
// contents only when its size, mode or time differ from what it has under the
// same shared key; the files' times must therefore change with their contents.
type contextFS struct {
	files fs.FS
	most  int64 // bytes; 0 is no bound
	over  atomic.Bool
}

// refusal says why the context was not shown whole, or nil.
func (c *contextFS) refusal() error {
	if c == nil || !c.over.Load() {
		return nil
	}
	return models.Errorf(models.Failed, "the files to build are larger than the %s that a build may have", units.BytesSize(float64(c.most))).
		WithRemedy("keep large files out of git, or name directories that the build does not need in .slugignore or .dockerignore")
}

var errContext = errors.New("the build's context is too large")

// Walk implements fsutil.FS.
func (c *contextFS) Walk(ctx context.Context, target string, visit fs.WalkDirFunc) error {
	if target == "" || target == "/" {
		target = "."
	}
	total := int64(0)
	return fs.WalkDir(c.files, target, func(name string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		stat, err := c.stat(name, entry)
		if err != nil {
			return err
		}
		if total += stat.Size; c.most > 0 && total > c.most {
			c.over.Store(true)
			return errContext
		}
		return visit(name, &fsutil.DirEntryInfo{Stat: stat}, nil)
	})
}

func (c *contextFS) stat(name string, entry fs.DirEntry) (*types.Stat, error) {
	info, err := entry.Info()
	if err != nil {
		return nil, fmt.Errorf("stat %s: %w", name, err)
	}
	stat := &types.Stat{Path: name, Mode: uint32(info.Mode()), ModTime: info.ModTime().UnixNano()}
	switch {
	case info.Mode().IsRegular():
		stat.Size = info.Size()
	case info.Mode()&fs.ModeSymlink != 0:
		if stat.Linkname, err = fs.ReadLink(c.files, name); err != nil {
			return nil, fmt.Errorf("read link %s: %w", name, err)
		}
	}
	return stat, nil
}

// Open implements fsutil.FS.
func (c *contextFS) Open(name string) (io.ReadCloser, error) { return c.files.Open(name) }

// texts is a file system that holds texts by name.
type texts map[string]string

// Walk implements fsutil.FS.
func (t texts) Walk(_ context.Context, target string, visit fs.WalkDirFunc) error {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if target != "" && target != "/" && target != "." && target != name {
			continue
		}
		stat := &types.Stat{Path: name, Mode: 0o644, Size: int64(len(t[name])), ModTime: contentTime(t[name])}
		err := visit(name, &fsutil.DirEntryInfo{Stat: stat}, nil)
		if errors.Is(err, fs.SkipAll) {
			return nil
		}
		if err != nil && !errors.Is(err, fs.SkipDir) {
			return err
		}
	}
	return nil
}

// Open implements fsutil.FS.
func (t texts) Open(name string) (io.ReadCloser, error) {
	text, ok := t[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// emptyFS is a build context without files.
type emptyFS struct{}

// Walk implements fsutil.FS.
func (emptyFS) Walk(context.Context, string, fs.WalkDirFunc) error { return nil }

// Open implements fsutil.FS.
func (emptyFS) Open(string) (io.ReadCloser, error) { return nil, fs.ErrNotExist }
