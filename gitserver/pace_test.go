package gitserver

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/packfile"
)

// trickle brings one chunk after another, each after a pause.
type trickle struct {
	chunk []byte
	pause func(n int) time.Duration
	reads int
}

func (r *trickle) Read(buf []byte) (int, error) {
	<-time.After(r.pause(r.reads))
	r.reads++
	return copy(buf, r.chunk), nil
}

func TestSlowUploadsEnd(t *testing.T) {
	every := func(pause time.Duration) func(int) time.Duration {
		return func(int) time.Duration { return pause }
	}
	for name, c := range map[string]struct {
		chunk int
		pause func(int) time.Duration
		slow  bool
	}{
		"a byte a second":  {1, every(time.Second), true},
		"just too slow":    {1023, every(time.Second), true},
		"just fast enough": {1024, every(time.Second), false},
		"in bursts": {8 << 10, func(n int) time.Duration {
			if n%9 == 0 {
				return 59 * time.Second
			}
			return 0
		}, false},
		"after five minutes' thought": {4096, func(n int) time.Duration {
			if n == 0 {
				return 5 * time.Minute
			}
			return time.Second
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				reader := newPacedReader(&trickle{chunk: make([]byte, c.chunk), pause: c.pause}, 1024)
				_, err := io.CopyN(io.Discard, reader, 10<<20)
				if !c.slow {
					require.NoError(t, err)
					return
				}
				var limit *packfile.LimitError
				require.ErrorAs(t, err, &limit)
				assert.Equal(t, "limit exceeded: an upload of less than 1024 bytes a second", err.Error())
				assert.LessOrEqual(t, time.Since(began), paceWindow+time.Second)
			})
		})
	}
}

func TestTimeThatTheServerTakesIsNotTheClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := newPacedReader(bytes.NewReader(make([]byte, 100)), 1024)
		buf := make([]byte, 1)
		for range 100 {
			_, err := reader.Read(buf)
			require.NoError(t, err)
			<-time.After(time.Minute)
		}
	})
}

func TestStalledBodiesHaveADeadlineUntilTheyEnd(t *testing.T) {
	var deadlines []time.Time
	body := stallReader{io.NopCloser(bytes.NewReader([]byte("x"))), func(at time.Time) error {
		deadlines = append(deadlines, at)
		return nil
	}}
	_, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Len(t, deadlines, 3)
	assert.WithinDuration(t, time.Now().Add(stallTimeout), deadlines[0], time.Minute)
	assert.Zero(t, deadlines[2], "the answer may take longer")
}
