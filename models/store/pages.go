package store

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// cursor is where a page ended: the value that it is sorted by, and the id,
// which makes the order total.
type cursor struct {
	Sort  string `json:"s"`
	Value string `json:"v"`
	ID    string `json:"i"`
}

var errCursor = models.Errorf(models.Invalid, "that is not a cursor of this list").WithField("cursor").
	WithRemedy("pass `next` of the page before, with the same sort")

// page reads one page of what the query matches. sorts are the columns that it
// may be sorted by; the first is the order when none is asked for. T has an ID.
func page[T any](query *gorm.DB, ask models.PageRequest, what string, sorts ...string) (models.Page[T], error) {
	order := ask.Sort
	if order == "" {
		order = sorts[0]
	}
	column, descending := strings.CutPrefix(order, "-")
	if !slices.Contains(sorts, column) && !slices.Contains(sorts, "-"+column) {
		return models.Page[T]{}, models.Errorf(models.Invalid, "%s are not sorted by %q", what, column).WithField("sort").
			WithRemedy("use %s, with - before it to turn it round", strings.ReplaceAll(strings.Join(sorts, ", "), "-", ""))
	}
	var row T
	parsed := &gorm.Statement{DB: query}
	if err := parsed.Parse(&row); err != nil {
		return models.Page[T]{}, fmt.Errorf("list %s: %w", what, err)
	}
	field := parsed.Schema.LookUpField(column)
	if ask.Cursor != "" {
		var err error
		if query, err = behind(query, ask.Cursor, order, field); err != nil {
			return models.Page[T]{}, err
		}
	}
	limit := ask.Limit
	if limit <= 0 {
		limit = models.DefaultPage
	}
	rows, err := all[T](ordered(query, column, descending).Limit(limit+1), what)
	if err != nil || len(rows) <= limit {
		return models.Page[T]{Items: rows}, err
	}
	next, err := cursorAt(query, parsed.Schema, field, order, rows[limit-1])
	return models.Page[T]{Items: rows[:limit], Next: next}, err
}

// ordered sorts by the column, and by the id where that leaves a choice.
func ordered(query *gorm.DB, column string, descending bool) *gorm.DB {
	direction := ""
	if descending {
		direction = " DESC"
	}
	query = query.Order(column + direction)
	if column != "id" {
		query = query.Order("id" + direction)
	}
	return query
}

// behind restricts the query to the rows that come after the cursor.
func behind(query *gorm.DB, text, order string, field *schema.Field) (*gorm.DB, error) {
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	at := cursor{}
	if err != nil || json.Unmarshal(decoded, &at) != nil || at.Sort != order {
		return nil, errCursor
	}
	id, err := models.ParseID(at.ID)
	if err != nil {
		return nil, errCursor
	}
	sign := ">"
	if strings.HasPrefix(order, "-") {
		sign = "<"
	}
	if field.DBName == "id" {
		return query.Where("id "+sign+" ?", id), nil
	}
	value, err := fromCursor(at.Value, field)
	if err != nil {
		return nil, errCursor
	}
	return query.Where(fmt.Sprintf("(%s, id) %s (?, ?)", field.DBName, sign), value, id), nil
}

func fromCursor(text string, field *schema.Field) (any, error) {
	switch field.DataType {
	case schema.Time:
		return time.Parse(time.RFC3339Nano, text)
	case schema.Int, schema.Uint:
		var number int64
		_, err := fmt.Sscan(text, &number)
		return number, err
	case schema.String:
		if strings.ContainsRune(text, 0) || !utf8.ValidString(text) { // PostgreSQL knows no such text
			return nil, errors.New("not a text")
		}
		return text, nil
	default:
		return nil, errors.New("not a column to sort by")
	}
}

func cursorAt(query *gorm.DB, parsed *schema.Schema, field *schema.Field, order string, row any) (string, error) {
	ctx, value := query.Statement.Context, reflect.ValueOf(row)
	id, _ := parsed.LookUpField("id").ValueOf(ctx, value)
	sorted, _ := field.ValueOf(ctx, value)
	at := cursor{Sort: order, Value: fmt.Sprint(sorted), ID: fmt.Sprint(id)}
	if when, ok := sorted.(time.Time); ok {
		at.Value = when.Format(time.RFC3339Nano)
	}
	text, err := json.Marshal(at)
	if err != nil {
		return "", fmt.Errorf("encode cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}

// containing matches rows that have text in one of the columns, whatever its
// case.
func containing(query *gorm.DB, text string, columns ...string) *gorm.DB {
	if text == "" {
		return query
	}
	pattern := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(text)) + "%"
	var parts []string
	var values []any
	for _, column := range columns {
		parts = append(parts, "LOWER("+column+`) LIKE ? ESCAPE '\'`)
		values = append(values, pattern)
	}
	return query.Where("("+strings.Join(parts, " OR ")+")", values...)
}

// count returns how many rows the query matches.
func count(query *gorm.DB, what string) (int64, error) {
	var number int64
	if err := query.Count(&number).Error; err != nil {
		return 0, fmt.Errorf("count %s: %w", what, err)
	}
	return number, nil
}
