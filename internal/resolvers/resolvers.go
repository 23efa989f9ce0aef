// Package resolvers says which name servers this machine asks, and with it the
// containers on it.
package resolvers

import (
	"net/netip"
	"os"
	"slices"
	"strings"
)

// files are where they stand: resolv.conf, and what systemd-resolved forwards to,
// which the container engine reads in its place.
var files = []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}

// Addresses reads the addresses of the name servers. A file that is not there
// names none.
func Addresses() []netip.Addr {
	var found []netip.Addr
	for _, name := range files {
		config, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for _, address := range parse(string(config)) {
			if !slices.Contains(found, address) {
				found = append(found, address)
			}
		}
	}
	return found
}

// parse reads a resolv.conf.
func parse(config string) []netip.Addr {
	var found []netip.Addr
	for line := range strings.Lines(config) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(fields[1]); err == nil {
			found = append(found, address)
		}
	}
	return found
}
