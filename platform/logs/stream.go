package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// stream is one stream's files. Only the newest segment is written.
type stream struct {
	dir          string
	segmentBytes int64
	keepBytes    int64

	mu       sync.Mutex
	segments []segment // oldest first; the last is the active one
	active   *os.File  // opened when first written
	changed  chan struct{}
	last     map[string]time.Time // by instance; nil until asked for
}

// segment is a file with the entries from start on.
type segment struct {
	start  int64
	size   int64 // uncompressed
	packed bool
}

const (
	plainSuffix  = ".log"
	packedSuffix = ".log.zst"
	readWindow   = 1 << 20
)

func openStream(dir string, segmentBytes, keepBytes int64) (*stream, error) {
	s := &stream{dir: dir, segmentBytes: segmentBytes, keepBytes: keepBytes, changed: make(chan struct{})}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if found, ok := parseSegment(entry.Name()); ok {
			if !found.packed {
				info, err := entry.Info()
				if err != nil {
					return nil, err
				}
				found.size = info.Size()
			}
			s.segments = append(s.segments, found)
		}
	}
	slices.SortFunc(s.segments, func(a, b segment) int { return int(a.start - b.start) })
	s.sizePacked()
	if len(s.segments) == 0 || s.segments[len(s.segments)-1].packed {
		s.segments = append(s.segments, segment{start: s.end()})
	}
	return s, nil
}

func parseSegment(name string) (segment, bool) {
	number, packed := strings.CutSuffix(name, packedSuffix)
	if !packed {
		var plain bool
		if number, plain = strings.CutSuffix(name, plainSuffix); !plain {
			return segment{}, false
		}
	}
	start, err := strconv.ParseInt(number, 10, 64)
	return segment{start: start, packed: packed}, err == nil
}

// sizePacked derives the sizes of compressed segments, which end where the next
// begins. The last of them keeps its size in its name's successor only, so a
// plain active segment always follows it.
func (s *stream) sizePacked() {
	for i := range s.segments {
		if s.segments[i].packed && i+1 < len(s.segments) {
			s.segments[i].size = s.segments[i+1].start - s.segments[i].start
		}
	}
}

func (s *stream) end() int64 {
	if len(s.segments) == 0 {
		return 0
	}
	newest := s.segments[len(s.segments)-1]
	return newest.start + newest.size
}

func (s *stream) size() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end()
}

func (s *stream) path(part segment) string {
	suffix := plainSuffix
	if part.packed {
		suffix = packedSuffix
	}
	return filepath.Join(s.dir, fmt.Sprintf("%020d%s", part.start, suffix))
}

func (s *stream) append(line []byte, entry Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active == nil {
		if err := s.openActive(); err != nil {
			return err
		}
	}
	written, err := s.active.Write(line)
	s.segments[len(s.segments)-1].size += int64(written)
	if err != nil { // a full disk takes a part: opened again, it is ended as after a crash
		err = errors.Join(err, s.active.Close())
		s.active = nil
		return err
	}
	if s.last != nil && entry.Instance != "" {
		s.last[entry.Instance] = entry.Time
	}
	close(s.changed)
	s.changed = make(chan struct{})
	if s.segments[len(s.segments)-1].size >= s.segmentBytes {
		return s.rotate()
	}
	return nil
}

// openActive opens the newest segment for writing. A line that a crash cut off
// is ended, so that it damages no other.
func (s *stream) openActive() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	newest := &s.segments[len(s.segments)-1]
	file, err := os.OpenFile(s.path(*newest), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := endLine(file, newest); err != nil {
		return errors.Join(err, file.Close())
	}
	s.active = file
	return nil
}

// endLine ends the segment's last line, if it has one that is not ended.
func endLine(file *os.File, newest *segment) error {
	if newest.size == 0 {
		return nil
	}
	final := make([]byte, 1)
	if _, err := file.ReadAt(final, newest.size-1); err != nil {
		return err
	}
	if final[0] == '\n' {
		return nil
	}
	written, err := file.WriteString("\n")
	newest.size += int64(written)
	return err
}

// rotate compresses the full segment, begins another and drops the oldest.
func (s *stream) rotate() error {
	if err := s.active.Close(); err != nil {
		return err
	}
	s.active = nil
	s.segments = append(s.segments, segment{start: s.end()})
	full := &s.segments[len(s.segments)-2]
	if err := s.openActive(); err != nil {
		return err
	}
	if err := s.pack(full); err != nil {
		return err
	}
	for len(s.segments) > 1 && s.end()-s.segments[1].start >= s.keepBytes {
		if err := os.Remove(s.path(s.segments[0])); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		s.segments = s.segments[1:]
	}
	return nil
}

func (s *stream) pack(full *segment) error {
	plain := s.path(*full)
	data, err := os.ReadFile(plain)
	if err != nil {
		return err
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		return err
	}
	packed := *full
	packed.packed = true
	temporary := s.path(packed) + ".tmp"
	if err := os.WriteFile(temporary, encoder.EncodeAll(data, nil), 0o600); err != nil {
		return err
	}
	if err := os.Rename(temporary, s.path(packed)); err != nil {
		return err
	}
	*full = packed
	return os.Remove(plain)
}

func (s *stream) changes() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// read returns bytes from offset on, and the offset that they begin at: the
// oldest one kept, when offset is older.
func (s *stream) read(offset int64) ([]byte, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 || offset >= s.end() {
		return nil, offset, nil
	}
	part := s.segments[0]
	for _, candidate := range s.segments {
		if candidate.start <= offset {
			part = candidate
		}
	}
	offset = max(offset, part.start)
	data, err := s.readSegment(part, offset-part.start)
	return data, offset, err
}

func (s *stream) readSegment(part segment, skip int64) ([]byte, error) {
	file, err := os.Open(s.path(part))
	if errors.Is(err, os.ErrNotExist) && part.size == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	if !part.packed {
		return io.ReadAll(io.NewSectionReader(file, skip, min(readWindow, part.size-skip)))
	}
	decoder, err := zstd.NewReader(file)
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	data, err := io.ReadAll(decoder)
	return data[min(skip, int64(len(data))):], err
}

// lastTime reads the two newest segments once, and keeps up from then on.
func (s *stream) lastTime(instance string) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil {
		return s.last[instance], nil
	}
	s.last = map[string]time.Time{}
	for _, part := range s.segments[max(0, len(s.segments)-2):] {
		for skip := int64(0); skip < part.size; {
			data, err := s.readSegment(part, skip)
			if err != nil {
				return time.Time{}, err
			}
			whole := bytes.LastIndexByte(data, '\n') + 1
			if whole == 0 {
				break
			}
			s.remember(data[:whole])
			skip += int64(whole)
		}
	}
	return s.last[instance], nil
}

func (s *stream) remember(lines []byte) {
	for line := range bytes.Lines(lines) {
		entry := Entry{}
		if json.Unmarshal(line, &entry) == nil && entry.Instance != "" {
			s.last[entry.Instance] = entry.Time
		}
	}
}

func (s *stream) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	if s.active == nil {
		return nil
	}
	err := s.active.Close()
	s.active = nil
	return err
}
