package agent

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/google/uuid"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/terminal"
)

// person is who sits at a terminal in a test.
type person struct {
	t       *testing.T
	stream  *protocol.Stream
	out     bytes.Buffer
	err     bytes.Buffer
	taken   int
	started bool
	outcome *terminal.Outcome
}

// sit opens a terminal as the control plane does.
func (r *rig) sit(header protocol.StreamHeader) *person {
	r.t.Helper()
	r.mu.Lock()
	link := r.link
	r.mu.Unlock()
	stream, err := link.OpenStream(header)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(stream.Abort)
	return &person{t: r.t, stream: stream}
}

func (r *rig) exec(instance protocol.Instance, tty bool, arguments ...string) *person {
	r.t.Helper()
	return r.sit(protocol.StreamHeader{
		Kind: protocol.StreamExec, Instance: instance.ID, AppID: instance.AppID,
		Command: &protocol.Command{Arguments: arguments, TTY: tty, Size: terminal.Size{Rows: 33, Columns: 101}},
	})
}

func (p *person) send(kind terminal.Kind, data string) {
	p.t.Helper()
	if err := p.stream.WritePiece(terminal.Piece{Kind: kind, Data: []byte(data)}); err != nil {
		p.t.Fatal(err)
	}
}

// until reads what comes until condition holds, and fails when the stream ends
// before.
func (p *person) until(what string, condition func() bool) {
	p.t.Helper()
	_ = p.stream.SetReadDeadline(time.Now().Add(30 * time.Second))
	for !condition() {
		piece, err := p.stream.ReadPiece()
		if err != nil {
			p.t.Fatalf("until %s: %v; out %q, err %q", what, err, p.out.String(), p.err.String())
		}
		p.take(piece)
	}
}

func (p *person) take(piece terminal.Piece) {
	switch piece.Kind {
	case terminal.Started:
		p.started = true
	case terminal.Taken:
		p.taken++
	case terminal.Stdout:
		p.out.Write(piece.Data)
	case terminal.Stderr:
		p.err.Write(piece.Data)
	case terminal.Exit:
		outcome, err := terminal.Read[terminal.Outcome](piece)
		if err != nil {
			p.t.Error(err)
		}
		p.outcome = &outcome
	}
}

func (p *person) says(pattern string) {
	p.t.Helper()
	said := regexp.MustCompile(pattern)
	p.until(pattern, func() bool { return said.Match(p.out.Bytes()) })
}

// end reads to the command's end.
func (p *person) end() terminal.Outcome {
	p.t.Helper()
	p.until("its end", func() bool { return p.outcome != nil })
	return *p.outcome
}

// tops lists the programs that run in an Instance's container.
func (r *rig) tops(instance protocol.Instance) []string {
	r.t.Helper()
	listed, err := r.api.ContainerTop(context.Background(), r.inspect(instance.ID).ID, []string{"-o", "pid,args"})
	if err != nil {
		r.t.Fatal(err)
	}
	var programs []string
	for _, row := range listed.Processes {
		programs = append(programs, strings.Join(row, " "))
	}
	return programs
}

// emptied waits until only the Instance's own process is left in its container.
func (r *rig) emptied(instance protocol.Instance) {
	r.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-ticker.C {
		programs := strings.Join(r.tops(instance), "|")
		if !strings.Contains(programs, "/testapp deaf") && !strings.Contains(programs, "/testapp family") {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("still there: %s", programs)
		}
	}
}

func TestExecCarriesStreamsApart(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	both := r.exec(instance, false, "/testapp", "both")
	if outcome := both.end(); outcome != (terminal.Outcome{Code: 7}) || both.out.String() != "out" || both.err.String() != "err" {
		t.Errorf("%+v, out %q, err %q", outcome, both.out.String(), both.err.String())
	}
	cat := r.exec(instance, false, "/testapp", "cat")
	want := make([]byte, 20*terminal.MaxData+3)
	for i := range want {
		want[i] = byte(i * i >> 3)
	}
	sent := 0
	_ = terminal.Split(want, func(part []byte) error {
		cat.until("it takes more", func() bool { return sent-cat.taken < terminal.Window })
		cat.send(terminal.Stdin, string(part))
		sent++
		return nil
	})
	cat.send(terminal.StdinEnd, "")
	if outcome := cat.end(); outcome.Code != 0 || !bytes.Equal(cat.out.Bytes(), want) {
		t.Errorf("%+v, %d bytes came back of %d", outcome, cat.out.Len(), len(want))
	}
}

func TestExecRunsAsTheInstance(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	who := r.exec(instance, false, "/testapp", "who")
	if outcome := who.end(); outcome.Code != 0 {
		t.Errorf("%+v", outcome)
	}
	for _, want := range []string{"NoNewPrivs: 1", "CapEff: 0000000000000000", "uid 10001 app shop version one"} {
		if !strings.Contains(who.out.String(), want) {
			t.Errorf("%q lacks %q", who.out.String(), want)
		}
	}
	nope := r.exec(instance, false, "nope")
	if outcome := nope.end(); outcome.Code != codeMissing || !strings.Contains(outcome.Reason, "nope") || nope.out.Len() > 0 {
		t.Errorf("%+v, out %q", outcome, nope.out.String())
	}
	folder := r.exec(instance, false, "/tmp")
	if outcome := folder.end(); outcome.Code != codeRefused || outcome.Reason == "" {
		t.Errorf("%+v", outcome)
	}
}

func TestExecHasAWindowAndSignals(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	window := r.exec(instance, true, "/testapp", "size")
	window.says("33x101\r\n")
	window.send(terminal.Resize, `{"rows": 50, "cols": 132}`)
	window.says("50x132\r\n")
	window.send(terminal.Stdin, "\x03") // Ctrl-C, by the terminal's device
	if outcome := window.end(); outcome.Code != 130 && outcome.Code != 2 {
		t.Errorf("%+v", outcome)
	}
	for _, name := range []string{"INT", "TERM", "USR1"} {
		plain := r.exec(instance, false, "/testapp", "signal")
		plain.says("ready")
		plain.send(terminal.Signal, "KILL") // is none that a person sends
		plain.send(terminal.Signal, name)
		if outcome := plain.end(); outcome.Code != 9 {
			t.Errorf("%s: %+v, %s", name, outcome, plain.out.String())
		}
	}
}

// TestNothingOutlivesItsTerminal: neither the deaf, nor children, nor those that
// began a session of their own.
func TestNothingOutlivesItsTerminal(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	left := r.exec(instance, false, "/testapp", "family")
	left.says("ready")
	left.stream.Abort()
	r.emptied(instance)
	cut := r.exec(instance, true, "/testapp", "family")
	cut.says("ready")
	r.Cut()
	r.emptied(instance)
	if _, _, err := r.get("/"); err != nil {
		t.Errorf("the instance: %v", err)
	}
}

func TestAKilledAgentsCommandsEndWithItsSuccessor(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	r.stop()
	created, err := r.api.ContainerExecCreate(t.Context(), r.inspect(instance.ID).ID,
		containertypes.ExecOptions{Cmd: []string{"/testapp", "family"}, Env: []string{execVariable + "=" + uuid.NewString()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.api.ContainerExecStart(t.Context(), created.ID, containertypes.ExecStartOptions{Detach: true}); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.State(instance.ID, protocol.StateHealthy)
	r.emptied(instance)
}

func TestReadersAndWritersThatMisbehave(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	flood := r.exec(instance, false, "/testapp", "flood") // and nobody reads it
	deaf := r.exec(instance, false, "/testapp", "deaf")
	var flooding sync.WaitGroup
	defer flooding.Wait()
	defer deaf.stream.Abort()
	flooding.Go(func() {
		for deaf.stream.WritePiece(terminal.Piece{Kind: terminal.Stdin, Data: make([]byte, terminal.MaxData)}) == nil {
		}
	})
	if outcome := deaf.end(); !strings.Contains(outcome.Failed, terminal.ErrFlood.Error()) {
		t.Errorf("%+v", outcome)
	}
	if outcome := r.exec(instance, false, "/testapp", "both").end(); outcome.Code != 7 {
		t.Errorf("beside them: %+v", outcome)
	}
	flood.stream.Abort()
	r.emptied(instance)
}

func TestTerminalsFindTheirOwnAppOnly(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	foreign := instance
	foreign.AppID = uuid.NewString()
	for name, header := range map[string]protocol.StreamHeader{
		"another app's": {Kind: protocol.StreamExec, Instance: instance.ID, AppID: foreign.AppID, Command: &protocol.Command{Arguments: []string{"/testapp", "who"}}},
		"none":          {Kind: protocol.StreamExec, Instance: "x", AppID: instance.AppID, Command: &protocol.Command{Arguments: []string{"/testapp", "who"}}},
		"attach":        {Kind: protocol.StreamAttach, Instance: instance.ID, AppID: instance.AppID, Command: &protocol.Command{}},
		"no command":    {Kind: protocol.StreamExec, Instance: instance.ID, AppID: instance.AppID},
		"unknown":       {Kind: "shell", Instance: instance.ID, AppID: instance.AppID, Command: &protocol.Command{}},
	} {
		if outcome := r.sit(header).end(); outcome.Failed == "" {
			t.Errorf("%s: %+v", name, outcome)
		}
	}
}

func TestAnInstanceThatDiesEndsItsTerminals(t *testing.T) {
	r := newRig(t)
	instance := r.instance("one")
	r.deploy(instance)
	deaf := r.exec(instance, false, "/testapp", "deaf")
	deaf.until("it runs", func() bool { return deaf.started })
	r.Assign(nil)
	if outcome := deaf.end(); outcome.Code != 137 && outcome.Failed == "" {
		t.Errorf("%+v", outcome)
	}
}

func TestRefusalsAreToldFromOutput(t *testing.T) {
	for words, want := range map[string]struct {
		code int
		out  string
		told terminal.Outcome
	}{
		"OCI runtime exec failed: exec failed: unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown\r\n": {
			126, "", terminal.Outcome{Code: 127, Reason: `"nope": executable file not found in $PATH`},
		},
		"OCI runtime exec failed: says a program": {3, "OCI runtime exec failed: says a program", terminal.Outcome{Code: 3}},
		"hello": {126, "hello", terminal.Outcome{Code: 126}},
	} {
		var out bytes.Buffer
		r := refusal{to: &out}
		if _, err := io.WriteString(&r, words); err != nil {
			t.Fatal(err)
		}
		told, err := r.judge(terminal.Outcome{Code: want.code})
		if err != nil || told != want.told || out.String() != want.out {
			t.Errorf("%q: %+v, %q, %v", words, told, out.String(), err)
		}
	}
}

func TestOnlyAContainerIsLookedInto(t *testing.T) {
	for name, c := range map[string]container{
		"nothing": {}, "this process": {ID: "/", PID: os.Getpid()}, "another's number": {ID: strings.Repeat("a", 64), PID: os.Getpid()},
	} {
		if _, err := lookInside(c); err == nil {
			t.Errorf("%s was taken for a container", name)
		}
	}
}

func TestSessionOfAProcess(t *testing.T) {
	leader := exec.Command("cat")
	leader.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := leader.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = leader.Process.Kill(); _ = leader.Wait() }()
	if got := sessionOf(leader.Process.Pid); got != leader.Process.Pid {
		t.Errorf("process %d leads a session, but %d was read", leader.Process.Pid, got)
	}
}
