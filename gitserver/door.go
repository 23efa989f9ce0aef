package gitserver

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/skypanel/sky/models"
)

// Door is what both doors need. Repositories, Receiver and Log are required.
type Door struct {
	Repositories *Repositories
	Receiver     Receiver
	Limits       Limits
	Log          *slog.Logger
	// KeepAlive is how long the line may be silent before the client is sent
	// an empty packet. Zero means 5 s, as git's receive.keepAlive.
	KeepAlive time.Duration
}

const defaultKeepAlive = 5 * time.Second

func (d *Door) keepAlive() time.Duration {
	if d.KeepAlive > 0 {
		return d.KeepAlive
	}
	return defaultKeepAlive
}

// exchange is one conversation with a git client that has been let in.
type exchange struct {
	app      models.App
	actor    models.Actor
	in       io.Reader
	out      io.Writer
	protocol string // GIT_PROTOCOL, as the client set it
	// stateless conversations are HTTP's: the advertisement is a request of its
	// own, and nothing may be written before the body was read to its end.
	stateless bool
	advertise bool
	// recheck fails when the actor has lost the access meanwhile.
	recheck func(ctx context.Context) error
}

// version returns the protocol version that the client asks for.
func (x *exchange) version() int {
	version := 0
	for part := range strings.SplitSeq(x.protocol, ":") {
		switch part {
		case "version=1":
			version = max(version, 1)
		case "version=2":
			version = 2
		}
	}
	return version
}

// The git programs that a door stands in for.
const (
	receivePack = "git-receive-pack"
	uploadPack  = "git-upload-pack"
)

// serve runs the conversation that service names.
func (d *Door) serve(ctx context.Context, service string, x *exchange) error {
	if service == uploadPack {
		return d.upload(ctx, x)
	}
	return d.receive(ctx, x)
}

// accessOf is what a service needs.
func accessOf(service string) Access {
	if service == uploadPack {
		return Read
	}
	return Write
}

// reason is what a client may read of an error, on one line. An error without
// a meaning to a user is logged and called internal.
func (d *Door) reason(err error, app models.App) string {
	coded := models.AsError(err)
	if coded == nil || coded.Message == "" {
		d.Log.Error("git session", "app", app.Name, "error", err)
		return "internal error"
	}
	if coded.Code == models.Internal {
		d.Log.Error("git session", "app", app.Name, "error", err, "cause", errors.Unwrap(coded))
	}
	return oneLine(coded.Message)
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.TrimSpace(text))
}
