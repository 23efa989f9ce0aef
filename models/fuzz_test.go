package models_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// FuzzCleanHost: what is accepted is a name that DNS can have, and stays as it is.
func FuzzCleanHost(f *testing.F) {
	for _, seed := range []string{
		"shop.example.com", "SHOP.Example.COM.", "a.b", "localhost", "a..b", "-a.com", "a_b.com", "*.example.com", "127.0.0.1", "[::1]", "xn--bcher-kva.example",
		"a.com;id", "a.com{}", "a\x00.com", "\u212a.com", strings.Repeat("a", 64) + ".com", strings.Repeat("a.", 127) + "com", "2130706433", "0x7f.1", ".", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := models.CleanHost(text)
		if err != nil {
			requireNamed(t, err, "host")
			return
		}
		again, err := models.CleanHost(host)
		require.NoError(t, err)
		require.Equal(t, host, again)
		require.LessOrEqual(t, len(host), 253)
		require.Empty(t, strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-."))
	})
}

// FuzzCleanEmail: what is accepted is one address without decoration, and stays
// as it is.
func FuzzCleanEmail(f *testing.F) {
	for _, seed := range []string{
		"ann@example.com", "Ann@Example.COM", "Ann <ann@example.com>", "<ann@example.com>", `"a b"@example.com`, `"a\"b"@example.com`, "a@b", "a@[127.0.0.1]", "a@b.c (x)",
		"a@b.c,d@e.f", "a@b.c\r\nBcc: d@e.f", "ä@example.com", "a@exämple.com", "@", "", strings.Repeat("a", 250) + "@b.c", "İ@example.com",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		email, err := models.CleanEmail(text)
		if err != nil {
			requireNamed(t, err, "email")
			return
		}
		again, err := models.CleanEmail(email)
		require.NoError(t, err, "%q", email)
		require.Equal(t, email, again)
		require.True(t, utf8.ValidString(email))
		require.False(t, strings.ContainsAny(email, " \t\r\n\x00<>\""), "%q", email)
	})
}

// FuzzParseMoney: every amount that is accepted is written back the same.
func FuzzParseMoney(f *testing.F) {
	for _, seed := range []string{"12.5", "0", "-0.000001", "999999999999.999999", "1.", ".5", "1e3", "0x1", "+1", "--1", "-", "1_000", "９", "1.2.3", "1,5", "9223372036854.775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := models.ParseMoney(text)
		if err != nil {
			requireNamed(t, err, "amount")
			return
		}
		again, err := models.ParseMoney(amount.String())
		require.NoError(t, err, "%q became %q", text, amount)
		require.Equal(t, amount, again)
		require.Empty(t, strings.Trim(text, "-0123456789."), "%q", text)
	})
}

// requireNamed holds a refusal to what it owes: which input, and what to do.
func requireNamed(t *testing.T, err error, field string) {
	t.Helper()
	refused := models.AsError(err)
	require.NotNil(t, refused, err)
	require.Equal(t, models.Invalid, refused.Code)
	require.Equal(t, field, refused.Field)
	require.NotEmpty(t, refused.Remedy)
}
