package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
)

// problem is RFC 9457's document, as an error that huma can write.
type problem struct {
	v1.Problem
	retryAfter time.Duration // becomes a header
}

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return "application/problem+json" }

// Error implements error.
func (p *problem) Error() string { return p.Detail }

// statuses is the one place where codes become HTTP.
var statuses = map[models.Code]int{
	models.Invalid: http.StatusUnprocessableEntity, models.Unauthorized: http.StatusUnauthorized,
	models.Forbidden: http.StatusForbidden, models.NotFound: http.StatusNotFound, models.Conflict: http.StatusConflict,
	models.TooLarge: http.StatusRequestEntityTooLarge, models.Unavailable: http.StatusServiceUnavailable,
	models.Stale: http.StatusPreconditionFailed, models.TooMany: http.StatusTooManyRequests, models.Gone: http.StatusGone,
	models.Failed: http.StatusUnprocessableEntity, models.Cancelled: http.StatusConflict,
	models.Internal: http.StatusInternalServerError,
}

// problem maps an error. Faults of Sky's own go to the log; the client learns
// only that there was one.
func (s *server) problem(ctx context.Context, err error) *problem {
	coded := models.AsError(err)
	if coded == nil || coded.Code == models.Internal {
		if ctx.Err() == nil {
			s.Log.Error("request failed", "error", err)
		}
		return document(http.StatusInternalServerError, models.Internal, "a fault of Sky's; the server's log says more")
	}
	if coded.Cause != nil {
		s.Log.Warn("request failed", "error", coded, "cause", coded.Cause)
	}
	made := document(statuses[coded.Code], coded.Code, coded.Message)
	made.Field, made.Remedy, made.retryAfter = coded.Field, coded.Remedy, coded.RetryAfter
	return made
}

func document(status int, code models.Code, detail string) *problem {
	return &problem{Problem: v1.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: string(code),
	}}
}

// newProblem maps the errors that huma finds itself. The submitted values that
// they carry are left out: they may be secrets.
func newProblem(status int, message string, errs ...error) huma.StatusError {
	for _, err := range errs {
		var mapped *problem
		if errors.As(err, &mapped) {
			return mapped
		}
	}
	made := document(status, codeOf(status), message)
	for _, err := range errs {
		detailer, ok := err.(huma.ErrorDetailer)
		if !ok {
			continue
		}
		detail := detailer.ErrorDetail()
		made.Detail = fmt.Sprintf("%s: %s", message, detail.Message)
		made.Field = strings.TrimPrefix(detail.Location, "body.")
		break
	}
	return made
}

// abort answers with a problem where huma has no part in it.
func abort(c *gin.Context, status int, detail string) {
	c.Header("Content-Type", "application/problem+json")
	c.AbortWithStatusJSON(status, document(status, codeOf(status), detail).Problem)
}

func codeOf(status int) models.Code {
	switch {
	case status == http.StatusRequestEntityTooLarge:
		return models.TooLarge
	case status == http.StatusNotFound:
		return models.NotFound
	case status >= http.StatusInternalServerError:
		return models.Internal
	default:
		return models.Invalid
	}
}
