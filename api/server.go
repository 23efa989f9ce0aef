package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// Config is what the API needs. Platform and Log are required.
type Config struct {
	Platform *platform.Platform
	// Link is the agents' door, mounted at LinkPath.
	Link     http.Handler
	LinkPath string
	// GitURL returns where an App is pushed to.
	GitURL  func(app string) string
	Version string
	Log     *slog.Logger
}

// server holds what the handlers share.
type server struct{ Config }

const (
	customerPrefix = "/api/paas"
	adminPrefix    = "/api/admin/paas"
	internalPrefix = "/api/internal/paas"
	// maxBody bounds a request's body.
	maxBody = 4 << 20
)

// New returns the API as one handler.
func New(config Config) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	_ = engine.SetTrustedProxies(nil) // gin trusts everybody by default; nil cannot fail
	s := &server{config}
	engine.Use(s.recover)
	engine.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	if config.Link != nil {
		engine.GET(config.LinkPath, gin.WrapH(config.Link))
	}
	documented := huma.DefaultConfig("Sky", config.Version)
	documented.OpenAPIPath = "/api/openapi"
	documented.DocsPath = ""
	documented.SchemasPath = "/api/schemas"
	documented.CreateHooks = nil // no "$schema" in every answer
	documented.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		tokenScheme: {Type: "http", Scheme: "bearer", Description: "An API token"},
	}
	huma.NewError = newProblem // huma's one seam for errors of its own
	routes := humagin.New(engine, documented)
	routes.UseMiddleware(s.authenticate(routes))
	s.accounts(routes)
	s.apps(routes)
	s.builds(routes)
	s.releases(routes)
	s.operations(routes)
	s.logs(routes)
	s.nodes(routes)
	return engine
}

// recover answers a panic without its words, which may hold secrets.
func (s *server) recover(c *gin.Context) {
	defer func() {
		if caught := recover(); caught != nil {
			s.Log.Error("panic in a handler", "path", c.FullPath(), "panic", caught)
			c.AbortWithStatus(http.StatusInternalServerError)
		}
	}()
	c.Next()
}

const tokenScheme = "token"

type actorKey struct{}

// authenticate puts the token's owner into the context of every operation that
// asks for one.
func (s *server) authenticate(routes huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if len(ctx.Operation().Security) == 0 {
			next(ctx)
			return
		}
		token, _ := strings.CutPrefix(ctx.Header("Authorization"), "Bearer ")
		actor, err := s.Platform.ActorByToken(ctx.Context(), token)
		if err != nil {
			problem := s.problem(ctx.Context(), err)
			_ = huma.WriteErr(routes, ctx, problem.GetStatus(), problem.Error(), problem)
			return
		}
		next(huma.WithValue(ctx, actorKey{}, actor))
	}
}

// actor returns who asks. Operations without Security have nobody.
func actor(ctx context.Context) models.Actor {
	who, _ := ctx.Value(actorKey{}).(models.Actor)
	return who
}

// operation describes a route that needs a token.
func operation(method, path, id, summary string) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, Tags: []string{tag(path)},
		Security: []map[string][]string{{tokenScheme: {}}}, MaxBodyBytes: maxBody,
		SkipValidateParams: false,
	}
}

func tag(path string) string {
	if strings.HasPrefix(path, adminPrefix) {
		return "admin"
	}
	return "apps"
}

// body wraps an answer the way huma wants it.
type body[T any] struct{ Body T }

// answer turns a platform call's result into a handler's.
func answer[T any](ctx context.Context, s *server, value T, err error) (*body[T], error) {
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &body[T]{value}, nil
}
