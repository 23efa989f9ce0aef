package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

// acceptStreams serves every stream that the agent opens, each on its own.
func (a *agent) acceptStreams(ctx context.Context) {
	for {
		stream, err := a.link.AcceptStream()
		if err != nil {
			return
		}
		a.streams.Go(func() {
			defer stream.Close()
			if err := a.serveStream(ctx, stream); err != nil && ctx.Err() == nil {
				a.fleet.config.Logger.Warn("agent stream ended", "node", a.node, "error", err)
			}
		})
	}
}

func (a *agent) serveStream(ctx context.Context, stream *protocol.Stream) error {
	var header protocol.StreamHeader
	if err := stream.ReadFrame(&header); err != nil {
		return fmt.Errorf("read stream header: %w", err)
	}
	if header.Kind != protocol.StreamLog {
		return fmt.Errorf("stream of unknown kind %q", header.Kind)
	}
	return a.receiveLog(ctx, stream, header)
}

// receiveLog tells the agent where to go on, and keeps every line from there.
// When the agent has no more, it hears once more what is kept: only then may it
// remove the container.
func (a *agent) receiveLog(ctx context.Context, stream *protocol.Stream, header protocol.StreamHeader) error {
	if err := a.fleet.mayLog(a.node, header.Instance); err != nil {
		return fmt.Errorf("log of %s: %w", header.Instance, err)
	}
	after, err := a.fleet.config.Logs.LastLine(ctx, header)
	if err != nil {
		return fmt.Errorf("find last line of %s: %w", header.Instance, err)
	}
	if err := stream.WriteFrame(protocol.LogResume{After: after}); err != nil {
		return fmt.Errorf("answer log stream: %w", err)
	}
	for {
		var line protocol.LogLine
		if err := stream.ReadFrame(&line); errors.Is(err, io.EOF) {
			return a.confirm(stream, after)
		} else if err != nil {
			return fmt.Errorf("read log of %s: %w", header.Instance, err)
		}
		if !line.Time.After(after) {
			continue
		}
		if err := a.fleet.config.Logs.Append(ctx, header, line); err != nil {
			return fmt.Errorf("keep log of %s: %w", header.Instance, err)
		}
		after = line.Time
	}
}

func (a *agent) confirm(stream *protocol.Stream, after time.Time) error {
	if err := stream.WriteFrame(protocol.LogResume{After: after}); err != nil {
		return fmt.Errorf("confirm log: %w", err)
	}
	return nil
}
