package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models/store"
)

// OnEngines calls measure with the address of an empty SQLite database and then
// with that of an empty PostgreSQL, where one is installed.
func OnEngines(measure func(engine, address string) error) (err error) {
	dir, err := os.MkdirTemp("", "sky-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return each(filepath.Join(dir, "sky.db"), measure)
}

// OnServers calls measure with the --database-url of a Sky on SQLite, which is
// empty, and then with that of one on an empty PostgreSQL, where one is installed.
func OnServers(measure func(engine, url string) error) error { return each("", measure) }

func each(sqlite string, measure func(engine, address string) error) (err error) {
	if err := measure("SQLite", sqlite); err != nil {
		return fmt.Errorf("SQLite: %w", err)
	}
	address, stop, err := testenv.StartPostgres()
	if errors.Is(err, testenv.ErrNoPostgres) {
		fmt.Println("PostgreSQL is not installed: not measured")
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := measure("PostgreSQL", address); err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	return nil
}

// OpenStore opens the database at an address that OnEngines gave.
func OpenStore(ctx context.Context, address string) (*store.Store, error) {
	if strings.HasSuffix(address, ".db") {
		return store.OpenSQLite(ctx, address)
	}
	return store.OpenPostgres(ctx, address)
}
