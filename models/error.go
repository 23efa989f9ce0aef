package models

import (
	"errors"
	"fmt"
	"time"
)

// Code classifies an error. Each edge maps codes once: the API to status
// codes, the git doors to protocol errors, the CLI to exit codes.
type Code string

// The codes.
const (
	Internal     Code = "internal"     // a fault of Sky's own
	Invalid      Code = "invalid"      // the input breaks a rule; Field names it
	Unauthorized Code = "unauthorized" // nobody known is asking
	Forbidden    Code = "forbidden"    // somebody known may not
	NotFound     Code = "not_found"    // nothing there, or nothing this actor may see
	Conflict     Code = "conflict"     // the state of things forbids it now
	Stale        Code = "stale"        // somebody changed it since it was read
	TooLarge     Code = "too_large"    // a size or count limit
	TooMany      Code = "too_many"     // too many requests; Remedy says when to try again
	Gone         Code = "gone"         // it was there, and was used up
	Unavailable  Code = "unavailable"  // a part that Sky needs does not answer; worth a retry
	Failed       Code = "failed"       // the user's build or app failed
	Cancelled    Code = "cancelled"    // somebody asked for it to stop
)

// Blame says whose fault an error is, so that nobody debugs the wrong side.
type Blame string

// The parties that can be at fault.
const (
	BlameUser     Blame = "user"
	BlameApp      Blame = "app"
	BlamePlatform Blame = "platform"
)

// Error is the one error type that crosses package borders with a meaning.
// Message is a sentence for a person; Field names the offending input, Remedy
// says what to do about it; RetryAfter, with TooMany, when to try again. Cause is
// for the operator's log and is never shown to a user.
type Error struct {
	Code       Code
	Message    string
	Field      string
	Remedy     string
	RetryAfter time.Duration
	Cause      error
}

// Error returns the sentence that a user may read.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Blame derives the party at fault from the code.
func (e *Error) Blame() Blame {
	switch e.Code {
	case Internal, Unavailable:
		return BlamePlatform
	case Failed:
		return BlameApp
	default:
		return BlameUser
	}
}

// Errorf returns an Error with a formatted message. A %w verb sets the cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// WithField returns a copy of e that names the offending input.
func (e *Error) WithField(field string) *Error {
	named := *e
	named.Field = field
	return &named
}

// WithRemedy returns a copy of e that says what to do about it.
func (e *Error) WithRemedy(format string, args ...any) *Error {
	helped := *e
	helped.Remedy = fmt.Sprintf(format, args...)
	return &helped
}

// Wait refuses one request too many, which may be tried again after a while.
func Wait(after time.Duration, format string, args ...any) *Error {
	refused := Errorf(TooMany, format, args...)
	refused.RetryAfter = max(after, time.Second)
	return refused.WithRemedy("try again in %s", refused.RetryAfter.Round(time.Second))
}

// CodeOf returns the code of the first Error in err's chain, or Internal.
func CodeOf(err error) Code {
	if coded := AsError(err); coded != nil {
		return coded.Code
	}
	return Internal
}

// AsError returns the first Error in err's chain, or nil.
func AsError(err error) *Error {
	var coded *Error
	if errors.As(err, &coded) {
		return coded
	}
	return nil
}

// IsCode reports whether err carries code.
func IsCode(err error, code Code) bool { return err != nil && CodeOf(err) == code }
