package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/internal/terminal"
	"github.com/skypanel/sky/models"
)

const (
	maxArguments     = 1000
	maxCommandBytes  = 32 << 10
	maxAuditedLetter = 500 // of a command
)

// Person is a person's end of a terminal. Its methods end with ctx, and fail for
// good once they left.
type Person interface {
	Read(ctx context.Context) (terminal.Piece, error)
	Write(ctx context.Context, piece terminal.Piece) error
}

// Command is what somebody wants run, with a terminal's device or without.
type Command struct {
	Arguments []string
	TTY       bool
	Size      terminal.Size
}

// CheckCommand says why nothing can be run by it, or returns nil.
func CheckCommand(arguments []string) error {
	refused := func(format string, args ...any) error {
		return models.Errorf(models.Invalid, format, args...).WithField("command").
			WithRemedy("give the program and its arguments, such as: sky exec APP -- ls -l")
	}
	size := 0
	for _, argument := range arguments {
		size += len(argument) + 1
		if strings.ContainsRune(argument, 0) {
			return refused("the command has a zero byte in it")
		}
	}
	switch {
	case len(arguments) == 0 || arguments[0] == "":
		return refused("there is no command to run")
	case len(arguments) > maxArguments || size > maxCommandBytes:
		return refused("the command is longer than %d arguments or %d bytes", maxArguments, maxCommandBytes)
	}
	return nil
}

// ExecAsked names the Instance that a command runs in: by its id or its name, such
// as web.1; else any of a process type, or else any.
type ExecAsked struct {
	Process  string
	Instance string
	Command  Command
}

// MayExec returns the named App when actor may run commands in it now. It is asked
// again while they do.
func (p *Platform) MayExec(ctx context.Context, actor models.Actor, name string) (models.App, error) {
	app, err := p.App(ctx, actor, models.AppExec, name)
	if err != nil {
		return models.App{}, err
	}
	return app, p.checkRuns(ctx, app)
}

// Exec runs a command in a running Instance, with person at its terminal, until it
// ends, they leave or ctx ends. It returns how it ended.
func (p *Platform) Exec(ctx context.Context, actor models.Actor, app models.App, asked ExecAsked, person Person) (terminal.Outcome, error) {
	if err := CheckCommand(asked.Command.Arguments); err != nil {
		return terminal.Outcome{}, err
	}
	leave, err := p.guests.sit(actor.UserID)
	if err != nil {
		return terminal.Outcome{}, err
	}
	defer leave()
	instance, err := p.runningInstance(ctx, app, asked)
	if err != nil {
		return terminal.Outcome{}, err
	}
	p.record(ctx, actor, fact{kind: "app.exec", detail: nameOf(instance) + ": " + audited(asked.Command.Arguments), app: &app})
	return p.relay(ctx, instance, protocol.StreamExec, asked.Command, person)
}

// audited is a command as the audit trail has it.
func audited(arguments []string) string {
	text := []rune(narrative.Clean(narrative.Command(arguments)))
	if len(text) > maxAuditedLetter {
		return string(text[:maxAuditedLetter]) + "…"
	}
	return string(text)
}

func nameOf(instance models.Instance) string {
	return fmt.Sprintf("%s.%d", instance.Process, instance.Ordinal)
}

// runningInstance finds the newest healthy Instance that is asked for.
func (p *Platform) runningInstance(ctx context.Context, app models.App, asked ExecAsked) (models.Instance, error) {
	instances, err := p.Store.Instances(ctx, app.ID)
	if err != nil {
		return models.Instance{}, err
	}
	observed := map[string]string{}
	for _, status := range p.Fleet.Instances(app.ID) {
		observed[status.ID] = status.State
	}
	named := 0
	for _, instance := range slices.Backward(instances) {
		if !asked.means(instance) {
			continue
		}
		named++
		if observed[instance.ID.String()] == string(models.InstanceHealthy) {
			return instance, nil
		}
	}
	return models.Instance{}, asked.notFound(app, named)
}

func (e ExecAsked) means(instance models.Instance) bool {
	switch {
	case e.Instance != "":
		return e.Instance == instance.ID.String() || e.Instance == nameOf(instance)
	case e.Process != "":
		return e.Process == instance.Process
	}
	return !instance.Once
}

// notFound says why nothing can be run, where so many Instances are meant.
func (e ExecAsked) notFound(app models.App, named int) error {
	remedy := fmt.Sprintf("`sky ps -a %s` lists what runs; `sky run %s -- COMMAND` runs a command by itself", app.Name, app.Name)
	switch {
	case named > 0:
		return models.Errorf(models.Conflict, "no such instance of %s is healthy now", app.Name).WithRemedy("%s", remedy)
	case e.Instance != "":
		return models.Errorf(models.NotFound, "%s has no instance %q", app.Name, narrative.Clean(e.Instance)).WithField("instance").WithRemedy("%s", remedy)
	case e.Process != "":
		return models.Errorf(models.NotFound, "%s runs no instance of %q", app.Name, narrative.Clean(e.Process)).WithField("process").WithRemedy("%s", remedy)
	}
	return models.Errorf(models.Conflict, "%s runs nothing", app.Name).
		WithRemedy("start it with `sky start -a %s` or `sky scale`, or run a command by itself: sky run %s -- COMMAND", app.Name, app.Name)
}

// relay carries Pieces between person and the agent, until either ends or ctx does.
func (p *Platform) relay(ctx context.Context, instance models.Instance, kind string, command Command, person Person) (terminal.Outcome, error) {
	stream, err := p.Fleet.Open(ctx, instance.NodeID, protocol.StreamHeader{
		Kind: kind, Instance: instance.ID.String(), AppID: instance.AppID.String(), Process: instance.Process, Ordinal: instance.Ordinal,
		Command: &protocol.Command{Arguments: command.Arguments, TTY: command.TTY, Size: command.Size},
	})
	if err != nil {
		return terminal.Outcome{}, err
	}
	ctx, end := context.WithCancelCause(ctx)
	stop := context.AfterFunc(p.ctx, func() { end(errStopping) })
	defer stop()
	context.AfterFunc(ctx, stream.Abort)
	var up sync.WaitGroup
	up.Go(func() { end(carryUp(ctx, stream, person)) })
	outcome, err := carryDown(ctx, stream, person)
	cause := context.Cause(ctx)
	end(nil)
	up.Wait()
	if err != nil && cause != nil { // the stream was given up because of it
		err = cause
	}
	return outcome, p.explained(err)
}

// explained makes what ended a terminal an error that a person may read.
func (p *Platform) explained(err error) error {
	switch {
	case p.stopping(err):
		return models.Errorf(models.Unavailable, "sky is stopping").WithRemedy("try again in a moment")
	case err == nil || models.AsError(err) != nil || errors.Is(err, errLeft):
		return err
	default:
		return models.Errorf(models.Unavailable, "the connection to the instance was lost: %w", err).WithRemedy("try again; `sky ps` shows what runs")
	}
}

// errLeft says that the person has gone.
var errLeft = errors.New("the person left")

// carryUp carries what person says to the command.
func carryUp(ctx context.Context, stream *protocol.Stream, person Person) error {
	for {
		piece, err := person.Read(ctx)
		if err != nil {
			return errors.Join(errLeft, err)
		}
		if !piece.Kind.FromPerson() {
			return models.Errorf(models.Invalid, "a person's end sends no pieces of kind %d", piece.Kind)
		}
		if err := stream.WritePiece(piece); err != nil {
			return err
		}
	}
}

// carryDown carries what the command says to person, to its end.
func carryDown(ctx context.Context, stream *protocol.Stream, person Person) (terminal.Outcome, error) {
	for {
		piece, err := stream.ReadPiece()
		switch {
		case errors.Is(err, io.EOF):
			return terminal.Outcome{}, io.ErrUnexpectedEOF
		case err != nil:
			return terminal.Outcome{}, err
		case piece.Kind == terminal.Exit:
			return ending(piece)
		}
		if err := person.Write(ctx, piece); err != nil {
			return terminal.Outcome{}, errors.Join(errLeft, err)
		}
	}
}

func ending(piece terminal.Piece) (terminal.Outcome, error) {
	outcome, err := terminal.Read[terminal.Outcome](piece)
	if err == nil && outcome.Failed != "" {
		err = models.Errorf(models.Failed, "%s", narrative.Clean(outcome.Failed)).WithRemedy("`sky ps` shows what runs")
	}
	outcome.Reason = narrative.Clean(outcome.Reason)
	return outcome, err
}
