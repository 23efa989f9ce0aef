package api

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// noFlush has no connection.
type noFlush struct{}

func (noFlush) Flush() error                     { return nil }
func (noFlush) SetWriteDeadline(time.Time) error { return nil }

// TestSilentStreamsSayThatTheyLive, before a proxy takes them for dead, and no more when
// they have ended.
func TestSilentStreamsSayThatTheyLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent bytes.Buffer
		out := &events{to: &sent, flush: noFlush{}}
		end := out.keepAlive()
		<-time.After(3*aliveEvery - time.Second)
		require.NoError(t, out.send(7, "an event"))
		end()
		<-time.After(2 * aliveEvery)
		require.Equal(t, ": alive\n\n: alive\n\nid: 7\ndata: \"an event\"\n\n", sent.String())
	})
}
