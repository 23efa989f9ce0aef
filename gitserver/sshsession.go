package gitserver

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"github.com/skypanel/sky/models"
)

const (
	maxProtocol    = 256 // bytes of GIT_PROTOCOL
	noSuchApp      = "sky: there is no such app, or you may not use it\n"
	gitOnly        = "sky: this server speaks git only\n"
	exitFailure    = 1
	exitSuccess    = 0
	protocolEnv    = "GIT_PROTOCOL"
	appPathSuffix  = ".git"
	maxCommandSize = 1024
)

// handleChannel is our own in place of gliderlabs' session handler, in which a
// malformed pty-req ends the process and environments grow without end.
func (s *SSH) handleChannel(_ *ssh.Server, conn *gossh.ServerConn, fresh gossh.NewChannel, parent ssh.Context) {
	defer s.recovered("ssh channel", func() { _ = conn.Close() })
	gated, ok := parent.Value(gateKey{}).(*gatedConn)
	if !ok || !gated.openChannel() {
		_ = fresh.Reject(gossh.ResourceShortage, "too many channels")
		return
	}
	defer gated.closeChannel()
	if !s.gate.begin() {
		_ = fresh.Reject(gossh.ResourceShortage, "shutting down")
		return
	}
	defer s.gate.end()
	channel, requests, err := fresh.Accept()
	if err != nil {
		return
	}
	// The connection's context outlives this channel under ControlMaster.
	ctx, cancel := context.WithCancel(parent)
	session := &sshSession{SSH: s, conn: conn, channel: channel, done: make(chan struct{})}
	for request := range requests {
		session.handle(ctx, request)
	}
	cancel()
	session.wait()
}

func (s *SSH) recovered(where string, then func()) {
	if cause := recover(); cause != nil {
		s.Log.Error("panic", "in", where, "cause", cause, "stack", string(debug.Stack()))
		then()
	}
}

// sshSession is one channel: some requests, of which one starts a program.
type sshSession struct {
	*SSH
	conn     *gossh.ServerConn
	channel  gossh.Channel
	protocol string
	started  bool
	done     chan struct{}
}

// handle answers a request before it starts a program: the end of a quick one
// must not overtake the answer.
func (s *sshSession) handle(ctx context.Context, request *gossh.Request) {
	accepted, start := false, func() {}
	switch {
	case s.started:
	case request.Type == "env":
		accepted = s.setEnv(request.Payload)
	case request.Type == "exec":
		var exec struct{ Command string }
		accepted = len(request.Payload) <= maxCommandSize && gossh.Unmarshal(request.Payload, &exec) == nil
		if accepted {
			start = func() { s.start(ctx, exec.Command) }
		}
	case request.Type == "shell":
		accepted, start = true, func() { s.start(ctx, "") }
	}
	if request.WantReply {
		_ = request.Reply(accepted, nil)
	}
	start()
}

func (s *sshSession) setEnv(payload []byte) bool {
	var env struct{ Name, Value string }
	if gossh.Unmarshal(payload, &env) != nil || env.Name != protocolEnv || len(env.Value) > maxProtocol {
		return false
	}
	s.protocol = env.Value
	return true
}

// start runs the program beside the loop of requests, which must go on to
// notice that the channel closes.
func (s *sshSession) start(ctx context.Context, command string) {
	s.started = true
	go func() {
		defer close(s.done)
		defer s.recovered("ssh session", func() { s.exit(exitFailure) })
		s.exit(s.run(ctx, command))
	}()
}

// wait blocks until the program, if one was started, has ended.
func (s *sshSession) wait() {
	if s.started {
		<-s.done
	}
}

func (s *sshSession) exit(status uint32) {
	_, _ = s.channel.SendRequest("exit-status", false, gossh.Marshal(struct{ Status uint32 }{status}))
	_ = s.channel.Close()
}

// run is one git program, and returns its exit status.
func (s *sshSession) run(ctx context.Context, command string) uint32 {
	actor, err := s.actor(ctx)
	if err != nil {
		return s.say("sky: your key is no longer known\n")
	}
	if command == "" {
		return s.say(fmt.Sprintf("Hi %s! You've authenticated; Sky speaks git only.\n", oneLine(actor.Name)))
	}
	service, name, ok := parseCommand(command)
	if !ok {
		return s.say(gitOnly)
	}
	app, err := s.authorize(ctx, actor, name, accessOf(service))
	if err != nil {
		return s.say(s.refusal(err, name))
	}
	err = s.serve(ctx, service, &exchange{
		app: app, actor: actor, in: s.channel, out: s.channel, protocol: s.protocol,
		recheck: func(ctx context.Context) error { return s.recheck(ctx, name, accessOf(service)) },
	})
	if err != nil {
		s.Log.Info("git session ended early", "app", name, "actor", actor.Name, "service", service, "error", err)
		return exitFailure
	}
	return exitSuccess
}

// actor is the owner of the key whose signature was verified.
func (s *sshSession) actor(ctx context.Context) (models.Actor, error) {
	fingerprint := ""
	if s.conn.Permissions != nil {
		fingerprint = s.conn.Permissions.Extensions[fingerprintName]
	}
	if fingerprint == "" {
		return models.Actor{}, models.Errorf(models.Unauthorized, "no verified key")
	}
	return s.Receiver.ActorByKey(ctx, fingerprint)
}

// recheck asks again: the key or the membership may have gone meanwhile.
func (s *sshSession) recheck(ctx context.Context, name string, access Access) error {
	actor, err := s.actor(ctx)
	if err != nil {
		return err
	}
	_, err = s.authorize(ctx, actor, name, access)
	return err
}

// say writes what the user reads, and fails the program.
func (s *sshSession) say(text string) uint32 {
	_, _ = io.WriteString(s.channel.Stderr(), text)
	return exitFailure
}

// authorize refuses names that no App can have with the very error of Apps that
// do not exist.
func (d *Door) authorize(ctx context.Context, actor models.Actor, name string, access Access) (models.App, error) {
	if models.CheckAppName(name) != nil {
		return models.App{}, models.Errorf(models.NotFound, "no such app")
	}
	return d.Receiver.Authorize(ctx, actor, name, access)
}

// refusal is what the user reads of a failed authorize.
func (d *Door) refusal(err error, name string) string {
	if models.IsCode(err, models.NotFound) {
		return noSuchApp
	}
	return "sky: " + d.reason(err, models.App{Name: name}) + "\n"
}

// parseCommand accepts the two programs with one argument, quoted as git and
// its like do, and nothing else. The name is not checked.
func parseCommand(command string) (service, name string, ok bool) {
	command = strings.TrimPrefix(command, "git ")
	program, argument, found := strings.Cut(command, " ")
	if !strings.HasPrefix(program, "git-") {
		program = "git-" + program
	}
	if !found || program != receivePack && program != uploadPack {
		return "", "", false
	}
	for _, quote := range []string{"'", `"`} {
		if len(argument) >= 2 && strings.HasPrefix(argument, quote) && strings.HasSuffix(argument, quote) {
			argument = argument[1 : len(argument)-1]
			break
		}
	}
	return program, appName(argument), true
}

// appName takes the App's name out of a path such as /APP.git.
func appName(path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "/"), "~/")
	return strings.TrimSuffix(strings.TrimSuffix(path, "/"), appPathSuffix)
}
