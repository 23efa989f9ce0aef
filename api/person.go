package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/coder/websocket"
	"github.com/skypanel/sky/agent/protocol"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/terminal"
	"github.com/skypanel/sky/models"
)

const (
	// askPatience bounds the wait for a terminal's first message.
	askPatience = 30 * time.Second
	// lastPatience bounds how long the last message of a terminal may take, and what
	// is still being sent when it ends.
	lastPatience = 5 * time.Second
	maxRequest   = 64 << 10
)

// person is a person's end of a terminal over a WebSocket. The library closes a
// connection whose read or write is given up; so both go on beside those who wait
// for them.
type person struct {
	conn   *websocket.Conn
	ctx    context.Context // ends when they left
	leave  context.CancelFunc
	pieces chan terminal.Piece
}

// newPerson owns conn until leave.
func newPerson(ctx context.Context, conn *websocket.Conn) *person {
	p := &person{conn: conn, pieces: make(chan terminal.Piece)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.ctx, p.leave = ctx, func() { cancel(); _ = conn.CloseNow() }
	conn.SetReadLimit(maxRequest)
	return p
}

// request reads what they want, and begins to listen to what else they say.
func (p *person) request() (v1.TerminalRequest, error) {
	var asked v1.TerminalRequest
	ctx, cancel := context.WithTimeout(p.ctx, askPatience)
	defer cancel()
	kind, text, err := p.conn.Read(ctx)
	if err != nil || kind != websocket.MessageText || json.Unmarshal(text, &asked) != nil {
		return asked, models.Errorf(models.Invalid, "the first message is no TerminalRequest").WithRemedy("send one in JSON, as text")
	}
	go p.listen()
	go p.keep()
	return asked, nil
}

// listen hands on what they say, until they leave or say nothing for too long.
func (p *person) listen() {
	defer p.leave()
	for {
		ctx, cancel := context.WithTimeout(p.ctx, terminal.Quiet)
		kind, carried, err := p.conn.Read(ctx)
		cancel()
		if err != nil {
			return
		}
		piece, err := terminal.Decode(carried)
		if kind != websocket.MessageBinary || err != nil {
			_ = p.conn.Close(websocket.StatusPolicyViolation, "no piece of a terminal")
			return
		}
		if piece.Kind == terminal.Keep {
			continue
		}
		select {
		case p.pieces <- piece:
		case <-p.ctx.Done():
			return
		}
	}
}

// keep has proxies see that the connection is used.
func (p *person) keep() {
	ticker := time.NewTicker(terminal.KeepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-ticker.C:
			_ = p.Write(p.ctx, terminal.Piece{Kind: terminal.Keep})
		}
	}
}

var errGone = errors.New("the connection was lost")

// Read implements platform.Person.
func (p *person) Read(ctx context.Context) (terminal.Piece, error) {
	select {
	case piece := <-p.pieces:
		return piece, nil
	case <-p.ctx.Done():
		return terminal.Piece{}, errGone
	case <-ctx.Done():
		return terminal.Piece{}, ctx.Err()
	}
}

// Write implements platform.Person. Who takes nothing for protocol.ReaderPatience
// has left; when ctx ends, they have lastPatience.
func (p *person) Write(ctx context.Context, piece terminal.Piece) error {
	carried, err := terminal.Encode(piece)
	if err != nil {
		return err
	}
	writing, cancel := context.WithTimeout(p.ctx, protocol.ReaderPatience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		late := time.NewTimer(lastPatience)
		defer late.Stop()
		select {
		case <-late.C:
			cancel()
		case <-writing.Done():
		}
	})
	defer stop()
	return p.conn.Write(writing, websocket.MessageBinary, carried)
}

// conclude says the last word and closes the connection.
func (p *person) conclude(kind terminal.Kind, value any) {
	ctx, cancel := context.WithTimeout(p.ctx, lastPatience)
	defer cancel()
	if last, err := terminal.Telling(kind, value); err == nil {
		if carried, err := terminal.Encode(last); err == nil && p.conn.Write(ctx, websocket.MessageBinary, carried) == nil {
			_ = p.conn.Close(websocket.StatusNormalClosure, "")
		}
	}
}
