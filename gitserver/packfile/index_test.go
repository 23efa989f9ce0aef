package packfile_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/skypanel/sky/gitserver/internal/evilpack"
	"github.com/skypanel/sky/gitserver/objectdb"
	"github.com/skypanel/sky/gitserver/packfile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func index(ctx context.Context, tb testing.TB, r io.Reader, limits packfile.Limits) (*packfile.Pack, string, error) {
	tb.Helper()
	dir := tb.TempDir()
	store, err := objectdb.Open(dir)
	require.NoError(tb, err)
	indexer := packfile.Indexer{Dir: dir, Store: store, Limits: limits}
	pack, err := indexer.Index(ctx, r)
	return pack, dir, err
}

// refused proves that a pack is, and leaves nothing.
func refused(tb testing.TB, dir string, err error) {
	tb.Helper()
	require.Error(tb, err)
	left, readErr := os.ReadDir(dir)
	require.NoError(tb, readErr)
	assert.Empty(tb, left)
}

func TestOnlyHonestPacksAreAccepted(t *testing.T) {
	for _, c := range evilpack.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			var data bytes.Buffer
			require.NoError(t, c.Pack(&data))
			pack, dir, err := index(t.Context(), t, &data, packfile.Limits{})
			if !c.Accept {
				refused(t, dir, err)
				t.Log(err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, 3, pack.Objects)
		})
	}
}

func TestBombsAreRefusedInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("inflates gigabytes")
	}
	for _, c := range evilpack.Large() {
		t.Run(c.Name, func(t *testing.T) {
			reader, writer := io.Pipe()
			written := make(chan struct{})
			go func() {
				defer close(written)
				writer.CloseWithError(c.Pack(writer))
			}()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			// A quarter of the default, which bounds the time of delta-fan alone.
			_, dir, err := index(t.Context(), t, reader, packfile.Limits{FreeBytes: 512 << 20})
			runtime.ReadMemStats(&after)
			require.NoError(t, reader.Close())
			<-written
			refused(t, dir, err)
			assert.Less(t, after.HeapSys, before.HeapSys+300<<20)
			t.Logf("%v; heap from the system grew by %d MB", err, (after.HeapSys-before.HeapSys)>>20)
		})
	}
}

func TestLimits(t *testing.T) {
	for name, limits := range map[string]packfile.Limits{
		"bytes": {Bytes: 100}, "objects": {Objects: 2}, "object bytes": {ObjectBytes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var data bytes.Buffer
			require.NoError(t, evilpack.Cases()[0].Pack(&data))
			_, dir, err := index(t.Context(), t, &data, limits)
			refused(t, dir, err)
			var limit *packfile.LimitError
			assert.ErrorAs(t, err, &limit)
		})
	}
}

func TestIndexEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, dir, err := index(ctx, t, &bytes.Buffer{}, packfile.Limits{})
	refused(t, dir, err)
	assert.ErrorIs(t, err, context.Canceled)
}

func FuzzIndex(f *testing.F) {
	for _, c := range evilpack.Cases() {
		var data bytes.Buffer
		require.NoError(f, c.Pack(&data))
		f.Add(data.Bytes())
	}
	limits := packfile.Limits{ObjectBytes: 1 << 20, FreeBytes: 1 << 22, Amplify: 10, Workers: 2}
	f.Fuzz(func(t *testing.T, data []byte) {
		pack, dir, err := index(t.Context(), t, bytes.NewReader(data), limits)
		if err != nil {
			refused(t, dir, err)
			return
		}
		if pack != nil {
			_, err := os.Stat(pack.IndexPath)
			require.NoError(t, err)
		}
	})
}
