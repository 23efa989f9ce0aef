package store

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
)

// Dumped is a dump to restore.
type Dumped struct {
	Schema int64
	Tables []DumpedTable
	// Open returns the rows that Dump wrote of a table.
	Open func(table string) (io.ReadCloser, error)
}

// RestoreSQLite makes a database file of a dump. finish is called when all rows
// are in, in their transaction: its error undoes all.
func RestoreSQLite(ctx context.Context, path string, dumped Dumped, finish func(tx *Store) error) error {
	pool, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(1)
	return restore(ctx, engineSQLite, sqliteDialector{pool}, dumped, finish)
}

// RestorePostgres is RestoreSQLite into the database at dsn, which must be
// empty: it has no tables, or those of a restore that was killed, without a row.
func RestorePostgres(ctx context.Context, dsn string, dumped Dumped, finish func(tx *Store) error) error {
	dialector, err := postgresDialector(dsn)
	if err != nil {
		return err
	}
	return restore(ctx, enginePostgres, dialector, dumped, finish)
}

// restore gives the database the dump's schema, fills it in one transaction, and
// leaves newer migrations to the next Open.
func restore(ctx context.Context, kind engine, dialector gorm.Dialector, dumped Dumped, finish func(tx *Store) error) error {
	db, err := gorm.Open(dialector, config())
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	s := &Store{write: db, read: db, engine: kind}
	err = s.makeSchema(ctx, dumped.Schema)
	if err == nil {
		err = s.Transact(ctx, func(tx *Store) error {
			if err := tx.load(ctx, dumped); err != nil {
				return err
			}
			return finish(tx)
		})
	}
	pool, poolErr := s.pool()
	if poolErr != nil {
		return errors.Join(err, poolErr)
	}
	return errors.Join(err, pool.Close())
}

// errNotEmpty refuses a database that somebody uses.
func errNotEmpty(what string) error {
	return models.Errorf(models.Conflict, "the database is not empty: %s", what).WithField("database-url").
		WithRemedy("restore into a database that was just created; nothing was changed")
}

// makeSchema brings an empty database to the dump's schema.
func (s *Store) makeSchema(ctx context.Context, schema int64) error {
	pool, err := s.pool()
	if err != nil {
		return err
	}
	if err := s.checkEmpty(ctx, pool); err != nil {
		return err
	}
	provider, err := s.provider()
	if err != nil {
		return err
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if schema > newest {
		return models.Errorf(models.Conflict, "the dump has schema %d, this sky knows up to %d", schema, newest).
			WithRemedy("restore it with a newer sky")
	}
	if current > schema {
		return errNotEmpty(fmt.Sprintf("it has schema %d, newer than the backup's %d", current, schema))
	}
	if _, err := provider.UpTo(ctx, schema); err != nil {
		return fmt.Errorf("make the schema: %w", err)
	}
	return nil
}

// checkEmpty refuses tables that are not ours, and rows.
func (s *Store) checkEmpty(ctx context.Context, db gorm.ConnPool) error {
	names, err := column1(ctx, db, introspections[s.engine].all)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "paas_") && name != "goose_db_version" {
			return errNotEmpty("it has a table " + name)
		}
	}
	tables, err := readSchema(ctx, db, s.engine)
	if err != nil {
		return err
	}
	for _, table := range tables {
		if rows, err := table.count(ctx, db); err != nil {
			return err
		} else if rows > 0 {
			return errNotEmpty(table.name + " has rows")
		}
	}
	return nil
}

// load inserts all rows of the dump. It runs in a transaction.
func (s *Store) load(ctx context.Context, dumped Dumped) error {
	db := s.write.Statement.ConnPool
	tables, err := readSchema(ctx, db, s.engine)
	if err != nil {
		return err
	}
	if err := sameTables(tables, dumped.Tables); err != nil {
		return err
	}
	if err := s.lockTables(ctx, db, tables); err != nil {
		return err
	}
	if err := s.checkEmpty(ctx, db); err != nil {
		return err
	}
	for _, table := range tables {
		if err := s.loadTable(ctx, db, table, dumped); err != nil {
			return fmt.Errorf("restore %s: %w", table.name, err)
		}
	}
	return nil
}

// lockTables keeps others from filling the tables meanwhile. SQLite's writer is
// alone. It waits a little: the transaction of a killed restore may be ending.
func (s *Store) lockTables(ctx context.Context, db gorm.ConnPool, tables []table) error {
	if s.engine == engineSQLite {
		return nil
	}
	if _, err := db.ExecContext(ctx, "SET LOCAL lock_timeout = '10s'"); err != nil {
		return fmt.Errorf("lock tables: %w", err)
	}
	for _, table := range tables {
		if _, err := db.ExecContext(ctx, "LOCK TABLE "+quote(table.name)+" IN EXCLUSIVE MODE"); err != nil {
			return errors.Join(errNotEmpty("another program uses "+table.name), err)
		}
	}
	return nil
}

func sameTables(tables []table, dumped []DumpedTable) error {
	names := func(n int, name func(i int) string) []string {
		var names []string
		for i := range n {
			names = append(names, name(i))
		}
		slices.Sort(names)
		return names
	}
	wanted := names(len(tables), func(i int) string { return tables[i].name })
	found := names(len(dumped), func(i int) string { return dumped[i].Name })
	if slices.Equal(wanted, found) {
		return nil
	}
	return models.Errorf(models.Invalid, "the dump has the tables %s, its schema has %s", strings.Join(found, " "), strings.Join(wanted, " "))
}

func (s *Store) loadTable(ctx context.Context, db gorm.ConnPool, table table, dumped Dumped) error {
	insert, err := db.PrepareContext(ctx, "INSERT INTO "+quote(table.name)+" ("+table.columnList()+") VALUES ("+s.marks(len(table.columns))+")")
	if err != nil {
		return err
	}
	defer insert.Close()
	from, err := dumped.Open(table.name)
	if err != nil {
		return err
	}
	defer from.Close()
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		values, err := s.decodeRow(table, line)
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
}

// marks are the places of n values in a statement.
func (s *Store) marks(n int) string {
	marks := make([]string, n)
	for i := range marks {
		marks[i] = "?"
		if s.engine == enginePostgres {
			marks[i] = fmt.Sprintf("$%d", i+1)
		}
	}
	return strings.Join(marks, ", ")
}

func (s *Store) decodeRow(table table, line []byte) ([]any, error) {
	row := map[string]json.RawMessage{}
	if err := json.Unmarshal(bytes.TrimSpace(line), &row); err != nil {
		return nil, fmt.Errorf("read row: %w", err)
	}
	values := make([]any, len(table.columns))
	for i, column := range table.columns {
		text, present := row[column.name]
		if !present {
			return nil, fmt.Errorf("a row lacks the column %s", column.name)
		}
		var err error
		if values[i], err = decode(column.kind, s.engine, text); err != nil {
			return nil, fmt.Errorf("%s: %w", column.name, err)
		}
	}
	if len(row) != len(table.columns) {
		return nil, errors.New("a row has a column that the table lacks")
	}
	return values, nil
}

// RaiseGenerations counts the Assignments of every Node up by by, so that an
// agent that has seen newer ones than the database knows of takes the next.
func (s *Store) RaiseGenerations(ctx context.Context, by int64) error {
	query := s.writer(ctx).Model(&models.Node{}).Where("1 = 1").UpdateColumn("generation", gorm.Expr("generation + ?", by))
	if query.Error != nil {
		return fmt.Errorf("raise generations: %w", query.Error)
	}
	return nil
}
