// Package logs stores the lines of builds and instances, and lets any number of
// readers follow them.
//
// A stream is a growing sequence of entries under a name such as
// "builds/<id>". It is kept in segment files named by the offset they begin at:
// plain while they grow, compressed once they are full. An entry's Offset is its
// position in the whole stream, never reused, so that a reader that was cut off
// continues where it stopped. Readers read files: a slow one holds nobody up.
package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Kind says what an entry is.
type Kind string

// The kinds of entries.
const (
	Say    Kind = "say"    // Sky's own words, which a pusher reads
	Detail Kind = "detail" // a build's full output
	Stdout Kind = "stdout" // an instance's output
	Stderr Kind = "stderr"
	End    Kind = "end" // the stream's last entry; Text is empty or an error
)

// Entry is one line.
type Entry struct {
	// Offset is the position behind the entry, to continue from.
	Offset   int64     `json:"-"`
	Time     time.Time `json:"t"`
	Kind     Kind      `json:"k"`
	Source   string    `json:"s,omitempty"` // "web.1"
	Instance string    `json:"i,omitempty"`
	Text     string    `json:"x"`
}

const (
	defaultSegment = 4 << 20
	defaultKeep    = 64 << 20
	// maxText bounds an entry, so that one always fits into a read window, even
	// when each of its bytes becomes six of JSON.
	maxText = 64 << 10
)

// Hub holds the streams under one directory.
type Hub struct {
	dir string
	// segmentBytes is the size at which a segment is closed; keepBytes bounds
	// the uncompressed bytes kept of a stream.
	segmentBytes int64
	keepBytes    int64

	mu      sync.Mutex
	streams map[string]*stream
}

// Open returns the Hub of the streams under dir.
func Open(dir string) (*Hub, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("log directory: %w", err)
	}
	return &Hub{dir: dir, segmentBytes: defaultSegment, keepBytes: defaultKeep, streams: map[string]*stream{}}, nil
}

// Append adds an entry to the stream and wakes its readers. The entry is in the
// operating system's hands when Append returns: it survives the end of this
// process, not of the machine.
func (h *Hub) Append(name string, entry Entry) error {
	s, err := h.stream(name)
	if err != nil {
		return err
	}
	if len(entry.Text) > maxText {
		entry.Text = strings.ToValidUTF8(entry.Text[:maxText], "") + "…"
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("encode log entry: %w", err)
	}
	if err := s.append(append(line, '\n'), entry); err != nil {
		return fmt.Errorf("append to log %s: %w", name, err)
	}
	if entry.Kind == End {
		return h.forget(name)
	}
	return nil
}

// forget lets go of a stream's file. Who reads it still may go on.
func (h *Hub) forget(name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.streams[name]
	if s == nil {
		return nil
	}
	delete(h.streams, name)
	if err := s.close(); err != nil {
		return fmt.Errorf("close log %s: %w", name, err)
	}
	return nil
}

// Read calls yield for every entry of the stream behind offset, oldest first.
// With follow it then waits for more, until an End entry, ctx's end or an error
// from yield, which it returns. An offset that is no longer kept begins at the
// oldest entry that is.
func (h *Hub) Read(ctx context.Context, name string, offset int64, follow bool, yield func(Entry) error) error {
	s, err := h.stream(name)
	if err != nil {
		return err
	}
	for {
		changed := s.changes()
		data, start, err := s.read(offset)
		if err != nil {
			return fmt.Errorf("read log %s: %w", name, err)
		}
		ended, next, err := deliver(data, start, yield)
		if err != nil || ended {
			return err
		}
		if next > offset {
			offset = next
			continue
		}
		if !follow {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver decodes whole lines of data, which begins at offset start.
func deliver(data []byte, start int64, yield func(Entry) error) (ended bool, next int64, err error) {
	next = start
	for {
		end := bytes.IndexByte(data, '\n')
		if end < 0 {
			return false, next, nil
		}
		entry := Entry{}
		if err := json.Unmarshal(data[:end], &entry); err != nil {
			entry = Entry{Kind: Say, Text: "(a damaged log line)"}
		}
		next += int64(end + 1)
		entry.Offset = next
		if err := yield(entry); err != nil {
			return false, next, err
		}
		if entry.Kind == End {
			return true, next, nil
		}
		data = data[end+1:]
	}
}

// LastTime returns the time of the newest entry of an instance in the stream,
// or zero.
func (h *Hub) LastTime(name, instance string) (time.Time, error) {
	s, err := h.stream(name)
	if err != nil {
		return time.Time{}, err
	}
	return s.lastTime(instance)
}

// Size returns the offset behind the stream's newest entry.
func (h *Hub) Size(name string) (int64, error) {
	s, err := h.stream(name)
	if err != nil {
		return 0, err
	}
	return s.size(), nil
}

// Remove deletes the stream; its readers end as if it had.
func (h *Hub) Remove(name string) error {
	if err := h.forget(name); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(h.dir, filepath.FromSlash(name)))
}

// Close closes all files. Readers that follow go on until their context ends.
func (h *Hub) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, s := range h.streams {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

func (h *Hub) stream(name string) (*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.streams[name]; s != nil {
		return s, nil
	}
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("log name %q leaves the log directory", name)
	}
	s, err := openStream(filepath.Join(h.dir, filepath.FromSlash(name)), h.segmentBytes, h.keepBytes)
	if err != nil {
		return nil, fmt.Errorf("open log %s: %w", name, err)
	}
	h.streams[name] = s
	return s, nil
}
