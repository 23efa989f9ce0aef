package platform

import (
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestTokenLife(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		g.person(t, "ann")
		ann, _ := g.login(t, "ann")
		made, text, err := g.CreateToken(t.Context(), ann, NewToken{Name: "ci", Scopes: models.Scopes{models.ScopeWrite}, Organisation: "ann"})
		require.NoError(t, err)
		require.Equal(t, "ann", made.Organisation)
		bot, err := g.ActorByToken(t.Context(), text)
		require.NoError(t, err)
		require.Equal(t, made.OrganisationID, bot.OrganisationID)

		page, err := g.Tokens(t.Context(), ann, models.PageRequest{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.NotNil(t, page.Items[0].UsedAt)
		require.NotContains(t, g.facts(t)+g.logged.String(), text)
		require.Contains(t, g.facts(t), "token.create ann session  ci (write)")

		require.NoError(t, g.RevokeToken(t.Context(), ann, made.ID.String()))
		_, err = g.ActorByToken(t.Context(), text)
		requireCode(t, models.Unauthorized, err)
		_, err = g.Renewed(t.Context(), bot)
		requireCode(t, models.Unauthorized, err)
		requireCode(t, models.NotFound, g.RevokeToken(t.Context(), ann, made.ID.String()))
		requireCode(t, models.NotFound, g.RevokeToken(t.Context(), ann, "x"))
	})
}

// TestTokensMakeNoMightierOnes: neither scopes, organisation nor life grow.
func TestTokensMakeNoMightierOnes(t *testing.T) {
	g := sqliteGate(t)
	g.person(t, "ann")
	g.person(t, "bob")
	ann, _ := g.login(t, "ann")
	other := models.Organisation{ID: models.NewID(), Name: "acme", CreatedAt: now()}
	require.NoError(t, g.Store.CreateOrganisation(t.Context(), &other, ann.UserID))
	soon := now().Add(time.Hour)
	_, text, err := g.CreateToken(t.Context(), ann, NewToken{Name: "ci", Scopes: models.Scopes{models.ScopeWrite}, Organisation: "ann", ExpiresAt: &soon})
	require.NoError(t, err)
	bot, err := g.ActorByToken(t.Context(), text)
	require.NoError(t, err)
	late, past := soon.Add(time.Second), now().Add(-time.Second)
	write := models.Scopes{models.ScopeWrite}
	for name, test := range map[string]struct {
		code   models.Code
		wanted NewToken
	}{
		"more scopes":          {models.Forbidden, NewToken{Name: "x", Scopes: models.AllScopes(), ExpiresAt: &soon}},
		"beside its scopes":    {models.Forbidden, NewToken{Name: "x", Scopes: models.Scopes{models.ScopeBilling}, ExpiresAt: &soon}},
		"another organisation": {models.NotFound, NewToken{Name: "x", Scopes: write, Organisation: "acme", ExpiresAt: &soon}},
		"a foreign one":        {models.NotFound, NewToken{Name: "x", Scopes: write, Organisation: "bob", ExpiresAt: &soon}},
		"longer":               {models.Forbidden, NewToken{Name: "x", Scopes: write, ExpiresAt: &late}},
		"for ever":             {models.Forbidden, NewToken{Name: "x", Scopes: write}},
		"no scope":             {models.Invalid, NewToken{Name: "x", ExpiresAt: &soon}},
		"an unknown scope":     {models.Invalid, NewToken{Name: "x", Scopes: models.Scopes{"root"}, ExpiresAt: &soon}},
		"no name":              {models.Invalid, NewToken{Name: " ", Scopes: write, ExpiresAt: &soon}},
		"expired":              {models.Invalid, NewToken{Name: "x", Scopes: write, ExpiresAt: &past}},
	} {
		_, _, err := g.CreateToken(t.Context(), bot, test.wanted)
		require.Equal(t, test.code, models.CodeOf(err), "%s: %v", name, err)
	}
	child, _, err := g.CreateToken(t.Context(), bot, NewToken{Name: "child", Scopes: models.Scopes{models.ScopeDeploy}, ExpiresAt: &soon})
	require.NoError(t, err)
	require.Equal(t, "ann", child.Organisation, "the limit is handed on")

	free, _, err := g.CreateToken(t.Context(), ann, NewToken{Name: "free", Scopes: models.Scopes{models.ScopeRead}})
	require.NoError(t, err)
	requireCode(t, models.NotFound, g.RevokeToken(t.Context(), bot, free.ID.String()))
	_, err = g.AddKey(t.Context(), bot, "", "ssh-ed25519 AAAA")
	requireCode(t, models.Forbidden, err)
	bob, _ := g.login(t, "bob")
	requireCode(t, models.NotFound, g.RevokeToken(t.Context(), bob, free.ID.String()))
	reader := models.Actor{UserID: ann.UserID, Name: "ann", Scopes: models.Scopes{models.ScopeRead}, TokenID: &free.ID}
	_, _, err = g.CreateToken(t.Context(), reader, NewToken{Name: "x", Scopes: models.Scopes{models.ScopeRead}})
	requireCode(t, models.Forbidden, err)
	requireCode(t, models.Forbidden, g.RevokeToken(t.Context(), reader, child.ID.String()))
	require.NoError(t, g.RevokeToken(t.Context(), reader, "current"), "a token may always end itself")
}

// TestATokenOfOneOrganisationSeesNothingElse: neither rows nor cursors name what
// else its owner has.
func TestATokenOfOneOrganisationSeesNothingElse(t *testing.T) {
	gates(t, func(t *testing.T, g *gate) {
		g.person(t, "ann")
		ann, _ := g.login(t, "ann")
		for _, name := range []string{"acme", "zeta"} {
			_, err := g.CreateOrganisation(t.Context(), ann, name, "")
			require.NoError(t, err)
		}
		write := models.Scopes{models.ScopeWrite}
		_, _, err := g.CreateToken(t.Context(), ann, NewToken{Name: "beside", Scopes: write, Organisation: "zeta"})
		require.NoError(t, err)
		_, text, err := g.CreateToken(t.Context(), ann, NewToken{Name: "ci", Scopes: write, Organisation: "acme"})
		require.NoError(t, err)
		bot, err := g.ActorByToken(t.Context(), text)
		require.NoError(t, err)
		one := models.PageRequest{Limit: 1}
		organisations, err := g.Organisations(t.Context(), bot, one)
		require.NoError(t, err)
		require.Len(t, organisations.Items, 1)
		require.Equal(t, "acme", organisations.Items[0].Name)
		require.Empty(t, organisations.Next, "a cursor names the row that it ends at")
		tokens, err := g.Tokens(t.Context(), bot, one)
		require.NoError(t, err)
		require.Len(t, tokens.Items, 1)
		require.Equal(t, "ci", tokens.Items[0].Name)
		require.Empty(t, tokens.Next)
	})
}

func TestTokenUseIsNotedOnceAMinute(t *testing.T) {
	clocked(t, func(t *testing.T, g *gate) {
		until := now().Add(time.Hour)
		made, text, err := g.CreateToken(t.Context(), g.admin, NewToken{Name: "ci", Scopes: models.Scopes{models.ScopeRead}, ExpiresAt: &until})
		require.NoError(t, err)
		used := func() time.Time {
			_, err := g.ActorByToken(t.Context(), text)
			require.NoError(t, err)
			token, err := g.Store.Token(t.Context(), made.ID)
			require.NoError(t, err)
			return *token.UsedAt
		}
		first := used()
		pass(59 * time.Second)
		require.Equal(t, first, used())
		pass(2 * time.Second)
		require.Equal(t, first.Add(61*time.Second), used())
		pass(time.Hour)
		_, err = g.ActorByToken(t.Context(), text)
		requireCode(t, models.Unauthorized, err)
	})
}
