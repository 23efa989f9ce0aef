package api

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

const (
	idempotencyHeader = "Idempotency-Key"
	replayedHeader    = "Idempotency-Replayed"
	bodyPatience      = 5 * time.Second
	// readAlready keeps huma from setting a deadline for the body: plainText has read
	// it within bodyPatience. One that is set after that stays, and ends the context
	// of every operation that takes longer than it.
	readAlready = -1
)

// keptHeaders are the answer's headers that a repetition gets too.
var keptHeaders = []string{"ETag", "Location", "Retry-After"}

func idempotencyParam() *huma.Param {
	shortest, longest := 1, 255
	return &huma.Param{
		Name: idempotencyHeader, In: "header",
		Description: "Makes a repetition safe: within 24 hours the same request with the same key gets the first one's answer, and does nothing",
		Schema:      &huma.Schema{Type: huma.TypeString, MinLength: &shortest, MaxLength: &longest},
	}
}

func takesKeys(described *huma.Operation) bool {
	return slices.ContainsFunc(described.Parameters, func(param *huma.Param) bool { return param.Name == idempotencyHeader })
}

// once does a request that came with a key at most once.
func (s *server) once(routes huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		c := humagin.Unwrap(ctx)
		keys := c.Request.Header.Values(idempotencyHeader)
		if len(keys) == 0 || !takesKeys(ctx.Operation()) {
			next(ctx)
			return
		}
		body, err := readBody(ctx, c)
		if err != nil {
			s.refuse(routes, ctx, err)
			return
		}
		request := platform.Request{Key: keys[0], Method: c.Request.Method, Target: c.Request.URL.RequestURI(), Body: body}
		answer, err := s.Platform.Once(ctx.Context(), actor(ctx.Context()), request, func() platform.Answer {
			return record(c, func() { next(ctx) })
		})
		if err != nil {
			s.refuse(routes, ctx, err)
			return
		}
		send(c, answer)
	}
}

// readBody reads the whole body and puts it back to be read again. A body that is
// left unread stays where it is: net/http must see that, or what is left of it
// would be taken for another request.
func readBody(ctx huma.Context, c *gin.Context) ([]byte, error) {
	_ = ctx.SetReadDeadline(time.Now().Add(bodyPatience)) // as huma does, where the connection can
	limit := ctx.Operation().MaxBodyBytes
	body, err := io.ReadAll(io.LimitReader(c.Request.Body, limit+1))
	if err != nil {
		return nil, models.Errorf(models.Invalid, "the request's body could not be read").WithField("body")
	}
	if int64(len(body)) > limit {
		return nil, models.Errorf(models.TooLarge, "the request's body is larger than %d bytes", limit)
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// recorder keeps an answer instead of sending it.
type recorder struct {
	gin.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int)               { r.status = status }
func (r *recorder) WriteHeaderNow()                      {}
func (r *recorder) Write(content []byte) (int, error)    { return r.body.Write(content) }
func (r *recorder) WriteString(text string) (int, error) { return r.body.WriteString(text) }
func (r *recorder) Status() int                          { return r.status }
func (r *recorder) Size() int                            { return r.body.Len() }
func (r *recorder) Written() bool                        { return r.body.Len() > 0 }

// record returns what handle answers.
func record(c *gin.Context, handle func()) platform.Answer {
	sent := c.Writer
	kept := &recorder{ResponseWriter: sent, status: http.StatusOK}
	c.Writer = kept
	defer func() { c.Writer = sent }()
	handle()
	answer := platform.Answer{
		Status: kept.status, ContentType: sent.Header().Get("Content-Type"), Header: map[string]string{}, Body: kept.body.Bytes(),
	}
	for _, name := range keptHeaders {
		if value := sent.Header().Get(name); value != "" {
			answer.Header[name] = value
		}
	}
	return answer
}

func send(c *gin.Context, answer platform.Answer) {
	for name, value := range answer.Header {
		c.Header(name, value)
	}
	if answer.ContentType != "" {
		c.Header("Content-Type", answer.ContentType)
	}
	if answer.Replayed {
		c.Header(replayedHeader, "true")
	}
	c.Status(answer.Status)
	_, _ = c.Writer.Write(answer.Body)
}
