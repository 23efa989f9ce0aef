package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

func (s *server) sessions(routes huma.API) {
	const path = customerPrefix + "/sessions"
	huma.Register(routes, open(path, "create-session", "Log in with a password"), s.createSession)
	huma.Register(routes, operation(http.MethodGet, path, "list-sessions", "List your sessions", models.AccountRead), s.listSessions)
	huma.Register(routes, operation(http.MethodDelete, path+"/{session}", "end-session", "Log out", models.AccountManage), s.endSession)
}

// open describes a route for whoever has a password or a one-time link.
func open(path, id, summary string) huma.Operation {
	return huma.Operation{
		Method: http.MethodPost, Path: path, OperationID: id, Summary: summary, Tags: []string{tag(path)},
		MaxBodyBytes: 16 << 10, BodyReadTimeout: readAlready, DefaultStatus: http.StatusCreated,
	}
}

// cookieName is the session's. Where all is https, the browser itself holds it to
// this host and to encrypted connections.
func (s *server) cookieName() string {
	if s.secure() {
		return "__Host-sky_session"
	}
	return "sky_session"
}

func (s *server) secure() bool { return strings.HasPrefix(s.Platform.Settings.PublicURL, "https://") }

func (s *server) cookie(text string, expires time.Time) http.Cookie {
	made := http.Cookie{
		Name: s.cookieName(), Value: text, Path: "/", Expires: expires, HttpOnly: true, Secure: s.secure(), SameSite: http.SameSiteLaxMode,
	}
	if text == "" {
		made.MaxAge = -1
	}
	return made
}

// begun is the answer to a login.
type begun struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
	Body      v1.Session
}

func (s *server) createSession(ctx context.Context, input *struct {
	UserAgent string `header:"User-Agent" hidden:"true"`
	Cookies   string `header:"Cookie" hidden:"true"`
	Body      v1.Login
}) (*begun, error) {
	former := ""
	if cookies, err := http.ParseCookie(input.Cookies); err == nil {
		for _, cookie := range cookies {
			if cookie.Name == s.cookieName() {
				former = cookie.Value
			}
		}
	}
	session, text, err := s.Platform.Login(ctx, platform.Credentials{
		Login: input.Body.Login, Password: input.Body.Password, Code: input.Body.Code,
		Client: input.UserAgent, Address: actor(ctx).Address, Former: former,
	})
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	wire := wireSession(session)
	wire.Current = true
	return &begun{s.cookie(text, session.CreatedAt.Add(platform.SessionLife)), wire}, nil
}

func (s *server) listSessions(ctx context.Context, input *PageInput) (*body[v1.Page[v1.Session]], error) {
	who := actor(ctx)
	page, err := s.Platform.Sessions(ctx, who, input.page())
	return pageOf(ctx, s, page, func(session models.Session) v1.Session {
		wire := wireSession(session)
		wire.Current = who.SessionID != nil && *who.SessionID == session.ID
		return wire
	}, err)
}

// ended is the answer to a log-out; the browser forgets the cookie.
type ended struct {
	SetCookie *http.Cookie `header:"Set-Cookie"`
}

func (s *server) endSession(ctx context.Context, input *struct {
	Session string `path:"session" maxLength:"64" doc:"Its id, or current for the one that asks"`
}) (*ended, error) {
	who := actor(ctx)
	if err := s.Platform.EndSession(ctx, who, input.Session); err != nil {
		return nil, s.problem(ctx, err)
	}
	if who.SessionID == nil || (input.Session != "current" && input.Session != who.SessionID.String()) {
		return &ended{}, nil
	}
	forgotten := s.cookie("", time.Unix(1, 0))
	return &ended{&forgotten}, nil
}

func wireSession(session models.Session) v1.Session {
	return v1.Session{
		ID: session.ID.String(), Client: session.Client, Address: session.Address,
		ExpiresAt: session.ExpiresAt, SeenAt: session.SeenAt, CreatedAt: session.CreatedAt,
	}
}
