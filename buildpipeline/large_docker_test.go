package buildpipeline

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLargeRepository builds 200 MB, then an edit of one file: the engine asks
// for that file alone.
func TestLargeRepository(t *testing.T) {
	if os.Getenv("SKY_TEST_APPS") != "all" {
		t.Skip("heavy: `make apps` runs it")
	}
	const files, size = 100, 2 << 20
	b := newBench(t)
	repository := &counted{MapFS: fstest.MapFS{"index.html": {Data: []byte("hello"), Mode: 0o644}}}
	random := rand.NewChaCha8([32]byte{})
	for number := range files {
		data := make([]byte, size)
		_, _ = random.Read(data) // it cannot fail
		repository.put(fmt.Sprintf("large/%d.bin", number), data)
	}
	b.buildLarge(t, repository)
	require.Len(t, repository.taken(), files)
	edited := append([]byte("edited"), repository.MapFS["large/7.bin"].Data[6:]...)
	repository.put("large/7.bin", edited)
	site := b.buildLarge(t, repository)
	require.Equal(t, []string{"large/7.bin"}, repository.taken())
	site.get(t, expectedAnswer{path: "/large/7.bin", text: "edited", status: http.StatusOK})
}

func (b *bench) buildLarge(t *testing.T, files fs.FS) liveApp {
	b.number++
	result, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: b.number, Commit: "c0ffee", Log: b.log, Runtimes: everyStack(), Files: files,
	})
	require.NoError(t, err, "%s", strings.Join(b.log.detail, "\n"))
	return b.serve(t, result, nil)
}

// counted remembers which large files were read.
type counted struct {
	fstest.MapFS
	mu   sync.Mutex
	read []string
}

func (c *counted) put(name string, data []byte) {
	c.MapFS[name] = &fstest.MapFile{Data: data, Mode: 0o644, ModTime: time.Unix(0, contentTime(string(data)))}
}

// Open implements fs.FS.
func (c *counted) Open(name string) (fs.File, error) {
	if strings.HasPrefix(name, "large/") {
		c.mu.Lock()
		c.read = append(c.read, name)
		c.mu.Unlock()
	}
	return c.MapFS.Open(name)
}

// taken returns what was read since it was asked last.
func (c *counted) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	read := c.read
	c.read = nil
	return read
}
