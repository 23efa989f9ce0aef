package platform

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/terminal"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// visitor is a person whose words a test types, and who keeps what they see.
type visitor struct {
	says chan terminal.Piece // closed when they leave
	mu   sync.Mutex
	seen []terminal.Piece
}

func newVisitor() *visitor { return &visitor{says: make(chan terminal.Piece)} }

func (v *visitor) Read(ctx context.Context) (terminal.Piece, error) {
	select {
	case piece, ok := <-v.says:
		if !ok {
			return piece, errors.New("gone")
		}
		return piece, nil
	case <-ctx.Done():
		return terminal.Piece{}, ctx.Err()
	}
}

func (v *visitor) Write(_ context.Context, piece terminal.Piece) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.seen = append(v.seen, piece)
	return nil
}

// echo answers one line of input and ends with a code.
func echo(code int) func(protocol.StreamHeader, *protocol.Stream) {
	return func(_ protocol.StreamHeader, stream *protocol.Stream) {
		piece, err := stream.ReadPiece()
		if err != nil {
			return
		}
		_ = stream.WritePiece(terminal.Piece{Kind: terminal.Stdout, Data: piece.Data})
		last, _ := terminal.Telling(terminal.Exit, terminal.Outcome{Code: code})
		_ = stream.WritePiece(last)
		_, _ = stream.ReadPiece() // until it is closed
	}
}

// idle runs until the stream ends.
func idle(_ protocol.StreamHeader, stream *protocol.Stream) { _, _ = stream.ReadPiece() }

var ls = Command{Arguments: []string{"ls", "-l"}}

func TestExecGoesToARunningInstance(t *testing.T) {
	s := newStage(t)
	_, err := s.Exec(t.Context(), s.actor, s.app, ExecAsked{Command: ls}, newVisitor())
	require.True(t, models.IsCode(err, models.Conflict), err)
	_, err = s.push(t, 1)
	require.NoError(t, err)
	var asked protocol.StreamHeader
	s.nodes.serve = func(header protocol.StreamHeader, stream *protocol.Stream) {
		asked = header
		echo(5)(header, stream)
	}
	visitor := newVisitor()
	go func() { visitor.says <- terminal.Piece{Kind: terminal.Stdin, Data: []byte("hello")} }()
	outcome, err := s.Exec(t.Context(), s.actor, s.live(t), ExecAsked{Instance: "web.1", Command: ls}, visitor)
	require.NoError(t, err)
	require.Equal(t, 5, outcome.Code)
	require.Equal(t, []terminal.Piece{{Kind: terminal.Stdout, Data: []byte("hello")}}, visitor.seen)
	require.Equal(t, protocol.StreamExec, asked.Kind)
	require.Equal(t, ls.Arguments, asked.Command.Arguments)
	events := s.kinds(t, "app.exec")
	require.Len(t, events, 1)
	require.Equal(t, "web.1: ls -l", events[0].Detail)
}

func TestExecFindsNoOtherAppsInstances(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	instances, err := s.Store.Instances(t.Context(), s.app.ID)
	require.NoError(t, err)
	other, err := s.CreateApp(t.Context(), s.actor, NewApp{Name: "other"})
	require.NoError(t, err)
	for _, asked := range []ExecAsked{{Instance: instances[0].ID.String()}, {Instance: "web.1"}, {Process: "web"}, {}} {
		asked.Command = ls
		_, err := s.Exec(t.Context(), s.actor, other, asked, newVisitor())
		require.Error(t, err)
		require.NotEmpty(t, models.AsError(err).Remedy)
	}
}

func TestTerminalsAreBounded(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	app, begun := s.live(t), make(chan struct{}, 100)
	s.nodes.serve = func(header protocol.StreamHeader, stream *protocol.Stream) {
		begun <- struct{}{}
		idle(header, stream)
	}
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 100)
	for range 100 {
		go func() {
			_, err := s.Exec(ctx, s.actor, app, ExecAsked{Command: ls}, newVisitor())
			ended <- err
		}()
	}
	for range 100 - maxTerminals {
		err := <-ended
		require.True(t, models.IsCode(err, models.TooMany), err)
		require.NotEmpty(t, models.AsError(err).Remedy)
	}
	for range maxTerminals {
		<-begun
	}
	leave()
	for range maxTerminals {
		require.Error(t, <-ended)
	}
	s.nodes.serve = echo(0)
	visitor := newVisitor()
	go func() { visitor.says <- terminal.Piece{Kind: terminal.Stdin} }()
	_, err = s.Exec(t.Context(), s.actor, app, ExecAsked{Command: ls}, visitor)
	require.NoError(t, err, "who left leaves room")
}

func TestAPersonSaysOnlyWhatPersonsSay(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	s.nodes.serve = idle
	visitor := newVisitor()
	go func() { visitor.says <- terminal.Piece{Kind: terminal.Exit, Data: []byte("{}")} }()
	_, err = s.Exec(t.Context(), s.actor, s.live(t), ExecAsked{Command: ls}, visitor)
	require.True(t, models.IsCode(err, models.Invalid), err)
}

// attendedAt makes nodes that have containers for one-offs.
func attendedAt(instance protocol.Instance) protocol.InstanceStatus {
	status := protocol.InstanceStatus{State: protocol.StateHealthy}
	if instance.OneOff {
		status = protocol.InstanceStatus{State: protocol.StateStarting, Container: "c"}
	}
	return status
}

// oneOffs are the App's, as the database has them.
func (s *stage) oneOffs(t *testing.T) []models.Instance {
	t.Helper()
	found, err := s.Store.OneOffs(t.Context())
	require.NoError(t, err)
	return found
}

func TestRunEndsWithItsPerson(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	s.nodes.become = attendedAt
	visitor := newVisitor()
	s.nodes.serve = func(header protocol.StreamHeader, stream *protocol.Stream) {
		close(visitor.says)
		idle(header, stream)
	}
	_, err = s.Run(t.Context(), s.actor, s.live(t), ls, visitor)
	require.Error(t, err)
	require.Empty(t, s.oneOffs(t))
	require.Len(t, s.kinds(t, "app.run"), 1)
}

func TestADeploymentLeavesOneOffsAlone(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	started, err := s.StartRun(t.Context(), s.actor, s.live(t), []string{"sleep", "600"})
	require.NoError(t, err)
	require.Equal(t, "run", started.Process)
	_, err = s.push(t, 2)
	require.NoError(t, err)
	left := s.oneOffs(t)
	require.Len(t, left, 1)
	require.Equal(t, started.ID, left[0].ID)
	require.NoError(t, s.EndRun(t.Context(), s.actor, s.live(t), "run.1"))
	require.Empty(t, s.oneOffs(t))
	require.True(t, models.IsCode(s.EndRun(t.Context(), s.actor, s.live(t), "web.1"), models.NotFound), "it ends one-offs only")
}

func TestOneOffsAreBoundedAndStopWithTheirApp(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	app := s.live(t)
	var wait sync.WaitGroup
	refused := make(chan error, 4*maxOneOffs)
	for range 4 * maxOneOffs {
		wait.Go(func() {
			if _, err := s.StartRun(t.Context(), s.actor, app, []string{"sleep"}); err != nil {
				refused <- err
			}
		})
	}
	wait.Wait()
	require.Len(t, refused, 3*maxOneOffs)
	require.True(t, models.IsCode(<-refused, models.TooMany))
	require.Len(t, s.oneOffs(t), maxOneOffs)
	require.NoError(t, s.StopApp(t.Context(), s.actor, app, quiet{}))
	require.Empty(t, s.oneOffs(t))
	_, err = s.StartRun(t.Context(), s.actor, app, []string{"sleep"})
	require.True(t, models.IsCode(err, models.Conflict), err)
	require.Empty(t, s.oneOffs(t))
}

func TestAOneOffThatEndsIsLetGo(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	s.ends(func(protocol.Instance) string { return "exited with code 3" })
	_, err = s.StartRun(t.Context(), s.actor, s.live(t), []string{"false"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(s.kinds(t, "app.run.failed")) == 1 }, time.Minute, 10*time.Millisecond)
	require.Empty(t, s.oneOffs(t))
}

func TestAfterARestartOneOffsGoOnWithoutTerminals(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	s.nodes.become = attendedAt
	app := s.live(t)
	kept, err := s.StartRun(t.Context(), s.actor, app, []string{"sleep"})
	require.NoError(t, err)
	_, err = s.beginOneOff(t.Context(), s.actor, app, models.Instance{Command: []string{"sh"}, Attended: true})
	require.NoError(t, err)
	require.Len(t, s.oneOffs(t), 2)
	s.Stop()
	s.open(t)
	left := s.oneOffs(t)
	require.Len(t, left, 1)
	require.Equal(t, kept.ID, left[0].ID)
}
