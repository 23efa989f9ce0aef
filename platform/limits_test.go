package platform

import (
	"testing"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestLoginLimits(t *testing.T) {
	clocked(t, func(t *testing.T, g *gate) {
		g.person(t, "ann")
		try := func(login, password, address string) error {
			_, _, err := g.Login(t.Context(), Credentials{Login: login, Password: password, Address: address})
			return err
		}
		for i := range attempts {
			requireCode(t, models.Unauthorized, try([]string{"ann", "ANN"}[i%2], "wrong", ""))
		}
		err := try("ann", goodPassword, "")
		requireCode(t, models.TooMany, err)
		require.Equal(t, accountInterval, models.AsError(err).RetryAfter)
		require.Contains(t, models.AsError(err).Remedy, "30s")
		requireCode(t, models.Unauthorized, try("bob", "wrong", ""))
		pass(accountInterval)
		require.NoError(t, try("ann", goodPassword, ""))
		require.NoError(t, try("ann", goodPassword, ""), "who got in has all attempts again")

		for i := range attempts {
			requireCode(t, models.Unauthorized, try(string(rune('a'+i)), "wrong", "2001:db8::"+string(rune('1'+i%9))))
		}
		requireCode(t, models.TooMany, try("ann", goodPassword, "2001:db8::ffff"))
		require.NoError(t, try("ann", goodPassword, "2001:db8:0:1::1"))
		require.NoError(t, try("ann", goodPassword, "192.0.2.1"))
		pass(addressInterval)
		require.NoError(t, try("ann", goodPassword, "2001:db8::1"))

		ann, _ := g.login(t, "ann")
		for range attempts {
			requireCode(t, models.Forbidden, g.ChangePassword(t.Context(), ann, "wrong", "nine red balloons"))
		}
		requireCode(t, models.TooMany, g.ChangePassword(t.Context(), ann, goodPassword, "nine red balloons"))
		pass(time.Minute)
		require.NoError(t, g.ChangePassword(t.Context(), ann, goodPassword, "nine red balloons"))
	})
}

func TestNetworks(t *testing.T) {
	for address, wanted := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::/64", "fe80::1%eth0": "fe80::/64", "pipe": "pipe",
	} {
		require.Equal(t, wanted, network(address))
	}
}
