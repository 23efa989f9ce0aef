package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

// Store is a database. Writes go through one pool and reads through another:
// SQLite has a single writer, and a shared pool of deferred transactions fails
// with SQLITE_BUSY under load.
type Store struct {
	write  *gorm.DB
	read   *gorm.DB
	engine engine
}

type engine string

const (
	engineSQLite   engine = "sqlite"
	enginePostgres engine = "postgres"
)

// now is truncated to what both engines keep.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func config() *gorm.Config {
	return &gorm.Config{
		TranslateError:         true,
		SkipDefaultTransaction: true,
		NowFunc:                now,
		// gorm's logger prints values, and values are secrets.
		Logger: logger.Default.LogMode(logger.Silent),
	}
}

// Transact runs fn in one transaction; an error rolls everything back. The
// Store given to fn must not outlive it.
func (s *Store) Transact(ctx context.Context, fn func(tx *Store) error) error {
	return s.write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return fn(&Store{write: tx, read: tx, engine: s.engine})
	})
}

// Snapshot runs fn in one read-only transaction that sees one state of the
// database, whatever others write meanwhile. The Store given to fn must not
// outlive it.
func (s *Store) Snapshot(ctx context.Context, fn func(tx *Store) error) error {
	return s.read.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return fn(&Store{write: tx, read: tx, engine: s.engine})
	}, s.snapshotOptions())
}

// snapshotOptions begin a transaction that sees one state: SQLite's always do.
func (s *Store) snapshotOptions() *sql.TxOptions {
	options := &sql.TxOptions{ReadOnly: true}
	if s.engine == enginePostgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	return options
}

// Close closes the pools and waits for running queries.
func (s *Store) Close() error {
	var errs []error
	for _, db := range []*gorm.DB{s.read, s.write} {
		pool, err := db.DB()
		if err == nil {
			err = pool.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	pool, err := s.pool()
	if err != nil {
		return err
	}
	return pool.PingContext(ctx)
}

func (s *Store) pool() (*sql.DB, error) {
	pool, err := s.write.DB()
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return pool, nil
}

// PoolStats are how a pool of connections is used.
type PoolStats struct {
	Pool string
	sql.DBStats
}

// Pools returns how each pool is used.
func (s *Store) Pools() []PoolStats {
	var stats []PoolStats
	for name, db := range map[string]*gorm.DB{"write": s.write, "read": s.read} {
		if pool, err := db.DB(); err == nil && (name == "write" || s.read != s.write) {
			stats = append(stats, PoolStats{name, pool.Stats()})
		}
	}
	return stats
}

func (s *Store) reader(ctx context.Context) *gorm.DB { return s.read.WithContext(ctx) }
func (s *Store) writer(ctx context.Context) *gorm.DB { return s.write.WithContext(ctx) }

// first reads the one row that the query matches.
func first[T any](query *gorm.DB, what string) (T, error) {
	var row T
	err := query.Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, models.Errorf(models.NotFound, "no such %s", what)
	}
	if err != nil {
		return row, fmt.Errorf("read %s: %w", what, err)
	}
	return row, nil
}

// all reads every row that the query matches.
func all[T any](query *gorm.DB, what string) ([]T, error) {
	var rows []T
	if err := query.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return rows, nil
}

// create inserts row; a duplicate is a Conflict that names what exists, and a row
// that refers to one that somebody removed meanwhile is NotFound.
func (s *Store) create(ctx context.Context, row any, what string) error {
	err := s.writer(ctx).Create(row).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return models.Errorf(models.Conflict, "%s exists already", what)
	}
	if errors.Is(err, gorm.ErrForeignKeyViolated) {
		return models.Errorf(models.NotFound, "%s refers to what was removed meanwhile", what).WithRemedy("try again")
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", what, err)
	}
	return nil
}

// save writes all of row's columns.
func (s *Store) save(ctx context.Context, row any, what string) error {
	err := s.writer(ctx).Save(row).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return models.Errorf(models.Conflict, "another %s has that name already", what)
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", what, err)
	}
	return nil
}

// forUpdate locks the rows it selects until the transaction ends. SQLite has
// one writer, so that the transaction itself is the lock.
func forUpdate(query *gorm.DB) *gorm.DB {
	return query.Clauses(clause.Locking{Strength: "UPDATE"})
}
