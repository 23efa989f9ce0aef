package api_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/stretchr/testify/require"
)

const tokensPath = "/api/paas/tokens"

func TestRepeatedRequests(t *testing.T) {
	s := newSite(t)
	const body = `{"name": "ci", "scopes": ["read"]}`
	first := s.ask(t, s.admin, http.MethodPost, tokensPath, body, "Idempotency-Key", "k")
	require.Equal(t, http.StatusCreated, first.StatusCode, first.text)
	require.Empty(t, first.Header.Get("Idempotency-Replayed"))
	again := s.ask(t, s.admin, http.MethodPost, tokensPath, body, "Idempotency-Key", "k")
	require.Equal(t, http.StatusCreated, again.StatusCode)
	require.Equal(t, "true", again.Header.Get("Idempotency-Replayed"))
	require.Equal(t, first.text, again.text, "with the token itself")
	require.Equal(t, first.Header.Get("Content-Type"), again.Header.Get("Content-Type"))

	other := s.ask(t, s.admin, http.MethodPost, tokensPath, `{"name": "other", "scopes": ["read"]}`, "Idempotency-Key", "k")
	require.Equal(t, http.StatusUnprocessableEntity, other.StatusCode)
	require.Equal(t, "Idempotency-Key", other.problem(t).Field)
	for range 2 {
		bad := s.ask(t, s.admin, http.MethodPost, tokensPath, `{"name": "", "scopes": ["read"]}`, "Idempotency-Key", "bad")
		require.Equal(t, http.StatusUnprocessableEntity, bad.StatusCode)
		require.Equal(t, "name", bad.problem(t).Field)
	}
	large := s.ask(t, s.admin, http.MethodPost, tokensPath, `{"name": "`+strings.Repeat("x", 5<<20)+`"}`, "Idempotency-Key", "large")
	require.Equal(t, http.StatusRequestEntityTooLarge, large.StatusCode)
	long := s.ask(t, s.admin, http.MethodPost, tokensPath, body, "Idempotency-Key", strings.Repeat("k", 256))
	require.Equal(t, http.StatusUnprocessableEntity, long.StatusCode, long.text)
	require.Equal(t, http.StatusOK, s.ask(t, s.admin, http.MethodGet, tokensPath, "", "Idempotency-Key", "k").StatusCode, "not for reading")
	require.Equal(t, http.StatusUnauthorized, s.ask(t, "", http.MethodPost, tokensPath, body, "Idempotency-Key", "k").StatusCode)
}

// TestOneKeyMakesOneThing: twenty at once, on every kind of thing that matters.
func TestOneKeyMakesOneThing(t *testing.T) {
	s := newSite(t)
	for path, body := range map[string]string{
		"/api/paas/applications": `{"name": "shop"}`, tokensPath: `{"name": "ci", "scopes": ["read"]}`,
	} {
		var group sync.WaitGroup
		texts := make(chan string, 20)
		for range cap(texts) {
			group.Go(func() {
				got := s.ask(t, s.admin, http.MethodPost, path, body, "Idempotency-Key", "k"+path)
				if got.StatusCode == http.StatusCreated {
					texts <- got.text
				}
			})
		}
		group.Wait()
		close(texts)
		require.Len(t, texts, 20)
		first := <-texts
		for text := range texts {
			require.Equal(t, first, text)
		}
	}
	apps, err := s.platform.Store.Apps(t.Context(), store.AppFilter{}, models.Everything())
	require.NoError(t, err)
	require.Len(t, apps.Items, 1)
	admin, err := s.platform.ActorByToken(t.Context(), s.admin)
	require.NoError(t, err)
	count, err := s.platform.Store.CountTokens(t.Context(), admin.UserID)
	require.NoError(t, err)
	require.EqualValues(t, 2, count, "the first start's, and one more")
}

func TestCreatesDeclareTheirKey(t *testing.T) {
	s := newSite(t)
	parsed, _ := s.document(t)
	declared := 0
	for path, operations := range parsed.Paths {
		for method, operation := range operations {
			for _, param := range operation.Parameters {
				if param.Name == "Idempotency-Key" {
					require.Equal(t, "header", param.In)
					require.Equal(t, "post", method, path)
					declared++
				}
			}
		}
	}
	require.Greater(t, declared, 5)
}
