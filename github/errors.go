package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	gh "github.com/google/go-github/v60/github"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// limitPause is how long to wait where GitHub does not say.
const limitPause = time.Minute

// wrong gives an error of the REST API a meaning; nil stays nil.
func wrong(ctx context.Context, step string, err error) error {
	var rate *gh.RateLimitError
	var abuse *gh.AbuseRateLimitError
	var answered *gh.ErrorResponse
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &rate):
		return limited(time.Until(rate.Rate.Reset.Time))
	case errors.As(err, &abuse):
		if abuse.RetryAfter != nil {
			return limited(*abuse.RetryAfter)
		}
		return limited(limitPause)
	case errors.As(err, &answered):
		return refused(step, answered)
	}
	return &models.Error{Code: models.Unavailable, Message: "GitHub does not answer", Cause: err}
}

func limited(after time.Duration) error {
	return models.Wait(after, "GitHub's rate limit is used up")
}

// asked is how long an answer asks to wait.
func asked(header http.Header) time.Duration {
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if reset, err := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64); err == nil && header.Get("X-RateLimit-Remaining") == "0" {
		return time.Until(time.Unix(reset, 0))
	}
	return limitPause
}

// refused reads an answer that is no success.
func refused(step string, answer *gh.ErrorResponse) error {
	said := narrative.Clean(answer.Message)
	switch status := answer.Response.StatusCode; {
	case status == http.StatusUnauthorized:
		return models.Errorf(models.Unauthorized, "GitHub does not take the token any more").WithRemedy("connect again: sky github connect")
	case status == http.StatusForbidden:
		return models.Errorf(models.Forbidden, "GitHub does not let Sky %s: %s", step, said)
	case status == http.StatusNotFound, status == http.StatusGone:
		return models.Errorf(models.NotFound, "GitHub has nothing there, or does not show it (%s)", step)
	case status == http.StatusTooManyRequests:
		return limited(asked(answer.Response.Header))
	case status >= http.StatusInternalServerError:
		return models.Errorf(models.Unavailable, "GitHub answers %d", status)
	default:
		return models.Errorf(models.Invalid, "GitHub refuses to %s: %s", step, said)
	}
}
