package resolvers

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	require.Equal(t, []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::1")},
		parse("# x\nnameserver 192.0.2.1\nnameserver ::1\nsearch a\nnameserver bad\n"))
}
