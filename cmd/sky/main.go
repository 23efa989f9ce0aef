// Sky is a git-push deployment server, its agent and its command line, in one
// program. This package is the only one that wires the others together.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run())
}

// run returns the process's exit code: 1 for an error, 2 for a command line
// that cannot be understood, and that of a command that it ran.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(streams{os.Stdin, os.Stdout, os.Stderr})
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var usage *usageError
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") { // cobra's own
		fmt.Fprintf(os.Stderr, "sky: %s\n", err)
		return 2
	}
	var ended *exitError
	if errors.As(err, &ended) {
		if ended.error != nil {
			explain(ended.error)
		}
		return ended.code
	}
	explain(err)
	return 1
}

// exitError ends the process with a command's own code, and with an error where
// there is more to say.
type exitError struct {
	error
	code int
}

// Error implements error; one without more to say has its code.
func (e *exitError) Error() string {
	if e.error == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.error.Error()
}

// Unwrap returns what there is to say.
func (e *exitError) Unwrap() error { return e.error }

// explain tells an error and, where the server knows one, its remedy.
func explain(err error) {
	fmt.Fprintf(os.Stderr, "sky: %s\n", err)
	var problem *v1.Problem
	var unreachable *url.Error
	refused := models.AsError(err)
	switch {
	case refused != nil && refused.Remedy != "":
		fmt.Fprintf(os.Stderr, "     %s\n", refused.Remedy)
	case errors.As(err, &problem) && problem.Remedy != "":
		fmt.Fprintf(os.Stderr, "     %s\n", problem.Remedy)
	case errors.As(err, &unreachable):
		fmt.Fprintln(os.Stderr, "     does Sky run there? `sky login URL` or SKY_URL names another server")
	}
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// Unwrap returns what is wrong.
func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}
