package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
)

const (
	// shipAgain is the pause before a log is followed anew.
	shipAgain = time.Second
	// shipLast bounds the wait for the rest of a log before its container is
	// removed, while there is a link.
	shipLast = 30 * time.Second
	// shipEnd is how long a log that is followed may go on after the end.
	shipEnd = 5 * time.Second
	// patienceOffline is Agent.patience, but in tests.
	patienceOffline = 5 * time.Second
	// replay is read again before the resume point, so that lines of the same
	// instant get the times that they got before.
	replay = 10 * time.Millisecond
)

// shipper sends one Instance's log to the control plane, from where that has
// it, over every link in turn, until it is finished or abandoned.
type shipper struct {
	engine    engine
	links     *links
	container container
	patience  time.Duration // without a link
	final     chan struct{} // closed when no more will be written
	done      chan struct{} // closed when all is kept, or it was abandoned
	once      sync.Once
	cancel    context.CancelFunc
}

// ship begins to send a container's log.
func (a *Agent) ship(ctx context.Context, c container) *shipper {
	ctx, cancel := context.WithCancel(ctx)
	s := &shipper{engine: a.engine, links: a.links, container: c, patience: a.patience, final: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
	a.tasks.Go(func() {
		defer close(s.done)
		defer cancel()
		s.run(ctx)
	})
	return s
}

// Finish says that the container has ended, and blocks until its whole log is
// kept; for a bounded time only, and a short one while there is no link.
func (s *shipper) Finish(ctx context.Context) {
	s.once.Do(func() { close(s.final) })
	limit := shipLast
	if s.links.Current() == nil {
		limit = s.patience
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	s.cancel()
}

// Abandon ends it, whatever is left.
func (s *shipper) Abandon() { s.cancel() }

func (s *shipper) run(ctx context.Context) {
	for {
		link, err := s.links.Wait(ctx)
		if err != nil {
			return
		}
		if err := s.send(ctx, link); err == nil || errors.Is(err, errGone) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(shipAgain):
		}
	}
}

// send ships the log over one link. It returns nil when the log has ended and
// the control plane has it all.
func (s *shipper) send(ctx context.Context, link *protocol.Link) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := s.container
	stream, err := link.OpenStream(protocol.StreamHeader{
		Kind: protocol.StreamLog, Instance: c.Instance, AppID: c.AppID, Process: c.Process, Ordinal: c.Ordinal,
	})
	if err != nil {
		return err
	}
	defer stream.Close()
	var resume protocol.LogResume
	if err := readBy(ctx, stream, &resume); err != nil {
		return fmt.Errorf("ask where the log goes on: %w", err)
	}
	kept := make(chan protocol.LogResume, 1)
	go func() {
		defer cancel() // the other end keeps no more
		var resume protocol.LogResume
		_ = stream.ReadFrame(&resume)
		kept <- resume
	}()
	cursor := newCursor(resume.After)
	err = s.follow(ctx, stream, cursor)
	_ = stream.Close()
	_ = stream.SetReadDeadline(time.Now().Add(protocol.WriteTimeout))
	if last := <-kept; err == nil && !last.After.Equal(cursor.sent) {
		err = errors.New("the control plane did not keep the whole log")
	}
	return err
}

// readBy reads one frame and gives up with ctx, or after a while.
func readBy(ctx context.Context, stream *protocol.Stream, target any) error {
	stop := context.AfterFunc(ctx, func() { _ = stream.SetReadDeadline(time.Now()) })
	defer stop()
	if err := stream.SetReadDeadline(time.Now().Add(protocol.WriteTimeout)); err != nil {
		return fmt.Errorf("set read deadline: %w", err)
	}
	if err := stream.ReadFrame(target); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return wrap("lift read deadline", stream.SetReadDeadline(time.Time{}))
}

// follow sends lines until the container has ended for good. Docker ends the
// log at each end of the process: it is taken up again where it was left.
func (s *shipper) follow(ctx context.Context, stream *protocol.Stream, cursor *cursor) error {
	for {
		last := s.isFinal()
		err := s.read(ctx, logQuery{Since: cursor.since(), Follow: !last}, func(line protocol.LogLine) error {
			if !cursor.advance(&line) {
				return nil
			}
			return stream.WriteFrame(line)
		})
		if last || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		cursor.rewind()
		select {
		case <-ctx.Done():
			return fmt.Errorf("follow log: %w", ctx.Err())
		case <-s.final:
		case <-time.After(shipAgain):
		}
	}
}

// read reads the log once. A log that is followed is to end with its process; an
// engine that was restarted meanwhile may never end it, so that it is left a while
// after the end.
func (s *shipper) read(ctx context.Context, query logQuery, line func(protocol.LogLine) error) error {
	following, leave := context.WithCancel(ctx)
	defer leave()
	if query.Follow {
		go func() {
			select {
			case <-following.Done():
				return
			case <-s.final:
			}
			select {
			case <-following.Done():
			case <-time.After(shipEnd):
				leave()
			}
		}()
	}
	err := s.engine.Log(following, s.container.ID, query, line)
	if err != nil && query.Follow && following.Err() != nil && ctx.Err() == nil {
		return nil // left: what is there is read once more
	}
	return err
}

func (s *shipper) isFinal() bool {
	select {
	case <-s.final:
		return true
	default:
		return false
	}
}

// cursor gives lines times that grow strictly, the same at each reading, and
// skips those that were sent.
type cursor struct {
	sent time.Time // the last line that the control plane has
	last time.Time // the last line read
}

func newCursor(after time.Time) *cursor { return &cursor{sent: after} }

// since is where to begin to read.
func (c *cursor) since() time.Time {
	if c.sent.IsZero() {
		return time.Time{}
	}
	return c.sent.Add(-replay)
}

// rewind begins a new reading at since.
func (c *cursor) rewind() { c.last = time.Time{} }

// advance sets the line's time, and says whether it is new.
func (c *cursor) advance(line *protocol.LogLine) bool {
	if !line.Time.After(c.last) {
		line.Time = c.last.Add(1)
	}
	c.last = line.Time
	if !line.Time.After(c.sent) {
		return false
	}
	c.sent = line.Time
	return true
}
