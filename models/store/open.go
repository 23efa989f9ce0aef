package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/skypanel/sky/models/store/migrations"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // database/sql driver "sqlite"
)

const (
	sqliteReaders   = 8
	postgresMaxOpen = 20
)

// OpenSQLite opens the database file, makes it where it is missing, and brings
// its schema up to date.
func OpenSQLite(ctx context.Context, path string) (*Store, error) {
	writer, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	reader, err := sql.Open("sqlite", sqliteDSN(path, true))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), writer.Close())
	}
	reader.SetMaxOpenConns(sqliteReaders)
	return open(ctx, engineSQLite, sqliteDialector{writer}, sqliteDialector{reader})
}

// sqliteDSN asks for a write-ahead log that survives power loss. Writers begin
// immediate transactions: a deferred one cannot be upgraded under contention.
func sqliteDSN(path string, readOnly bool) string {
	query := url.Values{}
	for _, pragma := range []string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-4000)",
	} {
		query.Add("_pragma", pragma)
	}
	query.Set("_txlock", "immediate")
	if readOnly {
		query.Add("_pragma", "query_only(1)")
		query.Set("_txlock", "deferred")
	}
	query.Set("_time_format", "sqlite")
	query.Set("_timezone", "UTC")
	return "file:" + url.PathEscape(path) + "?" + query.Encode()
}

// OpenPostgres connects to the database at dsn and brings its schema up to
// date; several processes may do so at once.
func OpenPostgres(ctx context.Context, dsn string) (*Store, error) {
	dialector, err := postgresDialector(dsn)
	if err != nil {
		return nil, err
	}
	return open(ctx, enginePostgres, dialector, nil)
}

func postgresDialector(dsn string) (gorm.Dialector, error) {
	config, err := parsePostgres(dsn)
	if err != nil {
		return nil, err
	}
	return pooled(config, scanTimesAsUTC), nil
}

func parsePostgres(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the database URL cannot be read") // err would show the password
	}
	return config, nil
}

// pooled has every new session begin with a call of begin.
func pooled(config *pgx.ConnConfig, begin func(context.Context, *pgx.Conn) error) gorm.Dialector {
	pool := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(begin))
	pool.SetMaxOpenConns(postgresMaxOpen)
	pool.SetMaxIdleConns(postgresMaxOpen)
	return postgres.New(postgres.Config{Conn: pool})
}

func scanTimesAsUTC(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID, Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
	return nil
}

// open connects and migrates. Without a reader of its own, reads share the
// writer's pool.
func open(ctx context.Context, kind engine, writer, reader gorm.Dialector) (*Store, error) {
	write, err := gorm.Open(writer, config())
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	s := &Store{write: write, read: write, engine: kind}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if reader != nil {
		if s.read, err = gorm.Open(reader, config()); err != nil {
			return nil, fmt.Errorf("connect to the database for reading: %w", err)
		}
	}
	return s, nil
}

func (s *Store) migrate(ctx context.Context) error {
	provider, err := s.provider()
	if err != nil {
		return err
	}
	if err := refuseNewerSchema(ctx, provider); err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// provider carries out the engine's migrations.
func (s *Store) provider() (*goose.Provider, error) {
	pool, err := s.pool()
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations.FS, string(s.engine))
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	dialect, options, err := s.gooseOptions()
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(dialect, pool, files, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return provider, nil
}

func (s *Store) gooseOptions() (goose.Dialect, []goose.ProviderOption, error) {
	if s.engine == engineSQLite {
		return goose.DialectSQLite3, nil, nil
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return "", nil, fmt.Errorf("lock migrations: %w", err)
	}
	return goose.DialectPostgres, []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

// refuseNewerSchema keeps an old binary away from a schema that it does not
// know.
func refuseNewerSchema(ctx context.Context, provider *goose.Provider) error {
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("the database has schema %d, this sky knows up to %d: run a newer sky", current, target)
	}
	return nil
}
