package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/internal/terminal"
)

// terminalOver opens a terminal's stream from the control plane's end.
func terminalOver(t *testing.T, open ends) (agent, server *Link, atAgent, atServer *Stream) {
	t.Helper()
	agent, server = open(t)
	command := &Command{Arguments: []string{"cat"}, Size: terminal.Size{Rows: 24, Columns: 80}}
	atServer, err := server.OpenStream(StreamHeader{Kind: StreamExec, Instance: "i", Command: command})
	if err != nil {
		t.Fatal(err)
	}
	if atAgent, err = agent.AcceptStream(); err != nil {
		t.Fatal(err)
	}
	var header StreamHeader
	if err := atAgent.ReadFrame(&header); err != nil || header.Command == nil || header.Command.Size.Columns != 80 {
		t.Fatalf("header %+v, %v", header, err)
	}
	return agent, server, atAgent, atServer
}

// The terminals' part of the conformance suite.
func TestTerminalConformance(t *testing.T) {
	for connection, open := range map[string]ends{"pipe": overPipe, "websocket": overWebSocket} {
		for promise, check := range map[string]func(*testing.T, ends){
			"pieces arrive whole and in order":      piecesArrive,
			"a piece that is too long is refused":   longPiece,
			"a reader that stalls ends its own":     stalledReader,
			"aborting ends readers and writers":     aborting,
			"what was sent before an abort arrives": sentBeforeAbort,
		} {
			t.Run(connection+"/"+promise, func(t *testing.T) { check(t, open) })
		}
	}
}

func piecesArrive(t *testing.T, open ends) {
	_, _, atAgent, atServer := terminalOver(t, open)
	sent := []terminal.Piece{
		{Kind: terminal.Stdin, Data: bytes.Repeat([]byte{0, 255}, terminal.MaxData/2)}, {Kind: terminal.StdinEnd, Data: []byte{}},
	}
	for _, piece := range sent {
		if err := atServer.WritePiece(piece); err != nil {
			t.Fatal(err)
		}
	}
	atServer.Abort()
	for _, want := range sent {
		if got, err := atAgent.ReadPiece(); err != nil || got.Kind != want.Kind || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("got %d of %d bytes, %v", got.Kind, len(got.Data), err)
		}
	}
	if _, err := atAgent.ReadPiece(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func longPiece(t *testing.T, open ends) {
	_, _, atAgent, atServer := terminalOver(t, open)
	if err := atServer.WritePiece(terminal.Piece{Data: make([]byte, terminal.MaxData+1)}); !errors.Is(err, terminal.ErrTooLong) {
		t.Errorf("sent: %v", err)
	}
	if _, err := atServer.conn.Write(binary.BigEndian.AppendUint32(nil, 1<<31)); err != nil {
		t.Fatal(err)
	}
	if _, err := atAgent.ReadPiece(); !errors.Is(err, ErrFrameTooLong) {
		t.Errorf("received: %v", err)
	}
}

// stalledReader writes to who reads nothing, until patience ends.
func stalledReader(t *testing.T, open ends) {
	agent, server, atAgent, _ := terminalOver(t, open)
	agent.readerPatience = 50 * time.Millisecond
	output := terminal.Piece{Kind: terminal.Stdout, Data: make([]byte, terminal.MaxData)}
	var err error
	for err == nil {
		err = atAgent.WritePiece(output)
	}
	if err := atAgent.WritePiece(output); !errors.Is(err, errAborted) {
		t.Errorf("written after the end: %v", err)
	}
	go func() { _ = agent.Send(Message{Heartbeat: &Heartbeat{Containers: 3}}) }()
	if message, err := server.Receive(); err != nil || message.Heartbeat == nil {
		t.Errorf("the link ended too: %v", err)
	}
}

func aborting(t *testing.T, open ends) {
	_, _, atAgent, _ := terminalOver(t, open)
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := atAgent.ReadPiece(); err == nil {
			t.Error("read from an aborted stream")
		}
	})
	both.Go(func() {
		var err error
		for err == nil {
			err = atAgent.WritePiece(terminal.Piece{Kind: terminal.Stdout, Data: make([]byte, terminal.MaxData)})
		}
	})
	atAgent.Abort()
	both.Wait()
	atAgent.Abort()
}

func sentBeforeAbort(t *testing.T, open ends) {
	_, _, atAgent, atServer := terminalOver(t, open)
	for range 4 {
		if err := atAgent.WritePiece(terminal.Piece{Kind: terminal.Stdout, Data: make([]byte, terminal.MaxData)}); err != nil {
			t.Fatal(err)
		}
	}
	atAgent.Abort()
	for range 4 {
		if _, err := atServer.ReadPiece(); err != nil {
			t.Fatal(err)
		}
	}
}
