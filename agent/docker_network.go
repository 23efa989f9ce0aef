package agent

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/network"

	"github.com/skypanel/sky/agent/protocol"
)

// bridgePrefix begins the name of each bridge that is ours; the firewall's
// rules go by it.
const bridgePrefix = "sky-"

// subnetBits is the size of one App's network: 61 Instances on one Node.
const subnetBits = 26

// ownRange is where Apps' networks are taken from: 1,024 of them.
func ownRange() netip.Prefix { return netip.MustParsePrefix("10.210.0.0/16") }

// errNoSubnet says that our whole range is taken.
var errNoSubnet = errors.New("no free subnet in 10.210.0.0/16")

// bridgeName is the host's interface for an App. Networks are found by it:
// Docker allows two of the same name, the kernel does not.
func (d *docker) bridgeName(appID string) string {
	sum := sha256.Sum256([]byte(d.node + "/" + appID))
	return bridgePrefix + hex.EncodeToString(sum[:4])
}

// ensureNetwork returns the name of the App's own bridge network, and makes
// it when there is none.
func (d *docker) ensureNetwork(ctx context.Context, instance protocol.Instance) (string, error) {
	d.subnet.Lock()
	defer d.subnet.Unlock()
	name := d.bridgeName(instance.AppID)
	existing, err := d.networks(ctx)
	if err != nil {
		return "", err
	}
	return name, d.ensureBridge(ctx, existing, name, instance, network.CreateOptions{Driver: "bridge"})
}

func (d *docker) networks(ctx context.Context) ([]network.Summary, error) {
	existing, err := d.client.NetworkList(ctx, network.ListOptions{})
	if err != nil {
		return nil, dockerError("list networks", err)
	}
	return existing, nil
}

func named(existing []network.Summary, name string) bool {
	return slices.ContainsFunc(existing, func(n network.Summary) bool { return n.Name == name })
}

// ensureBridge makes a network of this name with the App's bridge, unless it exists.
func (d *docker) ensureBridge(ctx context.Context, existing []network.Summary, name string, instance protocol.Instance, options network.CreateOptions) error {
	if named(existing, name) {
		return nil
	}
	var taken []netip.Prefix
	for _, n := range existing {
		for _, pool := range n.IPAM.Config {
			if subnet, err := netip.ParsePrefix(pool.Subnet); err == nil {
				taken = append(taken, subnet)
			}
		}
	}
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return fmt.Errorf("read routes: %w", err)
	}
	options.Options = map[string]string{"com.docker.network.bridge.name": d.bridgeName(instance.AppID)}
	options.Labels = map[string]string{labelNode: d.node, labelApp: instance.App, labelAppID: instance.AppID}
	return d.createNetwork(ctx, name, options, append(taken, hostRoutes(routes)...))
}

// createNetwork takes the first free subnet; one that the engine refuses
// because it overlaps after all is skipped.
func (d *docker) createNetwork(ctx context.Context, name string, options network.CreateOptions, taken []netip.Prefix) error {
	for {
		subnet, err := freeSubnet(ownRange(), subnetBits, taken)
		if err != nil {
			return fmt.Errorf("create network: %w", err)
		}
		options.IPAM = &network.IPAM{Config: []network.IPAMConfig{{Subnet: subnet.String()}}}
		_, err = d.client.NetworkCreate(ctx, name, options)
		if err == nil {
			return nil
		}
		if !strings.Contains(err.Error(), "overlap") {
			return dockerError("create network", err)
		}
		taken = append(taken, subnet)
	}
}

// RemoveNetwork implements engine.
func (d *docker) RemoveNetwork(ctx context.Context, appID string) error {
	if err := d.agree(ctx); err != nil {
		return err
	}
	d.subnet.Lock()
	defer d.subnet.Unlock()
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	found, err := d.client.NetworkList(ctx, network.ListOptions{Filters: d.ofApp(appID)})
	if err != nil {
		return dockerError("list networks", err)
	}
	for _, n := range found {
		if err := d.client.NetworkRemove(ctx, n.ID); err != nil && !errdefs.IsNotFound(err) {
			return dockerError("remove network", err)
		}
	}
	return nil
}

// freeSubnet returns the first subnet of a size within a range that overlaps
// nothing that is taken.
func freeSubnet(within netip.Prefix, bits int, taken []netip.Prefix) (netip.Prefix, error) {
	base := binary.BigEndian.Uint32(within.Addr().AsSlice())
	step := uint32(1) << (32 - bits)
	for i := range uint32(1) << (bits - within.Bits()) {
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], base+i*step)
		subnet := netip.PrefixFrom(netip.AddrFrom4(address), bits)
		if !overlapsAny(subnet, taken) {
			return subnet, nil
		}
	}
	return netip.Prefix{}, errNoSubnet
}

func overlapsAny(subnet netip.Prefix, taken []netip.Prefix) bool {
	for _, other := range taken {
		if subnet.Overlaps(other) {
			return true
		}
	}
	return false
}

// hostRoutes reads the destinations of /proc/net/route, but for the default
// route, which overlaps everything.
func hostRoutes(table []byte) []netip.Prefix {
	var routes []netip.Prefix
	for scanner := bufio.NewScanner(bytes.NewReader(table)); scanner.Scan(); {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 8 {
			continue
		}
		destination, err := strconv.ParseUint(fields[1], 16, 32)
		mask, maskErr := strconv.ParseUint(fields[7], 16, 32)
		if err != nil || maskErr != nil || mask == 0 {
			continue
		}
		routes = append(routes, littleEndianPrefix(uint32(destination), uint32(mask)))
	}
	return routes
}

func littleEndianPrefix(destination, mask uint32) netip.Prefix {
	var address [4]byte
	binary.LittleEndian.PutUint32(address[:], destination)
	bits := 0
	for ; mask != 0; mask &= mask - 1 {
		bits++
	}
	return netip.PrefixFrom(netip.AddrFrom4(address), bits)
}
