package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A dump writes values in one form, whatever engine they come from: text and
// ids as strings, numbers as numbers, booleans as booleans, times as RFC 3339 in
// UTC with microseconds, bytes as base64. Text that is no UTF-8 is an object with
// its bytes.

const timeForm = "2006-01-02T15:04:05.000000Z"

// rawText is text that JSON cannot hold.
type rawText struct {
	Bytes []byte `json:"bytes"`
}

// encode returns the form of a value that the engine scanned.
func encode(kind kind, value any) (any, error) {
	switch scanned := value.(type) {
	case nil:
		return nil, nil
	case time.Time:
		if kind == kindTime {
			return scanned.UTC().Format(timeForm), nil
		}
	case []byte:
		if kind == kindBytes {
			return base64.StdEncoding.EncodeToString(scanned), nil
		}
		return encode(kind, string(scanned))
	case string:
		if kind == kindText && !utf8.ValidString(scanned) {
			return rawText{[]byte(scanned)}, nil
		}
		if kind == kindText {
			return scanned, nil
		}
	case bool:
		if kind == kindBool {
			return scanned, nil
		}
	case int64:
		if kind == kindBool && (scanned == 0 || scanned == 1) {
			return scanned == 1, nil
		}
		if kind == kindInt || kind == kindFloat {
			return scanned, nil
		}
	case float64:
		if kind == kindFloat {
			return scanned, nil
		}
	}
	return nil, fmt.Errorf("%T is no %s", value, kind)
}

// decode returns what to give an engine for a value of a dump. PostgreSQL's text
// is UTF-8 without NUL: what else a text holds becomes U+FFFD there.
func decode(kind kind, to engine, text json.RawMessage) (any, error) {
	if string(text) == "null" {
		return nil, nil
	}
	switch kind {
	case kindText:
		return decodeText(to, text)
	case kindInt:
		return as[int64](text)
	case kindBool:
		return as[bool](text)
	case kindFloat:
		return as[float64](text)
	case kindTime:
		written, err := as[string](text)
		if err != nil {
			return nil, err
		}
		return time.Parse(timeForm, written)
	case kindBytes:
		return as[[]byte](text)
	}
	return nil, fmt.Errorf("unknown kind %q", kind)
}

func as[T any](text json.RawMessage) (T, error) {
	var value T
	err := json.Unmarshal(text, &value)
	return value, err
}

func decodeText(to engine, text json.RawMessage) (any, error) {
	var written string
	if strings.HasPrefix(string(text), "{") {
		raw, err := as[rawText](text)
		if err != nil {
			return nil, err
		}
		written = string(raw.Bytes)
	} else if err := json.Unmarshal(text, &written); err != nil {
		return nil, err
	}
	if to == enginePostgres {
		written = strings.ReplaceAll(strings.ToValidUTF8(written, "\uFFFD"), "\x00", "\uFFFD")
	}
	return written, nil
}
