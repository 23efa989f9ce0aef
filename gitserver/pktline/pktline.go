package pktline

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// MaxPayload is the most that one packet carries.
const MaxPayload = 65516

// ErrMalformed means that what came is no packet.
var ErrMalformed = errors.New("protocol error: bad packet length")

// Kind tells packets with a payload from the special ones.
type Kind int

// The kinds of packets.
const (
	Data        Kind = iota
	Flush            // 0000: the end of a part
	Delimiter        // 0001: the end of a section, in protocol v2
	ResponseEnd      // 0002
)

// Reader reads packets and never a byte more, so that a pack may follow them.
type Reader struct {
	source io.Reader
	buf    [MaxPayload]byte
}

// NewReader returns a Reader from r.
func NewReader(r io.Reader) *Reader { return &Reader{source: r} }

// Source returns the reader behind the packets.
func (r *Reader) Source() io.Reader { return r.source }

// Next returns the next packet, its payload without a trailing newline. The
// payload is valid until the next call. At a clean end it returns io.EOF.
func (r *Reader) Next() (Kind, string, error) {
	var head [4]byte
	if _, err := io.ReadFull(r.source, head[:]); err != nil {
		return Data, "", err
	}
	length, err := strconv.ParseUint(string(head[:]), 16, 16)
	if err != nil || length == 3 {
		return Data, "", ErrMalformed
	}
	if length < 4 {
		return Kind(length) + 1, "", nil
	}
	payload := length - 4
	if payload > MaxPayload {
		return Data, "", ErrMalformed
	}
	if _, err := io.ReadFull(r.source, r.buf[:payload]); err != nil {
		return Data, "", fmt.Errorf("read packet: %w", io.ErrUnexpectedEOF)
	}
	return Data, strings.TrimSuffix(string(r.buf[:payload]), "\n"), nil
}

// Append appends one packet with the formatted payload.
func Append(dst []byte, format string, args ...any) []byte {
	at := len(dst)
	dst = append(dst, "0000"...)
	dst = fmt.Appendf(dst, format, args...)
	copy(dst[at:], length(len(dst)-at))
	return dst
}

// AppendFlush appends a flush packet.
func AppendFlush(dst []byte) []byte { return append(dst, "0000"...) }

// AppendDelimiter appends a delimiter packet.
func AppendDelimiter(dst []byte) []byte { return append(dst, "0001"...) }

func length(n int) string { return fmt.Sprintf("%04x", n) }
