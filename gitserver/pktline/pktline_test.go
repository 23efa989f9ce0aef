package pktline_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/skypanel/sky/gitserver/pktline"
)

func TestReaderReadsPackets(t *testing.T) {
	type packet struct {
		kind pktline.Kind
		line string
		err  error
	}
	long := strings.Repeat("x", pktline.MaxPayload)
	for name, c := range map[string]struct {
		wire string
		want []packet
	}{
		"data":             {"0008abc\n0007abc", []packet{{line: "abc"}, {line: "abc"}, {err: io.EOF}}},
		"empty":            {"0004", []packet{{}, {err: io.EOF}}},
		"one newline only": {"0006\n\n", []packet{{line: "\n"}}},
		"specials":         {"000000010002", []packet{{kind: pktline.Flush}, {kind: pktline.Delimiter}, {kind: pktline.ResponseEnd}, {err: io.EOF}}},
		"upper case":       {"000Aabcdef", []packet{{line: "abcdef"}}},
		"the longest":      {"fff0" + long, []packet{{line: long}}},
		"too long":         {"fff1" + long + "x", []packet{{err: pktline.ErrMalformed}}},
		"length three":     {"0003", []packet{{err: pktline.ErrMalformed}}},
		"no number":        {"PACK", []packet{{err: pktline.ErrMalformed}}},
		"sign":             {"+004", []packet{{err: pktline.ErrMalformed}}},
		"minus":            {"-001", []packet{{err: pktline.ErrMalformed}}},
		"hex prefix":       {"0x04", []packet{{err: pktline.ErrMalformed}}},
		"underscore":       {"1_00", []packet{{err: pktline.ErrMalformed}}},
		"half a length":    {"00", []packet{{err: io.ErrUnexpectedEOF}}},
		"half a payload":   {"0008ab", []packet{{err: io.ErrUnexpectedEOF}}},
		"nothing of it":    {"0008", []packet{{err: io.ErrUnexpectedEOF}}},
	} {
		t.Run(name, func(t *testing.T) {
			reader := pktline.NewReader(strings.NewReader(c.wire))
			for _, want := range c.want {
				kind, line, err := reader.Next()
				require.ErrorIs(t, err, want.err)
				assert.Equal(t, want.kind, kind)
				assert.Equal(t, want.line, line)
			}
		})
	}
}

func TestReaderLeavesWhatFollows(t *testing.T) {
	reader := pktline.NewReader(strings.NewReader("0000PACK"))
	kind, _, err := reader.Next()
	require.NoError(t, err)
	assert.Equal(t, pktline.Flush, kind)
	rest, err := io.ReadAll(reader.Source())
	require.NoError(t, err)
	assert.Equal(t, "PACK", string(rest))
}

func TestAppend(t *testing.T) {
	lines := pktline.Append(nil, "%s %d\n", "a", 1)
	lines = pktline.AppendFlush(pktline.AppendDelimiter(lines))
	assert.Equal(t, "0008a 1\n00010000", string(lines))
	assert.Equal(t, "fff0", string(pktline.Append(nil, "%s", strings.Repeat("x", pktline.MaxPayload))[:4]))
}

// writes keeps every Write apart.
type writes struct {
	mu   sync.Mutex
	all  []string
	fail error
	seen chan struct{}
}

func (w *writes) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return 0, w.fail
	}
	w.all = append(w.all, string(data))
	if w.seen != nil {
		w.seen <- struct{}{}
	}
	return len(data), nil
}

func TestMuxWritesEveryPacketAtOnce(t *testing.T) {
	out := &writes{}
	mux := pktline.NewMux(out, false)
	require.NoError(t, mux.Send(pktline.Progress, []byte("hello")))
	require.NoError(t, mux.Send(pktline.Pack, nil), "no empty packet")
	long := strings.Repeat("x", 2*65515+1)
	n, err := mux.Writer(pktline.Pack).Write([]byte(long))
	require.NoError(t, err)
	assert.Equal(t, len(long), n)
	require.NoError(t, mux.Flush())
	require.Len(t, out.all, 5)
	assert.Equal(t, "000a\x02hello", out.all[0])
	assert.Equal(t, "fff0\x01"+long[:65515], out.all[1])
	assert.Equal(t, "fff0\x01"+long[:65515], out.all[2])
	assert.Equal(t, "0006\x01x", out.all[3])
	assert.Equal(t, "0000", out.all[4])
}

func TestPlainMuxPassesThePackOnly(t *testing.T) {
	out := &writes{}
	mux := pktline.NewMux(out, true)
	require.NoError(t, mux.Send(pktline.Progress, []byte("hello")))
	require.NoError(t, mux.Send(pktline.Pack, []byte("PACK")))
	require.NoError(t, mux.Flush())
	assert.Equal(t, []string{"PACK"}, out.all)
}

func TestMuxMixesNoPackets(t *testing.T) {
	var out bytes.Buffer
	mux := pktline.NewMux(&out, false)
	stop := make(chan struct{})
	var beating, writing sync.WaitGroup
	beating.Go(func() { mux.KeepAlive(time.Microsecond, stop) })
	for _, word := range []string{"a", "b", "c", "d"} {
		writing.Go(func() {
			for range 200 {
				assert.NoError(t, mux.Send(pktline.Progress, []byte(strings.Repeat(word, 1000))))
			}
		})
	}
	writing.Wait()
	close(stop)
	beating.Wait()
	reader, count := pktline.NewReader(&out), 0
	for {
		_, line, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if line == "\x01" {
			continue // a keep-alive
		}
		require.Equal(t, strings.Repeat(line[1:2], 1000), line[1:])
		count++
	}
	assert.Equal(t, 800, count)
}

func TestKeepAliveBridgesSilence(t *testing.T) {
	out := &writes{seen: make(chan struct{})}
	mux := pktline.NewMux(out, false)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		mux.KeepAlive(time.Millisecond, stop)
	}()
	<-out.seen
	out.mu.Lock()
	assert.Equal(t, "0005\x01", out.all[0])
	out.mu.Unlock()
	close(stop)
	for ended := false; !ended; {
		select {
		case <-out.seen:
		case <-stopped:
			ended = true
		}
	}
}

func TestMuxKeepsItsFirstError(t *testing.T) {
	broken := errors.New("broken pipe")
	out := &writes{fail: broken}
	mux := pktline.NewMux(out, false)
	require.ErrorIs(t, mux.Send(pktline.Progress, []byte("x")), broken)
	out.fail = nil
	require.ErrorIs(t, mux.Send(pktline.Progress, []byte("x")), broken)
	_, err := mux.Writer(pktline.Pack).Write([]byte("x"))
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, mux.Flush(), broken)
	assert.Empty(t, out.all)
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("0008abc\n0000"))
	f.Add([]byte("fff0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := pktline.NewReader(bytes.NewReader(data))
		for range len(data) + 1 {
			if _, line, err := reader.Next(); err != nil {
				return
			} else if len(line) > pktline.MaxPayload {
				t.Fatal("longer than a packet may be")
			}
		}
		t.Fatal("a packet came from nothing")
	})
}
