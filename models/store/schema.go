package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// table is what a database says of one of its tables.
type table struct {
	name       string
	columns    []column
	references []string // the tables that its foreign keys lead to
}

type column struct {
	name string
	kind kind
}

// kind is what a column's values are, whatever the engine calls it.
type kind string

const (
	kindText  kind = "text"
	kindInt   kind = "integer"
	kindBool  kind = "boolean"
	kindFloat kind = "float"
	kindTime  kind = "time"
	kindBytes kind = "bytes"
)

// kinds maps the types that our migrations use. SQLite knows no boolean: there
// "integer" is one, and numbers are "bigint".
var kinds = map[engine]map[string]kind{
	engineSQLite: {
		"text": kindText, "bigint": kindInt, "integer": kindBool, "real": kindFloat, "datetime": kindTime, "blob": kindBytes,
	},
	enginePostgres: {
		"text": kindText, "uuid": kindText, "bigint": kindInt, "integer": kindInt, "boolean": kindBool,
		"double precision": kindFloat, "timestamp with time zone": kindTime, "bytea": kindBytes,
	},
}

// introspection is how each engine is asked for its schema.
type introspection struct{ all, ours, columns, references string }

var introspections = map[engine]introspection{
	engineSQLite: {
		all:        `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`,
		ours:       `SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'paas\_%' ESCAPE '\' ORDER BY name`,
		columns:    `SELECT name, lower(type) FROM pragma_table_info(?) ORDER BY cid`,
		references: `SELECT DISTINCT "table" FROM pragma_foreign_key_list(?) ORDER BY 1`,
	},
	enginePostgres: {
		all: `SELECT table_name::text FROM information_schema.tables
			WHERE table_schema = current_schema() ORDER BY 1`,
		ours: `SELECT table_name::text FROM information_schema.tables
			WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name LIKE 'paas\_%' ORDER BY 1`,
		columns: `SELECT column_name::text, data_type::text FROM information_schema.columns
			WHERE table_schema = current_schema() AND table_name = $1 ORDER BY ordinal_position`,
		references: `SELECT DISTINCT parent.relname::text FROM pg_constraint c
			JOIN pg_class child ON child.oid = c.conrelid JOIN pg_class parent ON parent.oid = c.confrelid
			WHERE c.contype = 'f' AND child.relname = $1 AND child.relnamespace = current_schema()::regnamespace ORDER BY 1`,
	},
}

// readSchema returns every table of ours, each behind those that it references.
func readSchema(ctx context.Context, db gorm.ConnPool, kind engine) ([]table, error) {
	ask := introspections[kind]
	names, err := column1(ctx, db, ask.ours)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	tables := make([]table, len(names))
	for i, name := range names {
		tables[i].name = name
		if tables[i].columns, err = readColumns(ctx, db, kind, name); err != nil {
			return nil, err
		}
		if tables[i].references, err = column1(ctx, db, ask.references, name); err != nil {
			return nil, fmt.Errorf("read what %s references: %w", name, err)
		}
	}
	return inOrder(tables)
}

func readColumns(ctx context.Context, db gorm.ConnPool, kind engine, name string) ([]column, error) {
	rows, err := db.QueryContext(ctx, introspections[kind].columns, name)
	if err != nil {
		return nil, fmt.Errorf("read the columns of %s: %w", name, err)
	}
	defer rows.Close()
	var columns []column
	for rows.Next() {
		read, engineType := column{}, ""
		if err := rows.Scan(&read.name, &engineType); err != nil {
			return nil, fmt.Errorf("read the columns of %s: %w", name, err)
		}
		known := false
		if read.kind, known = kinds[kind][engineType]; !known {
			return nil, fmt.Errorf("a backup does not know the type %q of %s.%s", engineType, name, read.name)
		}
		columns = append(columns, read)
	}
	return columns, rows.Err()
}

// inOrder sorts tables so that each comes behind those that it references. One
// that references itself is inserted in the order of its ids, which is the order
// in which its rows were made.
func inOrder(tables []table) ([]table, error) {
	var ordered []table
	placed := map[string]bool{}
	for len(ordered) < len(tables) {
		before := len(ordered)
		for _, candidate := range tables {
			waits := slices.ContainsFunc(candidate.references, func(parent string) bool {
				return parent != candidate.name && !placed[parent]
			})
			if !waits && !placed[candidate.name] {
				ordered = append(ordered, candidate)
				placed[candidate.name] = true
			}
		}
		if len(ordered) == before {
			return nil, fmt.Errorf("tables reference one another in a circle, so that no order of insertion exists")
		}
	}
	return ordered, nil
}

// column1 returns the texts that a query yields.
func column1(ctx context.Context, db gorm.ConnPool, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		text := ""
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, rows.Err()
}

// count returns how many rows a table of ours has.
func (t table) count(ctx context.Context, db gorm.ConnPool) (int, error) {
	count := 0
	err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+quote(t.name)).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count the rows of %s: %w", t.name, err)
	}
	return count, nil
}

func (t table) columnList() string {
	names := make([]string, len(t.columns))
	for i, column := range t.columns {
		names[i] = quote(column.name)
	}
	return strings.Join(names, ", ")
}

// quote writes a name that the schema gave as SQL.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
