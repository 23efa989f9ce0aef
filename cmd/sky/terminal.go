package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/terminal"
	"golang.org/x/term"
)

// codeLost is the exit code where a command's own is not known, as ssh has it.
const codeLost = 255

// passedOn are the signals that the command gets, by the names that terminals have for
// them.
var passedOn = map[os.Signal]string{
	syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGHUP: "HUP", syscall.SIGQUIT: "QUIT", syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2",
}

// seat is the person's end of a terminal.
type seat struct {
	streams
	conn  *websocket.Conn
	tty   bool
	slots chan struct{} // for input that may be on the way
	// restore gives the person's own terminal back.
	restore func()
}

// terminal opens a terminal and sits at it until its command ends. The error has
// the exit code.
func (c *cli) terminal(ctx context.Context, client *v1.Client, path string, asked v1.TerminalRequest, tty *bool) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, append(slices.Collect(maps.Keys(passedOn)), syscall.SIGWINCH)...)
	defer signal.Stop(signals)
	asked.TTY = isTerminal(c.in) && isTerminal(c.out)
	if tty != nil {
		asked.TTY = *tty
	}
	if size, known := windowOf(c.in); known && asked.TTY {
		asked.Rows, asked.Columns = size.Rows, size.Columns
	}
	conn, err := openTerminal(ctx, client, path, asked)
	if err != nil {
		return &exitError{err, codeLost}
	}
	defer func() { _ = conn.CloseNow() }()
	at := &seat{streams: c.streams, conn: conn, tty: asked.TTY, slots: make(chan struct{}, terminal.Window), restore: func() {}}
	defer func() { at.restore() }()
	return at.sit(context.WithoutCancel(ctx), signals) // signals are the command's from here on
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func windowOf(stream any) (terminal.Size, bool) {
	file, ok := stream.(*os.File)
	if !ok {
		return terminal.Size{}, false
	}
	columns, rows, err := term.GetSize(int(file.Fd()))
	return terminal.Size{Rows: uint(rows), Columns: uint(columns)}, err == nil
}

// openTerminal connects and says what to run.
func openTerminal(ctx context.Context, client *v1.Client, path string, asked v1.TerminalRequest) (*websocket.Conn, error) {
	options := &websocket.DialOptions{
		HTTPClient: client.HTTP, HTTPHeader: http.Header{"Authorization": {"Bearer " + client.Token}}, CompressionMode: websocket.CompressionDisabled,
	}
	conn, response, err := websocket.Dial(ctx, strings.TrimSuffix(client.URL, "/")+path, options) //nolint:bodyclose // the library closes it
	if err != nil {
		var problem v1.Problem
		if response != nil && json.NewDecoder(response.Body).Decode(&problem) == nil && problem.Detail != "" {
			return nil, &problem
		}
		return nil, fmt.Errorf("open a terminal: %w", err)
	}
	conn.SetReadLimit(terminal.MaxPiece)
	text, err := json.Marshal(asked)
	if err == nil {
		err = conn.Write(ctx, websocket.MessageText, text)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask for a command: %w", err), conn.CloseNow())
	}
	return conn, nil
}

// sit goes on until the command's end is told, or the connection is lost.
func (s *seat) sit(ctx context.Context, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { s.keep(ctx) })
	for began := false; ; {
		piece, err := s.read(ctx, signals, began)
		if err != nil {
			return err
		}
		switch piece.Kind {
		case terminal.Started:
			began = true
			s.takeOver()
			beside.Go(func() { s.forward(ctx, signals) })
			go s.feed(ctx) // it may wait for a person who types no more
		case terminal.Taken:
			<-s.slots
		case terminal.Stdout:
			_, err = s.out.Write(piece.Data)
		case terminal.Stderr:
			_, err = s.err.Write(piece.Data)
		case terminal.Exit:
			return ended(piece)
		case terminal.Problem:
			return refusal(piece)
		}
		if err != nil {
			return &exitError{fmt.Errorf("write the command's output: %w", err), codeLost}
		}
	}
}

// read waits for the next Piece. Until the command began, a signal is the person's
// wish to leave.
func (s *seat) read(ctx context.Context, signals <-chan os.Signal, began bool) (terminal.Piece, error) {
	ctx, cancel := context.WithTimeout(ctx, terminal.Quiet)
	defer cancel()
	if !began {
		return s.readOrLeave(ctx, signals)
	}
	return s.next(ctx)
}

func (s *seat) next(ctx context.Context) (terminal.Piece, error) {
	_, carried, err := s.conn.Read(ctx)
	if err == nil {
		var piece terminal.Piece
		if piece, err = terminal.Decode(carried); err == nil {
			return piece, nil
		}
	}
	return terminal.Piece{}, &exitError{fmt.Errorf("the connection to the server was lost, and the command ended: %w", err), codeLost}
}

func (s *seat) readOrLeave(ctx context.Context, signals <-chan os.Signal) (terminal.Piece, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case given := <-signals:
				if number, ok := given.(syscall.Signal); ok && number != syscall.SIGWINCH {
					cancel(&exitError{errors.New("left before the command began"), 128 + int(number)})
				}
			}
		}
	})
	piece, err := s.next(ctx)
	close(done)
	watch.Wait()
	var left *exitError
	if err != nil && errors.As(context.Cause(ctx), &left) {
		return piece, left
	}
	return piece, err
}

// takeOver lets every key reach the command.
func (s *seat) takeOver() {
	file, ok := s.in.(*os.File)
	if !s.tty || !ok {
		return
	}
	if before, err := term.MakeRaw(int(file.Fd())); err == nil {
		s.restore = func() { _ = term.Restore(int(file.Fd()), before) }
	}
}

// feed sends input, as much at a time as the command takes.
func (s *seat) feed(ctx context.Context) {
	buffer := make([]byte, terminal.MaxData)
	for {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		count, err := s.in.Read(buffer)
		if count > 0 {
			s.send(ctx, terminal.Piece{Kind: terminal.Stdin, Data: buffer[:count]})
		} else {
			<-s.slots
		}
		if errors.Is(err, io.EOF) {
			s.send(ctx, terminal.Piece{Kind: terminal.StdinEnd})
		}
		if err != nil {
			return
		}
	}
}

// send says a Piece; a connection that is lost is seen by who reads.
func (s *seat) send(ctx context.Context, piece terminal.Piece) {
	if carried, err := terminal.Encode(piece); err == nil {
		_ = s.conn.Write(ctx, websocket.MessageBinary, carried)
	}
}

// forward passes signals on to the command.
func (s *seat) forward(ctx context.Context, signals <-chan os.Signal) {
	s.resize(ctx) // it may have changed since it was asked for
	for {
		select {
		case <-ctx.Done():
			return
		case given := <-signals:
			if given == syscall.SIGWINCH {
				s.resize(ctx)
			} else {
				s.send(ctx, terminal.Piece{Kind: terminal.Signal, Data: []byte(passedOn[given])})
			}
		}
	}
}

func (s *seat) resize(ctx context.Context) {
	if size, known := windowOf(s.in); known && s.tty {
		if piece, err := terminal.Telling(terminal.Resize, size); err == nil {
			s.send(ctx, piece)
		}
	}
}

// keep has the server and proxies see that somebody is there.
func (s *seat) keep(ctx context.Context) {
	ticker := time.NewTicker(terminal.KeepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.send(ctx, terminal.Piece{Kind: terminal.Keep})
		}
	}
}

// ended makes the exit code the command's.
func ended(piece terminal.Piece) error {
	outcome, err := terminal.Read[terminal.Outcome](piece)
	switch {
	case err != nil:
		return &exitError{err, codeLost}
	case outcome.Reason != "":
		return &exitError{fmt.Errorf("the command cannot be run: %s", outcome.Reason), outcome.Code}
	case outcome.Code != 0:
		return &exitError{nil, outcome.Code}
	}
	return nil
}

func refusal(piece terminal.Piece) error {
	problem, err := terminal.Read[v1.Problem](piece)
	if err != nil {
		return &exitError{err, codeLost}
	}
	return &exitError{&problem, codeLost}
}
