package lab

import (
	"context"
	"fmt"
	"os"
	"os/signal"
)

// Main runs a benchmark, which reads its own flags, until it ends or is
// interrupted, and exits with 1 when it failed.
func Main(name string, run func(ctx context.Context) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, err)
		os.Exit(1)
	}
}
