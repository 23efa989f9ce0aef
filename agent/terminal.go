package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/terminal"
)

// hangUp is how long a command may take to end once its terminal is gone.
const hangUp = 2 * time.Second

// process is a command that an engine runs, with its ends of a terminal. Write and
// CloseWrite are its input.
type process interface {
	io.Writer
	CloseWrite() error
	// Copy hands on all output, until it ends.
	Copy(stdout, stderr io.Writer) error
	Resize(ctx context.Context, size terminal.Size) error
	// Signal sends one of terminal.Signals.
	Signal(ctx context.Context, name string) error
	// Outcome blocks until the command has ended, which it is about to once its
	// output has.
	Outcome(ctx context.Context) (terminal.Outcome, error)
	// End ends whatever is left of the command, and its streams. It blocks until
	// that was done, for a little longer than hangUp.
	End(ctx context.Context) error
}

// acceptStreams serves the streams that the control plane opens, until the link ends,
// and with it every command that they run.
func (a *Agent) acceptStreams(ctx context.Context, link *protocol.Link) {
	var open sync.WaitGroup
	defer open.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		stream, err := link.AcceptStream()
		if err != nil {
			return
		}
		open.Go(func() { a.serveStream(ctx, stream) })
	}
}

func (a *Agent) serveStream(ctx context.Context, stream *protocol.Stream) {
	var header protocol.StreamHeader
	switch err := stream.ReadFrame(&header); {
	case err != nil:
		stream.Abort()
	case header.Kind == protocol.StreamBuild:
		a.builder.serve(ctx, stream)
	default:
		a.serveTerminal(ctx, stream, header)
	}
}

// serveTerminal runs what a stream asks for, and answers with how it ended.
func (a *Agent) serveTerminal(ctx context.Context, stream *protocol.Stream, header protocol.StreamHeader) {
	defer stream.Abort()
	running, err := a.openTerminal(ctx, header)
	if err == nil {
		err = newRelay(stream, running).run(ctx)
	} else {
		_ = tell(stream, terminal.Exit, terminal.Outcome{Failed: err.Error()})
	}
	if err != nil {
		a.logger.Warn("terminal ended", "instance", header.Instance, "error", err)
	}
}

func tell(stream *protocol.Stream, kind terminal.Kind, value any) error {
	piece, err := terminal.Telling(kind, value)
	if err != nil {
		return err
	}
	return stream.WritePiece(piece)
}

// endStrays ends the commands that a former run of the agent left in containers:
// their terminals are gone.
func (a *Agent) endStrays(ctx context.Context) {
	apps, err := a.engine.Apps(ctx)
	for _, app := range apps {
		var listed []container
		if listed, err = a.engine.List(ctx, app); err != nil {
			break
		}
		for _, c := range listed {
			if c.State == runRunning {
				err = errors.Join(err, a.engine.EndStrays(ctx, c))
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		a.logger.Warn("commands of lost terminals may still run", "error", err)
	}
}

// openTerminal starts the command. The container must be the App's: an Instance of
// another is not found.
func (a *Agent) openTerminal(ctx context.Context, header protocol.StreamHeader) (process, error) {
	if header.Command == nil {
		return nil, errors.New("the stream names no command")
	}
	listed, err := a.engine.List(ctx, header.AppID)
	if err != nil {
		return nil, err
	}
	for _, c := range listed {
		if c.Instance != header.Instance {
			continue
		}
		switch {
		case header.Kind == protocol.StreamExec && c.State == runRunning:
			return a.engine.Exec(ctx, c, *header.Command)
		case header.Kind == protocol.StreamAttach && c.State == runCreated && c.Attended:
			return a.attach(ctx, c, *header.Command)
		}
		return nil, fmt.Errorf("the instance is %s: nothing can be run in it", c.State)
	}
	return nil, errors.New("the instance is not on its node")
}

// attach starts an Instance that waits for its terminal. Its App knows that first:
// one that runs unattended is ended.
func (a *Agent) attach(ctx context.Context, c container, command protocol.Command) (process, error) {
	a.mu.Lock()
	app := a.app(c.AppID, a.unassigned())
	a.mu.Unlock()
	known := make(chan struct{})
	app.mail.Tell(func() {
		app.remember(c.Instance).Attached = true
		close(known)
	})
	select {
	case <-known:
		return a.engine.Attach(ctx, c, command)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// relay is between a stream and a process.
type relay struct {
	stream  *protocol.Stream
	process process
	input   chan terminal.Piece
}

func newRelay(stream *protocol.Stream, running process) *relay {
	return &relay{stream: stream, process: running, input: make(chan terminal.Piece, terminal.Window+1)} // the end of input too
}

// run carries Pieces both ways until the command or the stream ends, and tells how
// the command ended. Nothing of it is left when run returns.
func (r *relay) run(ctx context.Context) error {
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	var work sync.WaitGroup
	defer work.Wait()
	defer r.stream.Abort()
	work.Go(func() { gone(r.receive(ctx)) })
	work.Go(r.feed)
	outcome, err := r.outlast(ctx)
	if ended := r.process.End(context.WithoutCancel(ctx)); ended != nil {
		err = errors.Join(err, fmt.Errorf("end the command: %w", ended))
	}
	if errors.Is(err, io.EOF) { // the person left
		return nil
	}
	if err != nil {
		outcome = terminal.Outcome{Failed: err.Error()}
	}
	return errors.Join(err, tell(r.stream, terminal.Exit, outcome))
}

// outlast hands on the output and waits for the end: of the command, or of the
// stream, which is the error then.
func (r *relay) outlast(ctx context.Context) (terminal.Outcome, error) {
	printed := make(chan error, 1)
	var printing sync.WaitGroup
	printing.Go(func() {
		printed <- errors.Join(
			r.stream.WritePiece(terminal.Piece{Kind: terminal.Started}),
			r.process.Copy(output{r.stream, terminal.Stdout}, output{r.stream, terminal.Stderr}))
	})
	select {
	case err := <-printed:
		if err != nil {
			return terminal.Outcome{}, fmt.Errorf("hand on the output: %w", err)
		}
		return r.process.Outcome(ctx)
	case <-ctx.Done():
		err := context.Cause(ctx)
		if errors.Is(err, io.EOF) { // nobody reads what is still printed
			r.stream.Abort()
		}
		_ = r.process.End(context.WithoutCancel(ctx)) // run tells how that went
		late := time.AfterFunc(hangUp, r.stream.Abort)
		defer late.Stop()
		printing.Wait()
		return terminal.Outcome{}, err
	}
}

// receive acts on what the person sends, until the stream ends; io.EOF says that
// they left. It never waits for the command to read.
func (r *relay) receive(ctx context.Context) error {
	defer close(r.input)
	for {
		piece, err := r.stream.ReadPiece()
		if err != nil {
			return err
		}
		switch piece.Kind {
		case terminal.Stdin, terminal.StdinEnd:
			select {
			case r.input <- piece:
			default:
				return terminal.ErrFlood
			}
		case terminal.Resize:
			size, err := terminal.Read[terminal.Size](piece)
			if err != nil {
				return err
			}
			_ = r.process.Resize(ctx, size) // one that has ended has no window
		case terminal.Signal:
			_ = r.process.Signal(ctx, string(piece.Data)) // and hears no signal
		}
	}
}

// feed writes input to the command, and says so piece by piece. What comes after
// its end, or after it closed its input, is dropped.
func (r *relay) feed() {
	for piece := range r.input {
		if piece.Kind == terminal.StdinEnd {
			_ = r.process.CloseWrite()
			continue
		}
		_, _ = r.process.Write(piece.Data)
		if r.stream.WritePiece(terminal.Piece{Kind: terminal.Taken}) != nil {
			continue // receive sees the end too, and closes input
		}
	}
}

// output is a writer of one kind of Pieces.
type output struct {
	stream *protocol.Stream
	kind   terminal.Kind
}

// Write implements io.Writer.
func (o output) Write(data []byte) (int, error) {
	err := terminal.Split(data, func(part []byte) error {
		return o.stream.WritePiece(terminal.Piece{Kind: o.kind, Data: part})
	})
	if err != nil {
		return 0, err
	}
	return len(data), nil
}
