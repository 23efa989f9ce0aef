package logs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Reopen takes the End off a stream that has one, so that it can go on: that of
// a Build whose end a restored database does not know of. Nobody may read or
// write the stream meanwhile.
func (h *Hub) Reopen(name string) error {
	s, err := h.stream(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.dropEnd(&s.segments[len(s.segments)-1]); err != nil {
		return fmt.Errorf("reopen log %s: %w", name, err)
	}
	return nil
}

// dropEnd cuts the segment's last entry off if it is an End.
func (s *stream) dropEnd(newest *segment) error {
	data, err := os.ReadFile(s.path(*newest))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	start := bytes.LastIndexByte(bytes.TrimSuffix(data, []byte("\n")), '\n') + 1
	entry := Entry{}
	if json.Unmarshal(data[start:], &entry) != nil || entry.Kind != End {
		return nil
	}
	newest.size = int64(start)
	return os.Truncate(s.path(*newest), newest.size)
}
