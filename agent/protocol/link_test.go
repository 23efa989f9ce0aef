package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends makes both ends of a Link over some connection.
type ends func(t *testing.T) (agent, server *Link)

func overPipe(t *testing.T) (agent, server *Link) {
	near, far := net.Pipe()
	return pair(t, func() (*Link, error) { return NewAgentLink(near) }, func() (*Link, error) { return NewServerLink(far) })
}

func overWebSocket(t *testing.T) (agent, server *Link) {
	accepted := make(chan *Link, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		link, err := Accept(w, r)
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		accepted <- link
		<-link.Done()
	}))
	t.Cleanup(web.Close)
	return pair(t, func() (*Link, error) { return Dial(t.Context(), web.Client(), web.URL+LinkPath, nil) },
		func() (*Link, error) { return <-accepted, nil })
}

func pair(t *testing.T, dial, accept func() (*Link, error)) (agent, server *Link) {
	t.Helper()
	var both sync.WaitGroup
	var agentErr, serverErr error
	both.Go(func() { agent, agentErr = dial() })
	both.Go(func() { server, serverErr = accept() })
	both.Wait()
	if err := errors.Join(agentErr, serverErr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close(); _ = server.Close() })
	return agent, server
}

// The conformance suite: what a Link promises, over every connection.
func TestConformance(t *testing.T) {
	connections := map[string]ends{"pipe": overPipe, "websocket": overWebSocket}
	promises := map[string]func(*testing.T, ends){
		"messages arrive whole and in order":    messagesArrive,
		"both ends may send at once":            bothSend,
		"a stalled stream holds up nothing":     stalledStream,
		"streams end in halves":                 halfClose,
		"a frame that is too long is refused":   longFrame,
		"a write that times out ends the link":  writeTimesOut,
		"closing ends everything at both ends":  closing,
		"a stream closed by the other is alone": closedStream,
	}
	for connection, open := range connections {
		for promise, check := range promises {
			t.Run(connection+"/"+promise, func(t *testing.T) { check(t, open) })
		}
	}
}

func messagesArrive(t *testing.T, open ends) {
	agent, server := open(t)
	code := 137
	sent := []Message{
		{Hello: &Hello{Version: Version, Hostname: "n1", Generation: 7}},
		{Observed: &Observed{Generation: 7, Trouble: "none", Instances: []InstanceStatus{{ID: "i", State: StateFailed, ExitCode: &code, Tail: []string{"über", "\x00"}}}}},
		{Assignment: &Assignment{Generation: 1 << 60, Instances: []Instance{{ID: "a", Env: map[string]string{"K": strings.Repeat("v\n", 1<<20)}, StopGrace: time.Second}}}},
		{Heartbeat: &Heartbeat{At: time.Now().UTC(), CPUPercent: 1.5}},
	}
	go func() {
		for _, message := range sent {
			if err := agent.Send(message); err != nil {
				t.Error(err)
			}
		}
	}()
	for i, want := range sent {
		got, err := server.Receive()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("message %d: %v\n got %.200v\nwant %.200v", i, err, got, want)
		}
	}
}

func bothSend(t *testing.T, open ends) {
	agent, server := open(t)
	const count = 200
	var work sync.WaitGroup
	for _, end := range []*Link{agent, server} {
		for range 4 {
			work.Go(func() {
				for i := range count {
					if err := end.Send(Message{Observed: &Observed{Generation: uint64(i)}}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		work.Go(func() {
			for range 4 * count {
				if message, err := end.Receive(); err != nil || message.Observed == nil {
					t.Errorf("receive: %v, %v", message, err)
					return
				}
			}
		})
	}
	work.Wait()
}

func stalledStream(t *testing.T, open ends) {
	agent, server := open(t)
	stream, err := agent.OpenStream(StreamHeader{Kind: StreamLog, Instance: "i"})
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := server.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	flood := make(chan error, 1)
	go func() { // nobody reads this, and it must not matter
		line := LogLine{Text: strings.Repeat("x", 16<<10)}
		var err error
		for err == nil {
			err = stream.WriteFrame(line)
		}
		flood <- err
	}()
	for i := range 50 {
		if err := agent.Send(Message{Observed: &Observed{Generation: uint64(i)}}); err != nil {
			t.Fatal(err)
		}
		if message, err := server.Receive(); err != nil || message.Observed.Generation != uint64(i) {
			t.Fatalf("receive %d: %v, %v", i, message, err)
		}
	}
	_ = agent.Close()
	if err := <-flood; err == nil {
		t.Error("the flood did not end with the link")
	}
	_ = accepted.Close()
}

func writeTimesOut(t *testing.T, open ends) {
	agent, server := open(t)
	agent.patience = 20 * time.Millisecond
	stream, err := agent.OpenStream(StreamHeader{Kind: StreamLog})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.AcceptStream(); err != nil { // and never read
		t.Fatal(err)
	}
	for err == nil {
		err = stream.WriteFrame(LogLine{Text: strings.Repeat("x", 16<<10)})
	}
	if !errors.Is(err, ErrLinkClosed) {
		t.Errorf("write: %v", err)
	}
	<-agent.Done()
	<-server.Done()
}

func halfClose(t *testing.T, open ends) {
	agent, server := open(t)
	stream, err := agent.OpenStream(StreamHeader{Kind: StreamLog, Instance: "i", Ordinal: 3})
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := server.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	var header StreamHeader
	if err := accepted.ReadFrame(&header); err != nil || header.Instance != "i" || header.Ordinal != 3 {
		t.Fatalf("header %+v, %v", header, err)
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	var line LogLine
	if err := accepted.ReadFrame(&line); err != io.EOF {
		t.Fatalf("after close: %v, want io.EOF", err)
	}
	last := time.Now().UTC()
	if err := accepted.WriteFrame(LogResume{After: last}); err != nil {
		t.Fatal(err)
	}
	var resume LogResume
	if err := stream.ReadFrame(&resume); err != nil || !resume.After.Equal(last) {
		t.Fatalf("answer after close: %v, %v", resume, err)
	}
	_ = accepted.Close()
}

func longFrame(t *testing.T, open ends) {
	agent, server := open(t)
	if err := agent.Send(Message{Observed: &Observed{Trouble: strings.Repeat("x", MaxFrame)}}); !errors.Is(err, ErrFrameTooLong) {
		t.Errorf("send: %v", err)
	}
	if err := agent.Send(Message{Heartbeat: &Heartbeat{Containers: 1}}); err != nil {
		t.Errorf("send after a refusal: %v", err)
	}
	if message, err := server.Receive(); err != nil || message.Heartbeat == nil {
		t.Errorf("receive: %v, %v", message, err)
	}
	var lie [4]byte
	binary.BigEndian.PutUint32(lie[:], MaxFrame+1)
	if _, err := agent.control.conn.Write(lie[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Receive(); !errors.Is(err, ErrFrameTooLong) {
		t.Errorf("receive: %v", err)
	}
}

func closing(t *testing.T, open ends) {
	agent, server := open(t)
	received := make(chan error, 2)
	go func() { _, err := agent.Receive(); received <- err }()
	go func() { _, err := server.AcceptStream(); received <- err }()
	_ = server.Close()
	_ = server.Close()
	for range 2 {
		if err := <-received; err == nil {
			t.Error("a read outlived the link")
		}
	}
	<-agent.Done()
	<-server.Done()
	if err := agent.Send(Message{}); err == nil {
		t.Error("sent on a closed link")
	}
	if _, err := agent.OpenStream(StreamHeader{}); !errors.Is(err, ErrLinkClosed) {
		t.Errorf("open stream: %v", err)
	}
}

func closedStream(t *testing.T, open ends) {
	agent, server := open(t)
	stream, err := agent.OpenStream(StreamHeader{Kind: StreamLog})
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := server.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	_ = accepted.Close()
	var nothing LogResume
	if err := stream.ReadFrame(&nothing); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	_ = stream.Close()
	if err := stream.WriteFrame(LogLine{}); err == nil {
		t.Error("wrote to a stream that is closed")
	}
	go func() { _ = agent.Send(Message{Heartbeat: &Heartbeat{}}) }()
	if message, err := server.Receive(); err != nil || message.Heartbeat == nil {
		t.Errorf("the link suffered: %v, %v", message, err)
	}
}

func TestFrameThatEndsEarly(t *testing.T) {
	for _, bytes := range []string{"\x00\x00\x00\x05ab", "\x00\x00"} {
		if _, err := readFrame(strings.NewReader(bytes)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", bytes, err)
		}
	}
}

func TestDialTellsTheRefusal(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, fmt.Sprint("token ", r.Header.Get("Authorization")), http.StatusUnauthorized)
	}))
	defer web.Close()
	_, err := Dial(t.Context(), web.Client(), web.URL, http.Header{"Authorization": {"Bearer x"}})
	if err == nil || !strings.Contains(err.Error(), "401 Unauthorized") {
		t.Errorf("error %v", err)
	}
}
