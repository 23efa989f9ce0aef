package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/docker/docker/api/types"
	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/google/uuid"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/terminal"
)

const (
	// execVariable names an exec in the environment of what it starts.
	execVariable = "SKY_EXEC"
	// settling is how long Docker may take to know of what it just did.
	settling = 5 * time.Second
	askAgain = 10 * time.Millisecond
	// codeRefused and codeMissing are the codes by which a shell says that a command is not
	// there, or cannot be run.
	codeRefused = 126
	codeMissing = 127
)

// Exec implements engine.
func (d *docker) Exec(ctx context.Context, c container, command protocol.Command) (process, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	p := &execProcess{attached: attached{docker: d, container: c, tty: command.TTY}, mark: execVariable + "=" + uuid.NewString()}
	size := consoleSize(command)
	created, err := d.client.ContainerExecCreate(ctx, c.ID, containertypes.ExecOptions{
		Cmd: command.Arguments, Tty: command.TTY, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		Env: []string{p.mark}, ConsoleSize: size,
	})
	if err != nil {
		return nil, dockerError("make exec", err)
	}
	p.id = created.ID
	if p.conn, err = d.client.ContainerExecAttach(ctx, p.id, containertypes.ExecAttachOptions{Tty: command.TTY, ConsoleSize: size}); err != nil {
		return nil, dockerError("start exec", err)
	}
	p.fit(ctx, command, p.Resize)
	return p, nil
}

// Attach implements engine. The streams are joined before the container starts, so
// that nothing is missed.
func (d *docker) Attach(ctx context.Context, c container, command protocol.Command) (process, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	conn, err := d.client.ContainerAttach(ctx, c.ID, containertypes.AttachOptions{Stream: true, Stdin: true, Stdout: true, Stderr: true})
	if err != nil {
		return nil, dockerError("attach to container", err)
	}
	p := &mainProcess{attached: attached{docker: d, container: c, tty: command.TTY, conn: conn}, exits: make(chan exit, 1)}
	var waiting context.Context
	waiting, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go p.await(d.client.ContainerWait(waiting, c.ID, containertypes.WaitConditionNextExit))
	if err := d.Start(ctx, c.ID); err != nil {
		p.cancel()
		conn.Close()
		return nil, err
	}
	p.fit(ctx, command, p.Resize)
	return p, nil
}

// consoleSize is for engines that make a window of the right size at once.
func consoleSize(command protocol.Command) *[2]uint {
	if !command.TTY || command.Size.Rows == 0 {
		return nil
	}
	return &[2]uint{command.Size.Rows, command.Size.Columns}
}

// EndStrays implements engine.
func (d *docker) EndStrays(_ context.Context, c container) error {
	within, err := lookInside(c)
	if err != nil {
		return err
	}
	_, err = within.signal(ofVariable(execVariable+"="), syscall.SIGKILL)
	return err
}

// attached is a process's streams in Docker.
type attached struct {
	docker    *docker
	container container
	tty       bool
	conn      types.HijackedResponse
	once      sync.Once
	ended     error
}

// Write implements process.
func (a *attached) Write(input []byte) (int, error) { return a.conn.Conn.Write(input) }

// CloseWrite implements process.
func (a *attached) CloseWrite() error { return a.conn.CloseWrite() }

// copyTo hands on the output, of which a tty has one stream.
func (a *attached) copyTo(stdout, stderr io.Writer) error {
	var err error
	if a.tty {
		_, err = io.Copy(stdout, a.conn.Reader)
	} else {
		_, err = stdcopy.StdCopy(stdout, stderr, a.conn.Reader)
	}
	return err
}

// fit gives a tty its window. The engine may not know yet that the process runs.
func (a *attached) fit(ctx context.Context, command protocol.Command, resize func(context.Context, terminal.Size) error) {
	if a.tty && command.Size.Rows > 0 {
		_ = settled(ctx, func() (bool, error) { return resize(ctx, command.Size) == nil, nil }) // else it has ended already
	}
}

// settled asks until the engine knows of what it just did.
func settled(ctx context.Context, known func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	return until(ctx, known)
}

// until asks again and again, for as long as ctx lasts.
func until(ctx context.Context, known func() (bool, error)) error {
	ticker := time.NewTicker(askAgain)
	defer ticker.Stop()
	for {
		if done, err := known(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// execProcess is a process beside a container's own.
type execProcess struct {
	attached
	id      string
	mark    string
	refused refusal
}

// Copy implements process.
func (p *execProcess) Copy(stdout, stderr io.Writer) error {
	p.refused.to = stdout
	return p.copyTo(&p.refused, stderr)
}

// Resize implements process.
func (p *execProcess) Resize(ctx context.Context, size terminal.Size) error {
	options := containertypes.ResizeOptions{Height: size.Rows, Width: size.Columns}
	return wrap("resize exec", p.docker.client.ContainerExecResize(ctx, p.id, options))
}

// Signal implements process: all of the session gets it, as from a terminal.
func (p *execProcess) Signal(ctx context.Context, name string) error {
	number, known := numbers[name]
	if !known {
		return fmt.Errorf("signal %q is not sent", name)
	}
	_, err := p.signal(ctx, number)
	return err
}

func (p *execProcess) signal(ctx context.Context, number syscall.Signal) (int, error) {
	within, err := lookInside(p.container)
	if err != nil {
		return 0, err
	}
	seen, err := p.docker.client.ContainerExecInspect(ctx, p.id)
	if err != nil {
		return 0, dockerError("inspect exec", err)
	}
	return within.signal(either(ofSession(seen.Pid), ofVariable(p.mark)), number)
}

// Outcome implements process.
func (p *execProcess) Outcome(ctx context.Context) (terminal.Outcome, error) {
	var outcome terminal.Outcome
	err := settled(ctx, func() (bool, error) {
		seen, err := p.docker.client.ContainerExecInspect(ctx, p.id)
		outcome.Code = seen.ExitCode
		return !seen.Running, err
	})
	if err != nil {
		return outcome, dockerError("inspect exec", err)
	}
	return p.refused.judge(outcome)
}

// End implements process: a hang-up first, as of a terminal that is closed.
func (p *execProcess) End(ctx context.Context) error {
	p.once.Do(func() {
		defer p.conn.Close()
		ctx, cancel := context.WithTimeout(ctx, engineTimeout)
		defer cancel()
		left, err := p.hangUp(ctx)
		if left > 0 && p.awaitEnd(ctx) != nil {
			_, err = p.signal(ctx, syscall.SIGKILL)
		}
		p.ended = p.unlessGone(ctx, err)
	})
	return p.ended
}

// hangUp asks until there is somebody to hear it, or the command has ended: one that
// was just asked for may not run yet.
func (p *execProcess) hangUp(ctx context.Context) (int, error) {
	left, failed := 0, error(nil)
	err := settled(ctx, func() (bool, error) {
		if left, failed = p.signal(ctx, syscall.SIGHUP); left > 0 || failed != nil {
			return true, nil
		}
		seen, err := p.docker.client.ContainerExecInspect(ctx, p.id)
		return !seen.Running && (seen.Pid != 0 || seen.ExitCode != 0), err
	})
	return left, errors.Join(failed, err)
}

// awaitEnd waits until nothing of the command is left, for hangUp.
func (p *execProcess) awaitEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, hangUp)
	defer cancel()
	return settled(ctx, func() (bool, error) {
		left, err := p.signal(ctx, syscall.Signal(0))
		return left == 0, err
	})
}

// unlessGone forgets an error about a command that has ended, with its container
// or by itself.
func (p *execProcess) unlessGone(ctx context.Context, err error) error {
	seen, inspectErr := p.docker.client.ContainerExecInspect(ctx, p.id)
	if err == nil || inspectErr != nil || !seen.Running {
		return nil
	}
	return err
}

// refusal holds back the engine's words about a command that it could not start,
// which come in place of its output.
type refusal struct {
	to    io.Writer
	begun bool
	words string
}

const refusalMark = "OCI runtime exec failed: "

// Write implements io.Writer.
func (r *refusal) Write(data []byte) (int, error) {
	if !r.begun && strings.HasPrefix(string(data), refusalMark) {
		r.words, r.begun = string(data), true
		return len(data), nil
	}
	r.begun = true
	return r.to.Write(data)
}

// judge makes the engine's words an Outcome as a shell tells it. Words that a
// command printed are printed now.
func (r *refusal) judge(outcome terminal.Outcome) (terminal.Outcome, error) {
	if r.words == "" {
		return outcome, nil
	}
	if outcome.Code != codeRefused && outcome.Code != codeMissing {
		_, err := io.WriteString(r.to, r.words)
		return outcome, err
	}
	outcome.Code = codeRefused
	if strings.Contains(r.words, "executable file not found") || strings.Contains(r.words, "no such file or directory") {
		outcome.Code = codeMissing
	}
	reason := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(r.words), ": unknown"))
	if _, last, found := strings.Cut(reason, "unable to start container process: "); found {
		reason = strings.TrimPrefix(last, "exec: ")
	}
	outcome.Reason = reason
	return outcome, nil
}

// mainProcess is a container's own. Its end is waited for from before its start: a
// container that has ended may be gone at once.
type mainProcess struct {
	attached
	exits  chan exit
	cancel func()
}

type exit struct {
	code int
	err  error
}

// await notes the end of the container, or that the wait was given up.
func (p *mainProcess) await(ends <-chan containertypes.WaitResponse, lost <-chan error) {
	select {
	case end := <-ends:
		p.exits <- exit{code: int(end.StatusCode)}
	case err := <-lost:
		p.exits <- exit{err: dockerError("wait for container", err)}
	}
}

// Copy implements process.
func (p *mainProcess) Copy(stdout, stderr io.Writer) error { return p.copyTo(stdout, stderr) }

// Resize implements process.
func (p *mainProcess) Resize(ctx context.Context, size terminal.Size) error {
	options := containertypes.ResizeOptions{Height: size.Rows, Width: size.Columns}
	return wrap("resize container", p.docker.client.ContainerResize(ctx, p.container.ID, options))
}

// Signal implements process.
func (p *mainProcess) Signal(ctx context.Context, name string) error {
	if _, known := numbers[name]; !known {
		return fmt.Errorf("signal %q is not sent", name)
	}
	return wrap("signal container", p.docker.client.ContainerKill(ctx, p.container.ID, "SIG"+name))
}

// Outcome implements process.
func (p *mainProcess) Outcome(ctx context.Context) (terminal.Outcome, error) {
	select {
	case exit := <-p.exits:
		return terminal.Outcome{Code: exit.code}, exit.err
	case <-ctx.Done():
		return terminal.Outcome{}, context.Cause(ctx)
	}
}

// End implements process. What cannot end in time is killed.
func (p *mainProcess) End(ctx context.Context) error {
	p.once.Do(func() {
		defer p.conn.Close()
		defer p.cancel()
		p.ended = p.docker.Stop(ctx, p.container.ID)
		if errors.Is(p.ended, errGone) {
			p.ended = nil
		}
	})
	return p.ended
}
