package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	containertypes "github.com/docker/docker/api/types/container"

	"github.com/skypanel/sky/agent/protocol"
)

// maxLine bounds one line; Docker itself splits longer ones.
const maxLine = 16 << 10

// Log implements engine.
func (d *docker) Log(ctx context.Context, id string, query logQuery, line func(protocol.LogLine) error) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	options := containertypes.LogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: query.Follow}
	if !query.Since.IsZero() {
		options.Since = fmt.Sprintf("%d.%09d", query.Since.Unix(), query.Since.Nanosecond())
	}
	if query.Tail > 0 {
		options.Tail = strconv.Itoa(query.Tail)
	}
	stream, err := d.client.ContainerLogs(ctx, id, options)
	if err != nil {
		return dockerError("read container log", err)
	}
	defer stream.Close()
	return readLog(stream, line)
}

// readLog splits Docker's stream into its messages. Each is one line with its
// time in front, from stdout (1) or stderr (2): a header of eight bytes says
// which, and how long it is.
func readLog(stream io.Reader, line func(protocol.LogLine) error) error {
	reader := bufio.NewReaderSize(stream, 64<<10)
	var message bytes.Buffer
	for {
		var header [8]byte
		if _, err := io.ReadFull(reader, header[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read log header: %w", err)
		}
		message.Reset()
		if _, err := io.CopyN(&message, reader, int64(binary.BigEndian.Uint32(header[4:]))); err != nil {
			return fmt.Errorf("read log message: %w", err)
		}
		if err := parseMessage(message.String(), header[0] == 2, line); err != nil {
			return err
		}
	}
}

// parseMessage hands on one message, in pieces when it is too long.
func parseMessage(message string, stderr bool, line func(protocol.LogLine) error) error {
	stamp, text, _ := strings.Cut(message, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return fmt.Errorf("read log time: %w", err)
	}
	text = strings.TrimRight(text, "\r\n")
	for {
		piece := text[:min(len(text), maxLine)]
		text = text[len(piece):]
		if err := line(protocol.LogLine{Time: at, Stderr: stderr, Text: strings.ToValidUTF8(piece, "\uFFFD")}); err != nil {
			return err
		}
		if text == "" {
			return nil
		}
	}
}
