package store_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

const replicaOf = "SKY_TEST_REPLICA_OF"

// TestReplica is not a test of its own: TestReplicasMigrateAtOnce runs it.
func TestReplica(t *testing.T) {
	address := os.Getenv(replicaOf)
	if address == "" {
		t.Skip("TestReplicasMigrateAtOnce runs it")
	}
	s, err := store.OpenPostgres(t.Context(), address)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestReplicasMigrateAtOnce: four processes open an empty PostgreSQL at once,
// and all come up on the same schema, which is applied once.
func TestReplicasMigrateAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("-short")
	}
	address := testenv.Postgres(t)
	replicas := make([]*exec.Cmd, 4)
	for i := range replicas {
		replicas[i] = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReplica$")
		replicas[i].Env = append(os.Environ(), replicaOf+"="+address)
		replicas[i].Stdout, replicas[i].Stderr = t.Output(), t.Output()
		require.NoError(t, replicas[i].Start())
	}
	for _, replica := range replicas {
		require.NoError(t, replica.Wait())
	}
	s, err := store.OpenPostgres(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	applied, err := s.Applied(t.Context())
	require.NoError(t, err)
	newest, err := store.NewestSchema()
	require.NoError(t, err)
	want := make([]int64, 0, newest+1)
	for version := range newest + 1 { // 0 is goose's own
		want = append(want, version)
	}
	require.Equal(t, want, applied, "each migration was applied once, in order")
}
