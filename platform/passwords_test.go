package platform

import (
	"context"
	"strings"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestPasswordRules(t *testing.T) {
	email := "annabel.lee@example.com"
	user := models.User{Name: "annabel", Email: &email}
	for _, password := range []string{
		"", "short", "elevenchars", "passwordpassword", "PasswordPassword", "aaaaaaaaaaaaaaaa", "121212121212", "annabelannabel",
		"Annabel-Lee1", "annabel.lee@example.com", "annabel.lee!23", strings.Repeat("long", 51), "nul\x00inside-it", "\xff\xfe invalid utf8",
	} {
		err := checkPassword(user, password)
		requireCode(t, models.Invalid, err)
		require.Equal(t, "password", models.AsError(err).Field)
		if password != "" {
			require.NotContains(t, err.Error()+models.AsError(err).Remedy, password)
		}
	}
	for _, password := range []string{goodPassword, "bücher über äpfel", "my name is annabel you know", strings.Repeat("日本語の文", 3)} {
		require.NoError(t, checkPassword(user, password))
	}
}

func TestPasswordHashes(t *testing.T) {
	h := newHasher(argonMemory)
	first, err := h.hash(t.Context(), goodPassword)
	require.NoError(t, err)
	second, err := h.hash(t.Context(), goodPassword)
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	require.True(t, strings.HasPrefix(first, "$argon2id$v=19$m=19456,t=2,p=1$"))
	for password, right := range map[string]bool{goodPassword: true, goodPassword + " ": false, "": false} {
		got, err := h.verify(t.Context(), password, first)
		require.NoError(t, err)
		require.Equal(t, right, got)
	}
	zero, err := h.verify(t.Context(), goodPassword, "")
	require.NoError(t, err)
	require.False(t, zero)
	for _, damaged := range []string{"plain", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA", first[:40], first + "!"} {
		_, err := h.verify(t.Context(), goodPassword, damaged)
		require.Error(t, err)
		require.NotContains(t, err.Error(), damaged)
	}
}

// TestHashingWaitsItsTurn: those who wait take no memory, and leave when they
// are not waited for.
func TestHashingWaitsItsTurn(t *testing.T) {
	h := newHasher(argonMemory)
	for range cap(h.turns) {
		h.turns <- struct{}{}
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	_, err := h.hash(ctx, goodPassword)
	require.ErrorIs(t, err, context.Canceled)
	<-h.turns
	_, err = h.hash(t.Context(), goodPassword)
	require.NoError(t, err)
}
