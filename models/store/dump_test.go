package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// awkward is what a text may hold.
const awkward = "\"double\" 'single' `tick` \\n \\ <&> %s $1 ? ;-- \r\n\t\u2028 ünï 漢 🙂 null"

// place is a database to dump or to restore into.
type place struct {
	open    func(ctx context.Context) (*Store, error)
	restore func(ctx context.Context, dumped Dumped, finish func(*Store) error) error
}

// eachEngine yields the engines that can be tested here.
func eachEngine() []engine {
	if testing.Short() {
		return []engine{engineSQLite}
	}
	return []engine{engineSQLite, enginePostgres}
}

// newPlace makes an empty database.
func newPlace(t *testing.T, kind engine) place {
	t.Helper()
	if kind == engineSQLite {
		path := filepath.Join(t.TempDir(), "sky.db")
		return place{
			open: func(ctx context.Context) (*Store, error) { return OpenSQLite(ctx, path) },
			restore: func(ctx context.Context, dumped Dumped, finish func(*Store) error) error {
				return RestoreSQLite(ctx, path, dumped, finish)
			},
		}
	}
	dsn := testenv.Postgres(t)
	return place{
		open: func(ctx context.Context) (*Store, error) { return OpenPostgres(ctx, dsn) },
		restore: func(ctx context.Context, dumped Dumped, finish func(*Store) error) error {
			return RestorePostgres(ctx, dsn, dumped, finish)
		},
	}
}

func (p place) opened(t *testing.T) *Store {
	t.Helper()
	s, err := p.open(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// kept is a dump in memory.
type kept struct {
	Dump
	tables map[string]*bytes.Buffer
}

func dumpOf(t *testing.T, s *Store) kept {
	t.Helper()
	k := kept{tables: map[string]*bytes.Buffer{}}
	var err error
	k.Dump, err = s.Dump(t.Context(), func(table string) (io.Writer, error) {
		k.tables[table] = &bytes.Buffer{}
		return k.tables[table], nil
	})
	require.NoError(t, err)
	return k
}

func (k kept) dumped() Dumped {
	return Dumped{Schema: k.Schema, Tables: k.Tables, Open: func(table string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(k.tables[table].Bytes())), nil
	}}
}

// lines are the rows of all tables; engines sort texts each in their own way.
func (k kept) lines() map[string][]string {
	sorted := map[string][]string{}
	for name, text := range k.tables {
		sorted[name] = slices.Sorted(strings.Lines(text.String()))
	}
	return sorted
}

func nothing(*Store) error { return nil }

// TestDumpRoundTrips fills every table that the schema has, so that one which is
// added is in the test from then on, and moves it from each engine to each.
func TestDumpRoundTrips(t *testing.T) {
	for _, from := range eachEngine() {
		source := newPlace(t, from).opened(t)
		fill(t, source)
		dump := dumpOf(t, source)
		require.Equal(t, string(from), dump.Engine)
		require.Contains(t, dump.tables["paas_nodes"].String(), `"join_hash":null`)
		require.Contains(t, dump.tables["paas_nodes"].String(), `"join_hash":""`, "empty is not null")
		for _, to := range eachEngine() {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				for _, table := range dump.Tables {
					require.Equal(t, 3, table.Rows, table.Name)
				}
				target := newPlace(t, to)
				require.NoError(t, target.restore(t.Context(), dump.dumped(), nothing))
				restored := target.opened(t) // as the next start does
				again := dumpOf(t, restored)
				require.Equal(t, dump.lines(), again.lines())
				require.Equal(t, dump.Tables, again.Tables)
				require.Equal(t, dump.Schema, again.Schema)
			})
		}
	}
}

// TestNoTableIsMissingFromADump: what the database lists, the dump has. A table
// without the prefix of ours is found here.
func TestNoTableIsMissingFromADump(t *testing.T) {
	for _, kind := range eachEngine() {
		s := newPlace(t, kind).opened(t)
		pool, err := s.pool()
		require.NoError(t, err)
		listed, err := column1(t.Context(), pool, introspections[kind].all)
		require.NoError(t, err)
		listed = slices.DeleteFunc(listed, func(name string) bool { return name == "goose_db_version" })
		var dumped []string
		for _, table := range dumpOf(t, s).Tables {
			dumped = append(dumped, table.Name)
		}
		require.ElementsMatch(t, listed, dumped, kind)
		newest, err := NewestSchema()
		require.NoError(t, err)
		require.Equal(t, newest, dumpOf(t, s).Schema)
	}
}

// TestEnginesHaveTheSameColumns holds the convention that dumps rest on.
func TestEnginesHaveTheSameColumns(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	schemas := map[engine]map[string]kind{}
	for _, kind := range eachEngine() {
		schemas[kind] = columnsOf(t, newPlace(t, kind).opened(t))
	}
	require.Equal(t, schemas[engineSQLite], schemas[enginePostgres])
}

func columnsOf(t *testing.T, s *Store) map[string]kind {
	t.Helper()
	pool, err := s.pool()
	require.NoError(t, err)
	tables, err := readSchema(t.Context(), pool, s.engine)
	require.NoError(t, err)
	columns := map[string]kind{}
	for _, table := range tables {
		for _, column := range table.columns {
			columns[table.name+"."+column.name] = column.kind
		}
	}
	return columns
}

func TestRestoreRefuses(t *testing.T) {
	source := newPlace(t, engineSQLite).opened(t)
	fill(t, source)
	dump := dumpOf(t, source)
	newer, fewer, foreign := dump.dumped(), dump.dumped(), dump.dumped()
	newer.Schema++
	fewer.Tables = fewer.Tables[1:]
	foreign.Open = func(table string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(`{"id":"x"}` + "\n")), nil
	}
	cut := dump.dumped()
	cut.Open = func(table string) (io.ReadCloser, error) {
		text := dump.tables[table].Bytes()
		return io.NopCloser(bytes.NewReader(text[:len(text)-1])), nil
	}
	for _, kind := range eachEngine() {
		target := newPlace(t, kind)
		for what, dumped := range map[string]Dumped{"newer": newer, "a table less": fewer, "other columns": foreign, "cut off": cut} {
			require.Error(t, target.restore(t.Context(), dumped, nothing), "%s %s", kind, what)
		}
		refused := errors.New("refused")
		require.ErrorIs(t, target.restore(t.Context(), dump.dumped(), func(*Store) error { return refused }), refused)
		require.NoError(t, target.restore(t.Context(), dump.dumped(), nothing), "%s: nothing was left behind", kind)
		err := target.restore(t.Context(), dump.dumped(), nothing)
		require.True(t, models.IsCode(err, models.Conflict), "%s: %v", kind, err)
		require.ErrorContains(t, err, "not empty")
	}
}

func TestRestoreLeavesOthersTablesAlone(t *testing.T) {
	for _, kind := range eachEngine() {
		target := newPlace(t, kind)
		s := target.opened(t)
		require.NoError(t, s.write.Exec("CREATE TABLE wordpress (id BIGINT)").Error)
		err := target.restore(t.Context(), dumpOf(t, s).dumped(), nothing)
		require.True(t, models.IsCode(err, models.Conflict), "%s: %v", kind, err)
		require.ErrorContains(t, err, "wordpress")
	}
}

// TestDumpIsOfOneMoment: a row that comes while the dump runs is in no table.
func TestDumpIsOfOneMoment(t *testing.T) {
	for _, kind := range eachEngine() {
		s := newPlace(t, kind).opened(t)
		fill(t, s)
		var last *bytes.Buffer
		_, err := s.Dump(t.Context(), func(table string) (io.Writer, error) {
			if last == nil { // the first table; events come later
				require.NoError(t, s.AppendEvent(t.Context(), &models.Event{ID: models.NewID(), Kind: "late"}))
			}
			last = &bytes.Buffer{}
			if table == "paas_events" {
				t.Cleanup(func() { require.NotContains(t, last.String(), "late", kind) })
			}
			return last, nil
		})
		require.NoError(t, err)
	}
}

func TestTablesInOrder(t *testing.T) {
	names := func(tables []table) (names []string) {
		for _, table := range tables {
			names = append(names, table.name)
		}
		return names
	}
	ordered, err := inOrder([]table{{name: "a", references: []string{"c", "a"}}, {name: "b"}, {name: "c", references: []string{"b"}}})
	require.NoError(t, err)
	require.Equal(t, []string{"b", "c", "a"}, names(ordered))
	_, err = inOrder([]table{{name: "a", references: []string{"b"}}, {name: "b", references: []string{"a"}}})
	require.ErrorContains(t, err, "circle")
}

func TestValuesHaveOneForm(t *testing.T) {
	at := time.Date(2026, 11, 22, 20, 40, 0, 120_000, time.FixedZone("", 3600))
	row := table{columns: []column{
		{"t", kindText}, {"i", kindInt}, {"b", kindBool}, {"s", kindBool}, {"f", kindFloat}, {"w", kindTime}, {"y", kindBytes}, {"e", kindBytes}, {"n", kindBytes},
	}}
	line, err := encodeRow(row, []any{"<🙂>", int64(math.MinInt64), true, int64(0), 0.1, at, []byte{0, 255}, []byte{}, nil})
	require.NoError(t, err)
	require.Equal(t, `{"t":"<🙂>","i":-9223372036854775808,"b":true,"s":false,"f":0.1,"w":"2026-11-22T19:40:00.000120Z","y":"AP8=","e":"","n":null}`+"\n", string(line))
	for kind, value := range map[kind]any{kindInt: "1", kindBool: int64(2), kindTime: "yesterday", kindBytes: true, kindText: int64(1), kindFloat: "x"} {
		_, err := encode(kind, value)
		require.Error(t, err, kind)
	}
}

// TestTextThatIsNoUTF8 survives in SQLite, and is readable in PostgreSQL.
func TestTextThatIsNoUTF8(t *testing.T) {
	line, err := encodeRow(table{columns: []column{{"t", kindText}}}, []any{"a\xff\x00b"})
	require.NoError(t, err)
	for to, want := range map[engine]string{engineSQLite: "a\xff\x00b", enginePostgres: "a\uFFFD\uFFFDb"} {
		values, err := (&Store{engine: to}).decodeRow(table{columns: []column{{"t", kindText}}}, line)
		require.NoError(t, err)
		require.Equal(t, []any{want}, values)
	}
}

func TestRaiseGenerations(t *testing.T) {
	for _, kind := range eachEngine() {
		s := newPlace(t, kind).opened(t)
		fill(t, s)
		require.NoError(t, s.write.Exec("UPDATE paas_nodes SET generation = 7").Error)
		require.NoError(t, s.RaiseGenerations(t.Context(), 1<<32))
		var generations []int64
		require.NoError(t, s.read.Raw("SELECT DISTINCT generation FROM paas_nodes").Scan(&generations).Error)
		require.Equal(t, []int64{7 + 1<<32}, generations, kind)
	}
}

// fill puts three rows into every table: the first has what may be null as null,
// the second empty bytes, the third the largest values.
func fill(t *testing.T, s *Store) {
	t.Helper()
	sample, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "sample.db"))
	require.NoError(t, err)
	defer sample.Close()
	pool, err := s.pool()
	require.NoError(t, err)
	tables, err := readSchema(t.Context(), pool, s.engine)
	require.NoError(t, err)
	f := filler{sample: sample, ids: map[string][]string{}}
	for _, table := range tables {
		for i := range 3 {
			values := f.row(t, table, i)
			insert := "INSERT INTO " + quote(table.name) + " (" + table.columnList() + ") VALUES (" + s.marks(len(values)) + ")"
			_, err := pool.ExecContext(t.Context(), insert, values...)
			require.NoError(t, err, "%s %v", table.name, values)
		}
	}
}

// filler makes rows that the schema's constraints allow.
type filler struct {
	sample *Store // says what they are
	ids    map[string][]string
}

func (f filler) row(t *testing.T, table table, i int) []any {
	t.Helper()
	parents := f.pairs(t, `SELECT "from", "table" FROM pragma_foreign_key_list(?)`, table.name)
	required := f.pairs(t, `SELECT name, "notnull" + pk FROM pragma_table_info(?)`, table.name)
	choices := f.choices(t, table.name)
	values := make([]any, len(table.columns))
	for n, column := range table.columns {
		_, references := parents[column.name]
		switch {
		case required[column.name] == "0" && i == 0 && column.name != "organisation_id":
		case references:
			values[n] = f.ids[parents[column.name]][i]
		case column.kind != kindInt && (column.name == "id" || strings.HasSuffix(column.name, "_id") || column.name == "approved_by"): // some hosts count
			values[n] = models.NewID().String()
		case choices[column.name] != "":
			values[n] = choices[column.name]
		default:
			values[n] = sampleOf(column.kind, table.name, i)
		}
		if column.name == "id" {
			f.ids[table.name] = append(f.ids[table.name], values[n].(string))
		}
	}
	return values
}

func sampleOf(kind kind, table string, i int) any {
	switch kind {
	case kindInt:
		return []int64{1, 42, math.MaxInt64}[i]
	case kindBool:
		return i%2 == 0
	case kindFloat:
		return []float64{0.1, -1, math.MaxFloat64}[i]
	case kindTime:
		return time.Date(2026, 11, 22, 23, 59, 59, []int{123_456_000, 999_999_000, 0}[i], time.UTC)
	case kindBytes:
		return [][]byte{[]byte(table), {}, {0, 1, 127, 128, 255, '\n', '"'}}[i]
	}
	return fmt.Sprintf("%s %s %d", awkward, table, i)
}

func (f filler) pairs(t *testing.T, query, table string) map[string]string {
	t.Helper()
	pool, err := f.sample.pool()
	require.NoError(t, err)
	rows, err := pool.QueryContext(t.Context(), query, table)
	require.NoError(t, err)
	defer rows.Close()
	pairs := map[string]string{}
	for rows.Next() {
		var key, value string
		require.NoError(t, rows.Scan(&key, &value))
		pairs[key] = value
	}
	require.NoError(t, rows.Err())
	return pairs
}

var choice = regexp.MustCompile(`CHECK \((\w+) IN \('([^']*)'`)

// choices are the columns that may hold only certain words, with one of these.
func (f filler) choices(t *testing.T, table string) map[string]string {
	t.Helper()
	words := map[string]string{}
	for _, text := range f.pairs(t, "SELECT name, sql FROM sqlite_schema WHERE name = ?", table) {
		for _, found := range choice.FindAllStringSubmatch(text, -1) {
			words[found[1]] = found[2]
		}
	}
	return words
}
