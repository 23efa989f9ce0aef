package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/coreos/go-iptables/iptables"
	"github.com/skypanel/sky/internal/resolvers"
)

const (
	filterTable = "filter"
	// chainPrefix begins our chains; the rest is a digest of the rules, so
	// that other rules are another chain and there is no moment without any.
	chainPrefix = "SKY-"
)

// firewall keeps containers from what is not theirs: the Node, its networks
// and the metadata service. Docker filters nothing of it.
type firewall struct{ resolvers []netip.Addr }

// newFirewall reads which resolvers containers may ask.
func newFirewall() firewall { return firewall{resolvers: resolvers.Addresses()} }

// Ensure makes the rules be in force, for IPv4 and IPv6. It changes nothing
// when they are. Without iptables, or the right to use it, it fails.
func (f firewall) Ensure() error {
	return errors.Join(
		wrap("isolate apps over IPv4", f.ensure(iptables.ProtocolIPv4)),
		wrap("isolate apps over IPv6", f.ensure(iptables.ProtocolIPv6)),
	)
}

func (f firewall) ensure(family iptables.Protocol) error {
	tables, err := iptables.New(iptables.IPFamily(family), iptables.Timeout(5))
	if err != nil {
		return fmt.Errorf("find iptables: %w", err)
	}
	rules := isolationRules(family, f.resolvers)
	chain := chainName(rules)
	if err := fillChain(tables, chain, rules); err != nil {
		return err
	}
	for _, parent := range []string{"DOCKER-USER", "INPUT"} {
		if err := jumpFirst(tables, parent, chain); err != nil {
			return err
		}
	}
	return dropOldChains(tables, chain)
}

// isolationRules are what a packet from an App meets, in order. RETURN lets
// it go on to the rules of Docker and the host.
func isolationRules(family iptables.Protocol, resolvers []netip.Addr) [][]string {
	rules := [][]string{
		{"-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "RETURN"},
		{"-m", "physdev", "--physdev-is-bridged", "-j", "RETURN"}, // within one App's network
	}
	if family == iptables.ProtocolIPv6 {
		rules = append(rules, []string{"-p", "ipv6-icmp", "-j", "RETURN"})
	}
	for _, resolver := range resolvers {
		if resolver.Is4() == (family == iptables.ProtocolIPv4) {
			for _, transport := range []string{"udp", "tcp"} {
				rules = append(rules, []string{"-d", resolver.String(), "-p", transport, "--dport", "53", "-j", "RETURN"})
			}
		}
	}
	for _, network := range forbiddenNetworks(family) {
		rules = append(rules, []string{"-d", network, "-j", "REJECT"})
	}
	return append(rules, []string{"-p", "tcp", "--dport", "25", "-j", "REJECT"})
}

func forbiddenNetworks(family iptables.Protocol) []string {
	if family == iptables.ProtocolIPv6 {
		return []string{"::1/128", "fc00::/7", "fe80::/10"}
	}
	return []string{"169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8"}
}

func chainName(rules [][]string) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(rules)))
	return chainPrefix + hex.EncodeToString(sum[:4])
}

// fillChain makes the chain be there, whole. Its last rule says that it is:
// a chain that an agent left half done is filled again.
func fillChain(tables *iptables.IPTables, chain string, rules [][]string) error {
	exists, err := tables.ChainExists(filterTable, chain)
	if err != nil {
		return fmt.Errorf("look for chain %s: %w", chain, err)
	}
	if exists {
		whole, err := tables.Exists(filterTable, chain, rules[len(rules)-1]...)
		if err != nil || whole {
			return wrap("look into chain "+chain, err)
		}
	}
	if err := tables.ClearChain(filterTable, chain); err != nil {
		return fmt.Errorf("make chain %s: %w", chain, err)
	}
	for _, rule := range rules {
		if err := tables.Append(filterTable, chain, rule...); err != nil && !slices.Contains(rule, "physdev") {
			return fmt.Errorf("add rule %q: %w", strings.Join(rule, " "), err)
		}
	}
	return nil
}

// jumpFirst makes everything that comes from an App meet our chain first.
func jumpFirst(tables *iptables.IPTables, parent, chain string) error {
	exists, err := tables.ChainExists(filterTable, parent)
	if err != nil {
		return fmt.Errorf("look for chain %s: %w", parent, err)
	}
	if !exists {
		if err := tables.NewChain(filterTable, parent); err != nil {
			return fmt.Errorf("make chain %s: %w", parent, err)
		}
	}
	if err := tables.InsertUnique(filterTable, parent, 1, "-i", bridgePrefix+"+", "-j", chain); err != nil {
		return fmt.Errorf("jump from %s: %w", parent, err)
	}
	return nil
}

// dropOldChains removes what an agent with other rules left.
func dropOldChains(tables *iptables.IPTables, keep string) error {
	chains, err := tables.ListChains(filterTable)
	if err != nil {
		return fmt.Errorf("list chains: %w", err)
	}
	for _, chain := range chains {
		if !strings.HasPrefix(chain, chainPrefix) || chain == keep {
			continue
		}
		for _, parent := range []string{"DOCKER-USER", "INPUT"} {
			if err := tables.DeleteIfExists(filterTable, parent, "-i", bridgePrefix+"+", "-j", chain); err != nil {
				return fmt.Errorf("drop jump to %s: %w", chain, err)
			}
		}
		if err := tables.ClearAndDeleteChain(filterTable, chain); err != nil {
			return fmt.Errorf("drop chain %s: %w", chain, err)
		}
	}
	return nil
}
