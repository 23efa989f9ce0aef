package store_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

func candidate(database, address string) *store.Candidate {
	return &store.Candidate{Database: database, Address: address, Log: slog.New(slog.DiscardHandler)}
}

// breakSession ends the leader's session with the database, as a broken network would.
func breakSession(t *testing.T, database string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'sky leader%'`)
	require.NoError(t, err)
}

// leaders counts the sessions that lead.
func leaders(t *testing.T, database string) (count int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
		AND application_name LIKE 'sky leader%'`).Scan(&count))
	return count
}

func TestOneLeads(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	first, second := candidate(database, "a:1"), candidate(database, "b:1")
	lead, err := first.Lead(t.Context())
	require.NoError(t, err)
	_, err = second.Lead(t.Context())
	require.ErrorIs(t, err, store.ErrLed)
	require.ErrorContains(t, err, "a:1")

	won := make(chan *store.Leadership)
	go func() {
		next, _ := second.Await(context.WithoutCancel(t.Context()))
		won <- next
	}()
	require.NoError(t, lead.Close())
	next := <-won
	require.Equal(t, "b:1", second.Leader())
	select {
	case <-lead.Lost():
		t.Fatal("what is given up is not lost")
	default:
	}
	require.NoError(t, next.Close())
}

func TestFormerLeaderWritesNothing(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	former, err := candidate(database, "a:1").Lead(t.Context())
	require.NoError(t, err)
	its, err := former.Open(t.Context())
	require.NoError(t, err)
	defer its.Close()

	var next *store.Leadership
	err = its.Transact(t.Context(), func(tx *store.Store) error {
		if err := tx.CreateNode(t.Context(), &models.Node{ID: models.NewID(), Name: "late", State: models.NodeOffline}); err != nil {
			return err
		}
		breakSession(t, database)
		var err error
		next, err = candidate(database, "b:1").Await(t.Context())
		return err
	})
	require.Error(t, err, "a transaction that began before")
	require.NotNil(t, next, err)
	<-former.Lost()
	require.Error(t, its.Ping(t.Context()), "a new session")

	theirs, err := next.Open(t.Context())
	require.NoError(t, err)
	nodes, err := theirs.Nodes(t.Context())
	require.NoError(t, err)
	require.Empty(t, nodes)
	require.NoError(t, theirs.Close())
	require.NoError(t, next.Close())
}

func TestLoneControlPlaneLeadsAgain(t *testing.T) {
	t.Parallel()
	database := testenv.Postgres(t)
	lone, err := candidate(database, "").Lead(t.Context())
	require.NoError(t, err)
	its, err := lone.Open(t.Context())
	require.NoError(t, err)
	breakSession(t, database)
	require.Eventually(t, func() bool { return leaders(t, database) == 1 }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		_, err := its.Nodes(t.Context())
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	_, err = candidate(database, "b:1").Lead(t.Context())
	require.ErrorIs(t, err, store.ErrLed)
	require.NoError(t, its.Close())
	require.NoError(t, lone.Close())
}
