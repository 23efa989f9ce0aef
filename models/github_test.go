package models_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestCheckRepository(t *testing.T) {
	for _, name := range []string{
		"acme/shop", "a/b", "Acme-1/shop.git-tools_x", "octocat_acme/shop", "a--b/c", "old-/c", "acme/.github", "acme/-x", "acme/a..b",
		strings.Repeat("a", 39) + "/" + strings.Repeat("b", 100),
	} {
		require.NoError(t, models.CheckRepository(name), name)
	}
	for _, name := range []string{
		"", "/", "acme", "acme/", "/shop", "acme/shop/x", "acme//shop", "../shop", "acme/..", "acme/.", "-x/shop", "--upload-pack=id/x", "_x/shop",
		"acme/sh op", "acme/shop\n", "acme/shop\x00", "acme/shop?x=y", "acme/shop#x", "acme/%2e%2e", "acme@evil/shop", "acme/shop@evil",
		"https://evil/acme/shop", "ext::sh -c id/x", "file:///etc/passwd", "git@github.com:acme/shop", "acme\\shop", "acmé/shop", "acme/shöp",
		"a.b/shop", strings.Repeat("a", 101) + "/x", "acme/" + strings.Repeat("b", 101), "127.0.0.1/x", "[::1]/x",
	} {
		err := models.CheckRepository(name)
		require.Equal(t, models.Invalid, models.CodeOf(err), name)
		require.Equal(t, "repository", models.AsError(err).Field)
		require.NotEmpty(t, models.AsError(err).Remedy)
	}
}

// FuzzCheckRepository: whatever passes is two plain segments of an address.
func FuzzCheckRepository(f *testing.F) {
	for _, seed := range []string{"acme/shop", "acme/..", "a/b?c", "x/%2f", "acme/shop\r\nHost: evil"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if models.CheckRepository(name) != nil {
			return
		}
		address, err := url.Parse("https://github.example/" + name + ".git")
		require.NoError(t, err)
		require.Equal(t, "github.example", address.Host)
		require.Equal(t, "/"+name+".git", address.EscapedPath())
		require.Empty(t, address.RawQuery+address.Fragment)
		require.Equal(t, 2, strings.Count(address.JoinPath().Path, "/"))
	})
}
