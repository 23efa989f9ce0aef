package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/skypanel/sky/models/store/migrations"
	"gorm.io/gorm"
)

// Dump says what a dump holds.
type Dump struct {
	// Engine is where it comes from; it may be restored into either.
	Engine string
	// Schema is the number of the newest migration that the database has.
	Schema int64
	// Tables are those of ours, in an order in which they can be inserted.
	Tables []DumpedTable
}

// DumpedTable is one table of a Dump.
type DumpedTable struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
}

// NewestSchema is the newest schema that this program knows.
func NewestSchema() (int64, error) {
	entries, err := migrations.FS.ReadDir(string(engineSQLite))
	if err != nil {
		return 0, fmt.Errorf("find migrations: %w", err)
	}
	newest := int64(0)
	for _, entry := range entries {
		digits, _, _ := bytes.Cut([]byte(entry.Name()), []byte("_"))
		number, err := strconv.ParseInt(string(digits), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("number of migration %s: %w", entry.Name(), err)
		}
		newest = max(newest, number)
	}
	return newest, nil
}

// Dump writes all rows of every table whose name begins with "paas_", as the
// database itself lists them, to the writer that open returns for the table: a
// line of JSON for each row, its columns by name. All rows are of one moment;
// others may write meanwhile.
func (s *Store) Dump(ctx context.Context, open func(table string) (io.Writer, error)) (Dump, error) {
	tx, err := s.beginSnapshot(ctx)
	if err != nil {
		return Dump{}, fmt.Errorf("begin snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // it has written nothing
	dump := Dump{Engine: string(s.engine)}
	applied := "SELECT MAX(version_id) FROM goose_db_version"
	if err := tx.QueryRowContext(ctx, applied).Scan(&dump.Schema); err != nil {
		return Dump{}, fmt.Errorf("read schema version: %w", err)
	}
	tables, err := readSchema(ctx, tx, s.engine)
	if err != nil {
		return Dump{}, err
	}
	for _, table := range tables {
		rows, err := dumpTable(ctx, tx, table, open)
		if err != nil {
			return Dump{}, fmt.Errorf("dump %s: %w", table.name, err)
		}
		dump.Tables = append(dump.Tables, DumpedTable{table.name, rows})
	}
	return dump, nil
}

// beginSnapshot begins a transaction that sees one moment, and holds nobody up.
func (s *Store) beginSnapshot(ctx context.Context) (*sql.Tx, error) {
	pool, err := s.read.DB()
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return pool.BeginTx(ctx, s.snapshotOptions())
}

func dumpTable(ctx context.Context, db gorm.ConnPool, table table, open func(table string) (io.Writer, error)) (int, error) {
	to, err := open(table.name)
	if err != nil {
		return 0, err
	}
	rows, err := db.QueryContext(ctx, "SELECT "+table.columnList()+" FROM "+quote(table.name)+" ORDER BY 1, 2")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	values, count := make([]any, len(table.columns)), 0
	targets := make([]any, len(values))
	for i := range values {
		targets[i] = &values[i]
	}
	for ; rows.Next(); count++ {
		if err := rows.Scan(targets...); err != nil {
			return count, err
		}
		line, err := encodeRow(table, values)
		if err != nil {
			return count, err
		}
		if _, err := to.Write(line); err != nil {
			return count, err
		}
	}
	return count, rows.Err()
}

// encodeRow writes one row, its columns in the order that the table has them.
func encodeRow(table table, values []any) ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	for i, column := range table.columns {
		_ = line.WriteByte("{,"[min(i, 1)])
		value, err := encode(column.kind, values[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", column.name, err)
		}
		for _, part := range []any{column.name, value} {
			if err := encoder.Encode(part); err != nil {
				return nil, fmt.Errorf("%s: %w", column.name, err)
			}
			line.Truncate(line.Len() - 1) // the encoder ends what it writes with a line feed
			_ = line.WriteByte(':')
		}
		line.Truncate(line.Len() - 1)
	}
	_, _ = line.WriteString("}\n")
	return line.Bytes(), nil
}
