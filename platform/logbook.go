package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
)

func buildStream(build models.ID) string { return "builds/" + build.String() }
func appStream(app models.ID) string     { return "apps/" + app.String() }

// buildLog writes a Build's log. What an app's build prints cannot reach a
// terminal as control codes.
type buildLog struct {
	platform *Platform
	stream   string
	hide     *redactor // nil until the App's Config is known
}

func (p *Platform) buildLog(build models.Build) *buildLog {
	return &buildLog{platform: p, stream: buildStream(build.ID)}
}

// Say writes what the pusher reads; text of several lines is several entries.
func (l *buildLog) Say(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		l.append(logs.Say, line)
	}
}

// Detail writes a line of the full log.
func (l *buildLog) Detail(text string) { l.append(logs.Detail, text) }

func (l *buildLog) append(kind logs.Kind, text string) {
	entry := logs.Entry{Time: time.Now().UTC(), Kind: kind, Text: narrative.Clean(l.hide.Clean(text))}
	if err := l.platform.Logs.Append(l.stream, entry); err != nil {
		l.platform.Log.Error("build log", "error", err)
	}
}

// fail tells the pusher why it ended, and what to do about it.
func (l *buildLog) fail(err error) {
	message, remedy := "a fault of Sky's; the server's log says more", ""
	if coded := models.AsError(err); coded != nil && coded.Code != models.Internal {
		message, remedy = coded.Message, coded.Remedy
	} else if errors.Is(err, errCancelled) || errors.Is(err, errSuperseded) {
		message = err.Error()
	}
	l.Say("")
	l.Say("%s", narrative.Field("Failed", message))
	if remedy != "" {
		l.Say("%s", narrative.Field("", remedy))
	}
}

func (l *buildLog) end(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	l.append(logs.End, text)
}

// BuildLog calls yield for the entries of a Build's log behind offset, and with
// follow waits for more until the Build ends. A log that a killed process left
// without an end has one.
func (p *Platform) BuildLog(ctx context.Context, build models.Build, offset int64, follow bool, yield func(logs.Entry) error) error {
	if !build.State.Ended() || p.lanes.find(build.AppID, func(id models.ID) bool { return id == build.ID }) != nil {
		return p.Logs.Read(ctx, buildStream(build.ID), offset, follow, yield)
	}
	end := logs.Entry{Offset: offset, Kind: logs.End, Text: build.Error}
	err := p.Logs.Read(ctx, buildStream(build.ID), offset, false, func(entry logs.Entry) error {
		end.Offset, end.Time = entry.Offset, entry.Time
		if entry.Kind == logs.End {
			follow = false
		}
		return yield(entry)
	})
	if err != nil || !follow {
		return err
	}
	return yield(end)
}

// AppLog calls yield for the entries of an App's runtime log behind offset, and
// with follow waits for more until ctx ends.
func (p *Platform) AppLog(ctx context.Context, app models.App, offset int64, follow bool, yield func(logs.Entry) error) error {
	return p.Logs.Read(ctx, appStream(app.ID), offset, follow, yield)
}

// AppLogTail returns the offset that lies at most lines lines before the end of
// an App's runtime log.
func (p *Platform) AppLogTail(ctx context.Context, app models.App, lines int) (int64, error) {
	const averageLine, widest = 400, 16 << 20
	size, err := p.Logs.Size(appStream(app.ID))
	if err != nil || lines == 0 {
		return size, err
	}
	for window := int64(lines) * averageLine; ; window *= 4 {
		from := max(0, size-window)
		starts, err := p.lineStarts(ctx, app, from)
		if err != nil {
			return 0, err
		}
		if len(starts) >= lines || ((from == 0 || window > widest) && len(starts) > 0) {
			return starts[max(0, len(starts)-lines)], nil
		}
		if from == 0 {
			return size, nil
		}
	}
}

// lineStarts returns the offsets behind from at which lines begin. What lies
// there is most likely the middle of one.
func (p *Platform) lineStarts(ctx context.Context, app models.App, from int64) ([]int64, error) {
	var starts []int64
	if from == 0 {
		starts = append(starts, 0)
	}
	err := p.Logs.Read(ctx, appStream(app.ID), from, false, func(entry logs.Entry) error {
		starts = append(starts, entry.Offset)
		return nil
	})
	return starts[:max(0, len(starts)-1)], err // the last is the end
}

// LastLine implements fleet.Logs.
func (p *Platform) LastLine(_ context.Context, header protocol.StreamHeader) (time.Time, error) {
	app, err := models.ParseID(header.AppID)
	if err != nil {
		return time.Time{}, err
	}
	return p.Logs.LastTime(appStream(app), header.Instance)
}

// Append implements fleet.Logs.
func (p *Platform) Append(_ context.Context, header protocol.StreamHeader, line protocol.LogLine) error {
	app, err := models.ParseID(header.AppID)
	if err != nil {
		return err
	}
	kind := logs.Stdout
	if line.Stderr {
		kind = logs.Stderr
	}
	return p.Logs.Append(appStream(app), logs.Entry{
		Time: line.Time, Kind: kind, Source: fmt.Sprintf("%s.%d", header.Process, header.Ordinal),
		Instance: header.Instance, Text: narrative.Clean(line.Text),
	})
}
