package platform

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

// gate is a Platform of which only the doors work: who may come in, and how.
type gate struct {
	*Platform
	dir    string
	logged *syncBuffer
	admin  models.Actor
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newGate(t *testing.T, database *store.Store) *gate {
	t.Helper()
	g := &gate{dir: t.TempDir(), logged: &syncBuffer{}}
	vault, err := OpenVault(filepath.Join(g.dir, "master.json"), false)
	require.NoError(t, err)
	g.Platform = &Platform{
		Store: database, Vault: vault, Log: slog.New(slog.NewTextHandler(g.logged, nil)),
		Settings: Settings{PublicURL: "https://sky.test", Domain: "sky.test", DataDir: g.dir},
	}
	g.access().hasher = newHasher(64) // what costs an attacker costs the race detector more
	file := filepath.Join(g.dir, "token")
	require.NoError(t, g.EnsureAdmin(t.Context(), file))
	token, err := ReadTokenFile(file)
	require.NoError(t, err)
	g.admin, err = g.ActorByToken(t.Context(), token)
	require.NoError(t, err)
	return g
}

func sqliteGate(t *testing.T) *gate {
	t.Helper()
	database, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "sky.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, database.Close()) })
	return newGate(t, database)
}

// gates runs test on both engines.
func gates(t *testing.T, test func(t *testing.T, g *gate)) {
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteGate(t)) })
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("-short")
		}
		database, err := store.OpenPostgres(t.Context(), testenv.Postgres(t))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, database.Close()) })
		test(t, newGate(t, database))
	})
}

const goodPassword = "seven green bottles"

// person makes a user with a password and an organisation of the same name.
func (g *gate) person(t *testing.T, name string) models.User {
	t.Helper()
	hash, err := g.access().hasher.hash(t.Context(), goodPassword)
	require.NoError(t, err)
	email := name + "@example.com"
	user := models.User{ID: models.NewID(), Name: name, Email: &email, PasswordHash: hash, CreatedAt: now()}
	require.NoError(t, g.Store.CreateUser(t.Context(), &user))
	home := models.Organisation{ID: models.NewID(), Name: name, CreatedAt: now()}
	require.NoError(t, g.Store.CreateOrganisation(t.Context(), &home, user.ID))
	return user
}

// login begins a session and returns who it is and its cookie.
func (g *gate) login(t *testing.T, name string) (models.Actor, string) {
	t.Helper()
	_, cookie, err := g.Login(t.Context(), Credentials{Login: name, Password: goodPassword, Client: "test", Address: "192.0.2.1"})
	require.NoError(t, err)
	actor, err := g.ActorBySession(t.Context(), cookie)
	require.NoError(t, err)
	return actor, cookie
}

// facts are all audit facts, as text.
func (g *gate) facts(t *testing.T) string {
	t.Helper()
	page, err := g.Store.Events(t.Context(), store.EventFilter{}, models.Everything())
	require.NoError(t, err)
	var text strings.Builder
	for _, event := range page.Items {
		text.WriteString(strings.Join([]string{event.Kind, event.Actor, event.Via, event.Address, event.Detail}, " ") + "\n")
	}
	return text.String()
}

func requireCode(t *testing.T, code models.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, models.CodeOf(err), err)
}

// clocked runs test on a gate whose time passes only while it waits.
func clocked(t *testing.T, test func(t *testing.T, g *gate)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		database, err := store.OpenSQLite(t.Context(), filepath.Join(dir, "sky.db"))
		require.NoError(t, err)
		defer func() { require.NoError(t, database.Close()) }()
		test(t, newGate(t, database))
	})
}

// pass lets time pass, in a bubble.
func pass(d time.Duration) { <-time.After(d) }

func TestLogin(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		ann := g.person(t, "ann")
		for _, login := range []string{"ann", "ANN", "ann@example.com", "Ann@Example.com"} {
			g.login(t, login)
		}
		for name, given := range map[string]Credentials{
			"wrong password": {Login: "ann", Password: "hunter2-canary"}, "unknown": {Login: "nobody", Password: "hunter2-canary"},
			"no password set": {Login: "admin", Password: "hunter2-canary"}, "empty": {Login: "ann"}, "both empty": {},
		} {
			_, _, err := g.Login(t.Context(), given)
			require.Equal(t, errLogin, err, name)
		}
		_, err := g.Store.UpdateUser(t.Context(), ann.ID, func(row *models.User) error {
			row.Disabled = true
			return nil
		})
		require.NoError(t, err)
		_, _, err = g.Login(t.Context(), Credentials{Login: "ann", Password: goodPassword})
		require.ErrorContains(t, err, "disabled")
		_, _, err = g.Login(t.Context(), Credentials{Login: "ann", Password: "wrong"})
		require.Equal(t, errLogin, err, "who does not know the password does not learn that")
		require.NotContains(t, g.facts(t)+g.logged.String(), "canary")
		require.Contains(t, g.facts(t), "session.refuse ann password  wrong password")
	})
}

func TestSessionsEnd(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		ann := g.person(t, "ann")
		here, cookie := g.login(t, "ann")
		there, other := g.login(t, "ann")
		require.NotEqual(t, cookie, other)
		page, err := g.Sessions(t.Context(), here, models.PageRequest{})
		require.NoError(t, err)
		require.Len(t, page.Items, 2)
		require.Equal(t, "192.0.2.1", page.Items[0].Address)
		for _, session := range page.Items {
			require.NotContains(t, string(session.Hash), cookie)
		}
		g.person(t, "bob")
		bob, _ := g.login(t, "bob")
		requireCode(t, models.NotFound, g.EndSession(t.Context(), bob, here.SessionID.String()))
		require.NoError(t, g.EndSession(t.Context(), here, there.SessionID.String()))
		_, err = g.ActorBySession(t.Context(), other)
		requireCode(t, models.Unauthorized, err)
		_, err = g.Renewed(t.Context(), there)
		requireCode(t, models.Unauthorized, err)

		// Fixation: the cookie that a browser came with is worth nothing after a login.
		_, fresh, err := g.Login(t.Context(), Credentials{Login: "ann", Password: goodPassword, Former: cookie})
		require.NoError(t, err)
		require.NotEqual(t, cookie, fresh)
		_, err = g.ActorBySession(t.Context(), cookie)
		requireCode(t, models.Unauthorized, err)
		now, err := g.ActorBySession(t.Context(), fresh)
		require.NoError(t, err)
		require.NoError(t, g.EndSession(t.Context(), now, "current"))
		requireCode(t, models.NotFound, g.EndSession(t.Context(), now, "current"))

		last, lastCookie := g.login(t, "ann")
		_, err = g.Store.UpdateUser(t.Context(), ann.ID, func(row *models.User) error {
			row.Disabled = true
			return nil
		})
		require.NoError(t, err)
		_, err = g.ActorBySession(t.Context(), lastCookie)
		requireCode(t, models.Unauthorized, err)
		_, err = g.Renewed(t.Context(), last)
		requireCode(t, models.Unauthorized, err)
	})
}

func TestSessionsExpire(t *testing.T) {
	clocked(t, func(t *testing.T, g *gate) {
		g.person(t, "ann")
		_, idle := g.login(t, "ann")
		_, busy := g.login(t, "ann")
		for range 4 {
			pass(6 * 24 * time.Hour)
			_, err := g.ActorBySession(t.Context(), busy)
			require.NoError(t, err)
		}
		_, err := g.ActorBySession(t.Context(), idle)
		requireCode(t, models.Unauthorized, err)
		pass(6*24*time.Hour - time.Minute)
		_, err = g.ActorBySession(t.Context(), busy)
		require.NoError(t, err)
		pass(2 * time.Minute)
		_, err = g.ActorBySession(t.Context(), busy)
		requireCode(t, models.Unauthorized, err)
	})
}
