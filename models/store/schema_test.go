package store_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

// TestModelsMatchTheSchema: every table has a model, every model a table, and
// both have the same columns, on both engines.
func TestModelsMatchTheSchema(t *testing.T) {
	engines(t, func(t *testing.T, s *store.Store) {
		tables, err := s.Columns(t.Context())
		require.NoError(t, err)
		modelled, err := store.ModelColumns()
		require.NoError(t, err)
		require.Equal(t, slices.Sorted(maps.Keys(modelled)), slices.Sorted(maps.Keys(tables)))
		for table, columns := range tables {
			require.ElementsMatch(t, modelled[table], columns, table)
		}
	})
}
