package buildpipeline

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/network"
	"github.com/skypanel/sky/internal/resolvers"
	"github.com/skypanel/sky/models"
)

// Reach is what an operator lets builds reach beside the internet.
type Reach struct {
	// Everything lifts all bounds.
	Everything bool
	// Networks are private ones that are allowed. One of a single address is allowed
	// even where it is this machine's own, or a container's.
	Networks []netip.Prefix
}

// ParseReach reads networks (10.1.0.0/16), addresses (10.1.2.3) and "all".
func ParseReach(words []string) (Reach, error) {
	reach := Reach{}
	for _, word := range words {
		if word == "all" {
			reach.Everything = true
			continue
		}
		network, err := netip.ParsePrefix(word)
		if err != nil {
			var address netip.Addr
			if address, err = netip.ParseAddr(word); err == nil {
				network = netip.PrefixFrom(address.WithZone(""), address.BitLen())
			}
		}
		if err != nil || network.Addr().Is4In6() {
			return Reach{}, models.Errorf(models.Invalid, "%q is no network", word).WithRemedy("write it as 10.1.0.0/16 or 10.1.2.3, or allow all")
		}
		reach.Networks = append(reach.Networks, network.Masked())
	}
	return reach, nil
}

// route decides about packets to a network; port 0 is every port.
type route struct {
	to      netip.Prefix
	port    uint16
	allowed bool
}

// surroundings are what is near the builds, and not theirs.
type surroundings struct {
	resolvers  []netip.Addr
	machine    []netip.Addr   // this machine's own addresses
	containers []netip.Prefix // the networks of the engine's containers
}

// metadata is where clouds tell machines their credentials, and their
// neighbours of the same link; never is what no build has to do with.
var (
	metadata = prefixes("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "168.63.129.16/32", "192.0.0.192/32", "100.100.100.200/32")
	private  = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"224.0.0.0/4", "255.255.255.255/32", "::/127", "fc00::/7", "ff00::/8")
	anywhere = prefixes("0.0.0.0/0", "::/0")
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

const (
	portDNS  = 53
	portMail = 25
)

// routes are asked in their order; the first that matches decides, and what none
// matches is allowed.
func (r Reach) routes(around surroundings) []route {
	var all []route
	add := func(allowed bool, port uint16, networks ...netip.Prefix) {
		for _, network := range networks {
			all = append(all, route{network, port, allowed})
		}
	}
	add(true, portDNS, single(around.resolvers)...)
	for _, network := range r.Networks {
		if network.IsSingleIP() {
			add(true, 0, network)
		}
	}
	add(false, 0, metadata...)
	add(false, 0, single(around.machine)...)
	add(false, 0, around.containers...)
	add(true, 0, r.Networks...)
	add(false, 0, private...)
	add(false, portMail, anywhere...)
	return decisive(all)
}

// decisive leaves out routes that decide nothing, because a later one decides the same
// of all their packets: a machine has a network for each app, most of them within the
// private ones, and each rule costs every packet.
func decisive(all []route) []route {
	var kept []route
	for i, r := range all {
		if !r.decidedLater(all[i+1:]) {
			kept = append(kept, r)
		}
	}
	return kept
}

// decidedLater reports whether one of the routes after r covers it with the same
// verdict, and none between says otherwise of any of it.
func (r route) decidedLater(later []route) bool {
	for _, other := range later {
		if other.allowed != r.allowed && other.to.Overlaps(r.to) {
			return false
		}
		if other.allowed == r.allowed && other.port == 0 && other.to.Bits() <= r.to.Bits() && other.to.Contains(r.to.Addr()) {
			return true
		}
	}
	return false
}

func single(addresses []netip.Addr) []netip.Prefix {
	var networks []netip.Prefix
	for _, address := range addresses {
		if address = address.Unmap().WithZone(""); !address.IsLoopback() {
			networks = append(networks, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return networks
}

// allows reports whether a build may reach the address.
func allows(routes []route, to netip.AddrPort) bool {
	address := to.Addr().Unmap().WithZone("")
	for _, route := range routes {
		if route.to.Contains(address) && (route.port == 0 || route.port == to.Port()) {
			return route.allowed
		}
	}
	return true
}

// surroundings finds out what is near the engine's builds.
func (b *Builder) surroundings(ctx context.Context) (surroundings, error) {
	around := surroundings{resolvers: resolvers.Addresses()}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return around, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, address := range own {
		if network, err := netip.ParsePrefix(address.String()); err == nil {
			around.machine = append(around.machine, network.Addr())
		}
	}
	networks, err := b.docker.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return around, fmt.Errorf("list the engine's networks: %w", err)
	}
	for _, found := range networks {
		for _, pool := range found.IPAM.Config {
			if subnet, err := netip.ParsePrefix(pool.Subnet); err == nil {
				around.containers = append(around.containers, subnet.Masked())
			}
		}
	}
	slices.SortFunc(around.containers, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return around, nil
}
