package ingress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// ErrorHeader marks answers that the ingress made itself; its value is one of
// the codes below.
const ErrorHeader = "X-Sky-Error"

// The codes of the ingress' own answers.
const (
	CodeUnknownHost      = "unknown_host"
	CodeStopped          = "app_stopped"
	CodeNoInstance       = "no_healthy_instance"
	CodeReplaced         = "instance_replaced"
	CodeTimeout          = "app_timeout"
	CodeClosedConnection = "app_closed_connection"
)

// page is an answer of the ingress itself.
type page struct {
	status int
	code   string
	text   string
	retry  bool
}

var (
	unknownHost = page{http.StatusNotFound, CodeUnknownHost, "No app answers at this address.", false}
	stopped     = page{http.StatusServiceUnavailable, CodeStopped, "This app is stopped.", false}
	noInstance  = page{http.StatusServiceUnavailable, CodeNoInstance, "This app has no healthy instance at the moment.", true}
	replaced    = page{http.StatusServiceUnavailable, CodeReplaced, "The instance was replaced before it answered.", true}
	late        = page{http.StatusGatewayTimeout, CodeTimeout, "The app did not answer in time.", false}
	broken      = page{http.StatusBadGateway, CodeClosedConnection, "The app closed the connection before it answered.", false}
)

// answerError puts the failure of a request in words for its client.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	r.Context().Value(claimKey{}).(*claim).unanswered = true
	var timeout net.Error
	switch {
	case errors.Is(err, errStopped):
		answer(w, stopped)
	case errors.Is(err, errNoTarget):
		answer(w, noInstance)
	case errors.Is(context.Cause(r.Context()), errReplaced):
		answer(w, replaced)
	case errors.Is(err, context.Canceled): // the client left: nobody reads this
	case errors.As(err, &timeout) && timeout.Timeout():
		answer(w, late)
	default:
		answer(w, broken)
	}
}

// heedError lets only ingresses say that no Instance answered: this one, and that
// of the Node which the request was sent to.
func heedError(response *http.Response) error {
	claim := response.Request.Context().Value(claimKey{}).(*claim)
	if claim.target == nil || claim.target.Node == "" {
		response.Header.Del(ErrorHeader)
		return nil
	}
	claim.unanswered = response.Header.Get(ErrorHeader) != ""
	return nil
}

func answer(w http.ResponseWriter, p page) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set(ErrorHeader, p.code)
	if p.retry {
		header.Set("Retry-After", "5")
	}
	w.WriteHeader(p.status)
	title := http.StatusText(p.status)
	_, _ = fmt.Fprintf(w, "<!doctype html><meta charset=utf-8><title>%s</title><h1>%d %s</h1><p>%s</p>\n", title, p.status, title, p.text)
}
