package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/skypanel/sky/internal/ratelimit"
	"github.com/skypanel/sky/models"
)

// The ways to prove who one is, as the OpenAPI document names them.
const (
	tokenScheme   = "token"
	sessionScheme = "session"
)

func securitySchemes(cookie string) map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		tokenScheme:   {Type: "http", Scheme: "bearer", Description: "An API token"},
		sessionScheme: {Type: "apiKey", In: "cookie", Name: cookie, Description: "A browser's session"},
	}
}

var errCrossOrigin = models.Errorf(models.Forbidden, "another site sent this request").
	WithRemedy("use the dashboard at its own address, or an API token")

// access registers all that is about who comes in, and how.
func (s *server) access(engine *gin.Engine, routes huma.API) {
	s.sessions(routes)
	s.tokens(routes)
	s.account(routes)
	s.links(routes)
	s.users(routes)
	s.pages(engine)
}

type actorKey struct{}

// actor returns who asks. Operations without Security have nobody.
func actor(ctx context.Context) models.Actor {
	who, _ := ctx.Value(actorKey{}).(models.Actor)
	return who
}

// crossOrigin keeps other sites from acting with a browser's session.
func crossOrigin(public string) *http.CrossOriginProtection {
	protection := http.NewCrossOriginProtection()
	if address, err := url.Parse(public); err == nil && address.Host != "" {
		_ = protection.AddTrustedOrigin(address.Scheme + "://" + address.Host) // it is of that form
	}
	return protection
}

// authenticate puts who asks into the context of every operation. Those without
// Security let nobody in too, and tell only where they ask from.
func (s *server) authenticate(routes huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		who, err := s.identify(humagin.Unwrap(ctx), len(ctx.Operation().Security) > 0)
		if err != nil {
			s.refuse(routes, ctx, err)
			return
		}
		if wait := s.crowd(ctx.Operation(), who); wait > 0 {
			s.refuse(routes, ctx, models.Wait(wait, "too many requests"))
			return
		}
		next(huma.WithValue(ctx, actorKey{}, who))
	}
}

// The most tokens and sessions whose requests are counted at once, and how much
// of a minute's requests may come at once.
const (
	maxCounted  = 50_000
	burstPart   = 3
	eventStream = "text/event-stream"
)

// counter counts requests by token and session; nil is without a limit.
func counter(perMinute int) *ratelimit.Keyed {
	if perMinute <= 0 {
		return nil
	}
	return ratelimit.New(time.Minute/time.Duration(perMinute), max(1, perMinute/burstPart), maxCounted)
}

// crowd returns how long who asks has to wait for their turn. Streams are not
// counted: they are few, and begin again when the connection breaks.
func (s *server) crowd(described *huma.Operation, who models.Actor) time.Duration {
	if ok := described.Responses["200"]; s.requests == nil || (ok != nil && ok.Content[eventStream] != nil) {
		return 0
	}
	switch {
	case who.TokenID != nil:
		return s.requests.Take(who.TokenID.String())
	case who.SessionID != nil:
		return s.requests.Take(who.SessionID.String())
	default:
		return 0
	}
}

// refuse answers in place of the operation.
func (s *server) refuse(routes huma.API, ctx huma.Context, err error) {
	problem := s.problem(ctx.Context(), err)
	for name, values := range problem.GetHeaders() {
		ctx.SetHeader(name, values[0])
	}
	_ = huma.WriteErr(routes, ctx, problem.GetStatus(), problem.Error(), problem)
}

func (s *server) identify(c *gin.Context, required bool) (models.Actor, error) {
	if err := tokenFreeQuery(c.Request.URL.Query()); err != nil {
		return models.Actor{}, err
	}
	header := c.GetHeader("Authorization")
	if header == "" {
		if err := s.cross.Check(c.Request); err != nil {
			return models.Actor{}, errCrossOrigin
		}
	}
	if !required {
		return models.Actor{Address: c.ClientIP()}, nil
	}
	who, err := s.proven(c, header)
	who.Address = c.ClientIP()
	return who, err
}

// proven returns whom the token or the session belongs to. A token is looked at
// first: no other site can have sent it along.
func (s *server) proven(c *gin.Context, header string) (models.Actor, error) {
	cookie, err := c.Cookie(s.cookieName())
	if header == "" && err == nil {
		return s.Platform.ActorBySession(c.Request.Context(), cookie)
	}
	token, _ := strings.CutPrefix(header, "Bearer ")
	return s.Platform.ActorByToken(c.Request.Context(), token)
}

// tokenFreeQuery refuses secrets where proxies and browsers keep them.
func tokenFreeQuery(query url.Values) error {
	for name, values := range query {
		named := name == "token" || name == "access_token" || name == "api_key" || name == "authorization"
		if named || strings.Contains(strings.Join(values, " "), "sky_pat_") {
			return models.Errorf(models.Unauthorized, "a token in an address is refused: others read addresses").
				WithRemedy("send it as the header Authorization: Bearer TOKEN, and make a new one")
		}
	}
	return nil
}

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header {
	if p.retryAfter <= 0 {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(int(p.retryAfter.Seconds()) + 1)}}
}
