package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/coder/websocket"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/terminal"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// terminalText is how a terminal is spoken to, for the document.
const terminalText = `A WebSocket. The first message is a TerminalRequest, as text. All others are binary: a byte that says what it is, and at most 32 KiB of data.
You send 1 input, 2 the end of input, 4 the window's size as {"rows": 24, "cols": 80}, 5 a signal's name (INT, TERM, HUP, QUIT, USR1, USR2), and 0, which means nothing, at least every 90 seconds.
You get 8 once the command runs, 6 its output and 7 its error output (a tty has 6 only), 3 for each input that it took, 0, and at last 9, how it ended as {"code": 0, "reason": ""}, or 10, a problem.
At most 8 inputs may be on the way without their 3. When the connection ends, the command does.`

func (s *server) terminals(routes huma.API) {
	exec := operation(http.MethodGet, appPath+"/exec", "exec-app", "Run a command in an instance, at a terminal", models.AppExec)
	s.terminal(routes, exec, func(ctx context.Context, app models.App, asked v1.TerminalRequest, at *person) (terminal.Outcome, error) {
		return s.Platform.Exec(ctx, actor(ctx), app, platform.ExecAsked{Process: asked.Process, Instance: asked.Instance, Command: commandOf(asked)}, at)
	})
	run := operation(http.MethodGet, appPath+"/run", "run-app", "Run a command by itself, at a terminal", models.AppExec)
	s.terminal(routes, run, func(ctx context.Context, app models.App, asked v1.TerminalRequest, at *person) (terminal.Outcome, error) {
		return s.Platform.Run(ctx, actor(ctx), app, commandOf(asked), at)
	})
	huma.Register(routes, creating(appPath+"/runs", "start-run", "Run a command by itself, without a terminal; its output is in the app's log", models.AppExec), s.startRun)
	huma.Register(routes, operation(http.MethodDelete, appPath+"/runs/{instance}", "end-run", "Stop a command that runs by itself", models.AppExec), s.endRun)
}

func commandOf(asked v1.TerminalRequest) platform.Command {
	return platform.Command{Arguments: asked.Command, TTY: asked.TTY, Size: terminal.Size{Rows: asked.Rows, Columns: asked.Columns}}
}

// terminal registers an operation that is a WebSocket. It ends within seconds when
// its person's token, session, account or role does.
func (s *server) terminal(routes huma.API, described huma.Operation, run func(context.Context, models.App, v1.TerminalRequest, *person) (terminal.Outcome, error)) {
	request := routes.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[v1.TerminalRequest](), true, "TerminalRequest")
	described.Description = terminalText
	described.Extensions["x-sky-first-message"] = request
	described.DefaultStatus = http.StatusSwitchingProtocols
	described.Responses = map[string]*huma.Response{"101": {Description: "The WebSocket"}}
	huma.Register(routes, described, func(ctx context.Context, input *AppInput) (*huma.StreamResponse, error) {
		app, err := s.Platform.MayExec(ctx, actor(ctx), input.App)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(response huma.Context) {
			c := humagin.Unwrap(response)
			if err := s.checkUpgrade(c.Request); err != nil {
				s.refuse(routes, response, err)
				return
			}
			conn, err := websocket.Accept(c.Writer, c.Request, &websocket.AcceptOptions{
				CompressionMode: websocket.CompressionDisabled, InsecureSkipVerify: true, // checkUpgrade verified the origin
			})
			if err != nil {
				s.quiet(response.Context(), err)
				return
			}
			s.sit(response.Context(), app, conn, run)
		}}, nil
	})
}

// checkUpgrade refuses what is no WebSocket, and one that another site opened with a
// browser's session. Browsers let every site open one: it is judged like a POST.
func (s *server) checkUpgrade(request *http.Request) error {
	if !strings.EqualFold(request.Header.Get("Upgrade"), "websocket") {
		return models.Errorf(models.Invalid, "this operation is a WebSocket").WithField("header.Upgrade").WithRemedy("open it with a WebSocket client, or use `sky exec` and `sky run`")
	}
	if request.Header.Get("Authorization") != "" {
		return nil
	}
	changing := request.Clone(request.Context())
	changing.Method = http.MethodPost
	if err := s.cross.Check(changing); err != nil {
		return errCrossOrigin
	}
	return nil
}

// sit has a person at a terminal, from what they ask for to how it ended.
func (s *server) sit(ctx context.Context, app models.App, conn *websocket.Conn, run func(context.Context, models.App, v1.TerminalRequest, *person) (terminal.Outcome, error)) {
	at := newPerson(ctx, conn)
	defer at.leave()
	asked, err := at.request()
	if err != nil {
		at.conclude(terminal.Problem, s.problem(ctx, err).Problem)
		return
	}
	var outcome terminal.Outcome
	err = s.watched(at.ctx, func(ctx context.Context) error {
		var err error
		outcome, err = run(ctx, app, asked, at)
		return err
	}, func(ctx context.Context) error {
		_, err := s.Platform.MayExec(ctx, actor(ctx), app.Name)
		return err
	})
	switch {
	case at.ctx.Err() != nil: // they left
	case err != nil:
		at.conclude(terminal.Problem, s.problem(ctx, err).Problem)
	default:
		at.conclude(terminal.Exit, outcome)
	}
}

func (s *server) startRun(ctx context.Context, input *struct {
	AppInput
	Body v1.NewRun
}) (*body[v1.Instance], error) {
	app, err := s.Platform.MayExec(ctx, actor(ctx), input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	instance, err := s.Platform.StartRun(ctx, actor(ctx), app, input.Body.Command)
	return answer(ctx, s, wireInstance(instance), err)
}

func (s *server) endRun(ctx context.Context, input *struct {
	AppInput
	Instance string `path:"instance" maxLength:"60" doc:"Its id, or its name such as run.1"`
}) (*struct{}, error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppExec, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return s.done(ctx, s.Platform.EndRun(ctx, actor(ctx), app, input.Instance))
}
