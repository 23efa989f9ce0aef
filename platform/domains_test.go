package platform

import (
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestDomains: a host leads to an app once its DNS proves it, and what somebody
// else has proved, or what lies under it, is taken.
func TestDomains(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	_, err := s.push(t, 1)
	require.NoError(t, err)
	node, err := s.EnsureNode(ctx, "local")
	require.NoError(t, err)
	hosts := func() []string {
		assignment, err := s.Assignment(ctx, node.ID)
		require.NoError(t, err)
		return assignment.Routes[0].Hosts
	}
	added, err := s.AddDomain(ctx, s.actor, s.live(t), "Shop.Example.COM.")
	require.NoError(t, err)
	require.Equal(t, "shop.example.com", added.Host)
	require.Equal(t, Record{Type: "CNAME", Name: "shop.example.com", Value: "shop.sky.test", Purpose: "leads to the app"}, added.Records[0])
	require.Equal(t, "_sky.shop.example.com", added.Records[1].Name)
	seen, err := s.VerifyDomain(ctx, s.actor, s.live(t), "shop.example.com")
	require.NoError(t, err)
	require.Equal(t, "there is no TXT record at _sky.shop.example.com", seen.Error)
	s.dns["_sky.shop.example.com."] = []string{"something else"}
	seen, err = s.VerifyDomain(ctx, s.actor, s.live(t), "shop.example.com")
	require.NoError(t, err)
	require.Contains(t, seen.Error, "holds something else")
	require.Equal(t, []string{"shop.sky.test"}, hosts())

	// Somebody else may claim it too, until it is proved.
	_, err = s.CreateOrganisation(ctx, s.actor, "rival", "")
	require.NoError(t, err)
	rival, err := s.CreateApp(ctx, s.actor, NewApp{Name: "rival", Organisation: "rival"})
	require.NoError(t, err)
	_, err = s.AddDomain(ctx, s.actor, rival, "shop.example.com")
	require.NoError(t, err)
	s.dns["_sky.shop.example.com."] = []string{"something else", added.Challenge}
	require.NoError(t, s.verifyDue(ctx, now().Add(recheckAfter*2)))
	require.Equal(t, []string{"shop.sky.test", "shop.example.com"}, hosts())
	s.dns["_sky.shop.example.com."] = []string{"something else", added.Challenge}
	seen, err = s.VerifyDomain(ctx, s.actor, rival, "shop.example.com")
	require.NoError(t, err)
	require.Equal(t, models.DomainPending, seen.State, "another's challenge proves nothing")
	for _, host := range []string{"shop.example.com", "deep.shop.example.com"} {
		_, err = s.AddDomain(ctx, s.actor, rival, host)
		require.True(t, models.IsCode(err, models.Conflict), host)
	}
	for _, host := range []string{
		"a.com;id", "a.com{}", "*.example.com", "localhost", "10.0.0.1", "example", "-a.example.com", "a..example.com", "a b.example.com", "", "[::1]",
	} {
		_, err = s.AddDomain(ctx, s.actor, s.live(t), host)
		require.True(t, models.IsCode(err, models.Invalid), host)
	}
	_, err = s.AddDomain(ctx, s.actor, s.live(t), "other.sky.test")
	require.True(t, models.IsCode(err, models.Conflict), "the platform's own")
	require.NoError(t, s.RemoveDomain(ctx, s.actor, s.live(t), "shop.example.com"))
	require.Equal(t, []string{"shop.sky.test"}, hosts())
}
