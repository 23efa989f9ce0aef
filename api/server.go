package api

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/internal/ratelimit"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// Config is what the API needs. Platform and Log are required.
type Config struct {
	Platform *platform.Platform
	// Backups is nil where none can be taken.
	Backups *platform.Backups
	// Link is the agents' door, mounted at LinkPath.
	Link     http.Handler
	LinkPath string
	// GitURL returns where an App is pushed to.
	GitURL  func(app string) string
	Version string
	// Program is the file of this program, which new nodes fetch; empty gives
	// them none.
	Program string
	// TrustedProxies are the networks whose X-Forwarded-For is believed; without
	// any, a client's address is the connection's.
	TrustedProxies []string
	// RequestsPerMinute bounds each token and session; 0 is without a limit. A
	// third of them may come at once.
	RequestsPerMinute int
	// Answered is told of every request, by the pattern that its address matched,
	// or an empty one; nil where nobody counts them.
	Answered func(method, route string, status int, took time.Duration)
	Log      *slog.Logger
}

// server holds what the handlers share.
type server struct {
	Config
	cross    *http.CrossOriginProtection
	requests *ratelimit.Keyed
}

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
	if err := engine.SetTrustedProxies(config.TrustedProxies); err != nil { // gin trusts everybody by default
		_ = engine.SetTrustedProxies(nil) // which cannot fail
		config.Log.Error("trusted proxies are ignored", "error", err)
	}
	s := &server{Config: config, cross: crossOrigin(config.Platform.Settings.PublicURL), requests: counter(config.RequestsPerMinute)}
	engine.UseRawPath = true             // %2F in a name is part of the name
	engine.RedirectTrailingSlash = false // a name that is empty is not the list of all
	engine.HandleMethodNotAllowed = true
	engine.Use(s.count, s.recover)
	engine.NoRoute(func(c *gin.Context) { abort(c, http.StatusNotFound, "there is nothing at this address") })
	engine.NoMethod(func(c *gin.Context) { abort(c, http.StatusMethodNotAllowed, "this address knows no "+c.Request.Method) })
	engine.GET("/healthz", func(c *gin.Context) { c.String(http.StatusOK, "ok\n") })
	if config.Link != nil {
		engine.GET(config.LinkPath, gin.WrapH(config.Link))
	}
	documented := huma.DefaultConfig("Sky", documentVersion)
	documented.OpenAPIPath = "/api/openapi"
	documented.DocsPath = ""
	documented.SchemasPath = "/api/schemas"
	documented.CreateHooks = nil // no "$schema" in every answer
	documented.Components.SecuritySchemes = securitySchemes(s.cookieName())
	huma.NewError = newProblem // huma's one seam for errors of its own
	huma.DefaultArrayNullable = false
	routes := humagin.New(engine, documented)
	routes.UseMiddleware(s.authenticate(routes), s.plainText(routes), s.once(routes))
	s.access(engine, routes)
	s.install(engine)
	s.webhooks(engine)
	s.register(routes)
	describe(routes.OpenAPI())
	s.docs(engine, routes.OpenAPI())
	return engine
}

// register registers the operations, a file for each noun.
func (s *server) register(routes huma.API) {
	s.accounts(routes)
	s.apps(routes)
	s.builds(routes)
	s.releases(routes)
	s.operations(routes)
	s.logs(routes)
	s.terminals(routes)
	s.nodes(routes)
	s.metrics(routes)
	s.backups(routes)
	s.organisations(routes)
	s.plans(routes)
	s.runtimes(routes)
	s.billing(routes)
	s.overview(routes)
	s.domains(routes)
	s.gitHub(routes)
}

// count tells of a request when it was answered.
func (s *server) count(c *gin.Context) {
	if s.Answered == nil {
		return
	}
	began := time.Now()
	c.Next()
	s.Answered(c.Request.Method, c.FullPath(), c.Writer.Status(), time.Since(began))
}

// recover answers a panic without its words, which may hold secrets.
func (s *server) recover(c *gin.Context) {
	defer func() {
		if caught := recover(); caught != nil {
			s.Log.Error("panic in a handler", "path", c.FullPath(), "panic", caught)
			abort(c, http.StatusInternalServerError, "a fault of Sky's; the server's log says more")
		}
	}()
	c.Next()
}

// operation describes a route that needs somebody who may do action. The
// platform decides; the document says it, and a test holds both together.
func operation(method, path, id, summary string, action models.Action) huma.Operation {
	return huma.Operation{
		Method: method, Path: path, OperationID: id, Summary: summary, Tags: []string{tag(path)},
		Security: []map[string][]string{{tokenScheme: {}}, {sessionScheme: {}}}, MaxBodyBytes: maxBody, BodyReadTimeout: readAlready,
		Extensions: map[string]any{actionExtension: string(action), scopeExtension: string(action.Scope())},
	}
}

// creating describes a route that makes something. A repetition with the same
// Idempotency-Key makes nothing again.
func creating(path, id, summary string, action models.Action) huma.Operation {
	made := operation(http.MethodPost, path, id, summary, action)
	made.DefaultStatus = http.StatusCreated
	made.Parameters = []*huma.Param{idempotencyParam()}
	return made
}

const (
	actionExtension = "x-sky-action"
	scopeExtension  = "x-sky-scope"
)

// tag groups operations by the noun behind their prefix.
func tag(path string) string {
	for prefix, group := range map[string]string{adminPrefix: "admin ", customerPrefix: "", internalPrefix: "internal "} {
		if rest, ok := strings.CutPrefix(path, prefix+"/"); ok {
			noun, _, _ := strings.Cut(rest, "/")
			return group + noun
		}
	}
	return ""
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

// done is the answer of an operation that has nothing to say.
func (s *server) done(ctx context.Context, err error) (*struct{}, error) {
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return nil, nil
}

// tagged is an answer with the revision of what it shows.
type tagged[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

// revised answers with a row and the revision that a change of it may name.
func revised[T any](ctx context.Context, s *server, value T, revision string, err error) (*tagged[T], error) {
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &tagged[T]{ETag: strconv.Quote(revision), Body: value}, nil
}

// IfMatchInput is a change of one revision only. It is exported because huma
// reads only exported embedded fields.
type IfMatchInput struct {
	IfMatch string `header:"If-Match" maxLength:"64" doc:"The ETag that the change was made for; without it, any"`
}

// revision returns what the header names.
func (i IfMatchInput) revision() string {
	if i.IfMatch == "*" {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(i.IfMatch, "W/"), `"`)
}

// PageInput asks for one page of a list.
type PageInput struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"What the page before had as next"`
	Sort   string `query:"sort" maxLength:"40" doc:"The field to sort by, with - before it to turn it round"`
}

// OptionalBool is a query parameter that is true, false, or not given.
type OptionalBool string

// Schema implements huma.SchemaProvider.
func (OptionalBool) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: []any{"true", "false"}}
}

func (o OptionalBool) value() *bool {
	if o == "" {
		return nil
	}
	given := o == "true"
	return &given
}

func (i PageInput) page() models.PageRequest {
	return models.PageRequest{Limit: i.Limit, Cursor: i.Cursor, Sort: i.Sort}
}

// pageOf turns a page of rows into a handler's answer.
func pageOf[Row, Wire any](ctx context.Context, s *server, page models.Page[Row], convert func(Row) Wire, err error) (*body[v1.Page[Wire]], error) {
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	return &body[v1.Page[Wire]]{v1.Page[Wire]{Items: each(page.Items, convert), Next: page.Next}}, nil
}

// each maps a list; the answer is never null.
func each[From, To any](rows []From, convert func(From) To) []To {
	converted := make([]To, 0, len(rows))
	for _, row := range rows {
		converted = append(converted, convert(row))
	}
	return converted
}
