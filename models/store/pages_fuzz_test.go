package store_test

import (
	"encoding/base64"
	"path/filepath"
	"testing"

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

var hostileCursors = []string{
	`{"s":"name","v":"a","i":"01a2054c-34e9-7daa-9ca4-ac8d8808b228"}`, `{"s":"-created_at","v":"2026-11-22T10:00:00Z","i":"01a2054c-34e9-7daa-9ca4-ac8d8808b228"}`,
	`{"s":"created_at","v":"9999999-99-99","i":"01a2054c-34e9-7daa-9ca4-ac8d8808b228"}`, `{"s":"created_at","v":"0000-01-01T00:00:00Z","i":"01a2054c-34e9-7daa-9ca4-ac8d8808b228"}`,
	`{"s":"name","v":"\u0000","i":"01a2054c-34e9-7daa-9ca4-ac8d8808b228"}`, `{"s":"name","v":"' OR 1=1 --","i":"01a2054c-34e9-7daa-9ca4-ac8d8808b228"}`,
	`{"s":"name"}`, `{}`, `null`, `[]`, `"a"`, "\x00", "", `{"s":"password","v":"a","i":"x"}`,
}

// FuzzCursor: a cursor that somebody made up is refused by its name, or is as
// good as one of ours; it is never a fault of Sky's.
func FuzzCursor(f *testing.F) {
	s, err := store.OpenSQLite(f.Context(), filepath.Join(f.TempDir(), "sky.db"))
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, s.Close()) })
	for _, text := range hostileCursors {
		f.Add(text, "name")
		f.Add(text, "-created_at")
	}
	f.Fuzz(func(t *testing.T, text, sort string) { requireRefused(t, s, text, sort) })
}

// TestHostileCursors asks PostgreSQL too, which is stricter about text.
func TestHostileCursors(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	s, err := store.OpenPostgres(t.Context(), testenv.Postgres(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for _, text := range hostileCursors {
		for _, sort := range []string{"name", "-name", "created_at", "-created_at", ""} {
			requireRefused(t, s, text, sort)
		}
	}
}

func requireRefused(t *testing.T, s *store.Store, text, sort string) {
	t.Helper()
	for _, cursor := range []string{text, base64.RawURLEncoding.EncodeToString([]byte(text))} {
		_, err := s.Apps(t.Context(), store.AppFilter{}, models.PageRequest{Cursor: cursor, Sort: sort})
		if err == nil {
			continue
		}
		refused := models.AsError(err)
		require.NotNil(t, refused, "%q by %q: %v", text, sort, err)
		require.Equal(t, models.Invalid, refused.Code)
		require.Contains(t, []string{"cursor", "sort"}, refused.Field)
	}
}
