package buildpipeline

import (
	"net/netip"
	"testing"

	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

func TestParseReach(t *testing.T) {
	reach, err := ParseReach([]string{"10.1.2.3/16", "192.0.2.7", "fd00::/64", "fe80::1%eth0"})
	require.NoError(t, err)
	require.Equal(t, prefixes("10.1.0.0/16", "192.0.2.7/32", "fd00::/64", "fe80::1/128"), reach.Networks)
	require.False(t, reach.Everything)
	reach, err = ParseReach([]string{"all"})
	require.NoError(t, err)
	require.True(t, reach.Everything)
	for _, wrong := range []string{"", "10.0.0.0/33", "registry.example.com", "10.0.0.1:80", "::ffff:10.0.0.0/104"} {
		_, err := ParseReach([]string{wrong})
		require.True(t, models.IsCode(err, models.Invalid), wrong)
	}
}

// TestRoutes: what a build may reach, and what an operator's permission changes.
// TestAppsNetworksCostNoRules: a machine has thousands of them, and a build as many
// rules as one without; but where a private network is allowed, they are refused.
func TestAppsNetworksCostNoRules(t *testing.T) {
	few := surroundings{machine: []netip.Addr{netip.MustParseAddr("203.0.113.9")}}
	many := few
	for i := range 4096 {
		address := netip.AddrFrom4([4]byte{10, 210, byte(i >> 4), byte(i << 4)})
		many.containers = append(many.containers, netip.PrefixFrom(address, 28))
		many.machine = append(many.machine, address.Next())
	}
	require.Equal(t, Reach{}.routes(few), Reach{}.routes(many))
	wide, err := ParseReach([]string{"10.0.0.0/8"})
	require.NoError(t, err)
	require.True(t, allows(wide.routes(many), netip.MustParseAddrPort("10.9.0.1:80")))
	require.False(t, allows(wide.routes(many), netip.MustParseAddrPort("10.210.7.5:80")))
}

func TestRoutes(t *testing.T) {
	around := surroundings{
		resolvers:  []netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("127.0.0.53")},
		machine:    []netip.Addr{netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("10.1.0.9"), netip.MustParseAddr("127.0.0.1")},
		containers: prefixes("172.17.0.0/16", "198.51.100.0/24"),
	}
	for _, test := range []struct {
		allow   []string
		to      string
		allowed bool
	}{
		{nil, "203.0.113.7:443", true},
		{nil, "[2001:db8::1]:443", true},
		{nil, "10.0.0.53:53", true},
		{nil, "10.0.0.53:80", false},
		{nil, "127.0.0.53:53", false},
		{nil, "169.254.169.254:80", false},
		{nil, "[fd00:ec2::254]:80", false},
		{nil, "[::ffff:169.254.169.254]:80", false},
		{nil, "168.63.129.16:80", false},
		{nil, "203.0.113.9:22", false},
		{nil, "10.1.0.9:8080", false},
		{nil, "172.17.0.5:80", false},
		{nil, "198.51.100.5:80", false},
		{nil, "192.168.1.1:80", false},
		{nil, "100.64.0.1:80", false},
		{nil, "[fd00::1]:80", false},
		{nil, "255.255.255.255:67", false},
		{nil, "203.0.113.7:25", false},
		{nil, "[2001:db8::1]:25", false},
		{[]string{"10.0.0.0/8"}, "10.9.9.9:443", true},
		{[]string{"10.0.0.0/8"}, "192.168.1.1:443", false},
		{[]string{"10.0.0.0/8"}, "10.1.0.9:8080", false},
		{[]string{"10.1.0.9"}, "10.1.0.9:8080", true},
		{[]string{"172.16.0.0/12"}, "172.17.0.5:80", false},
		{[]string{"172.17.0.5"}, "172.17.0.5:80", true},
		{[]string{"0.0.0.0/0"}, "169.254.169.254:80", false},
	} {
		reach, err := ParseReach(test.allow)
		require.NoError(t, err)
		require.Equal(t, test.allowed, allows(reach.routes(around), netip.MustParseAddrPort(test.to)), "%v: %s", test.allow, test.to)
	}
}
