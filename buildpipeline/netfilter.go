package buildpipeline

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// filterTable is the table in a step's own network namespace, which goes with it.
	filterTable = "sky"
	// stepDevice is what the engine calls a container's way out.
	stepDevice = "eth0"
	// reset and unreachable are types of refusals, and prohibited is a code of the
	// latter, for both families (linux/netfilter/nf_tables.h).
	reset       = 1
	unreachable = 2
	prohibited  = 3
)

// errEnded says that a process is there no more.
var errEnded = errors.New("the process has ended")

// errNoNamespace says that a process has no network namespace of its own.
var errNoNamespace = errors.New("the step shares this machine's network")

// canFilter reports whether this process may filter packets.
func canFilter() error {
	connection, err := nftables.New()
	if err != nil {
		return err
	}
	_, err = connection.ListTablesOfFamily(nftables.TableFamilyINet)
	return err
}

// namespace is the network of a step.
type namespace struct {
	file   *os.File
	filter *nftables.Conn
}

// openNamespace opens the network of a process, or is errEnded.
func openNamespace(proc, pid string) (*namespace, error) {
	file, err := os.Open(filepath.Join(proc, pid, "ns/net"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, errEnded
	}
	if err != nil {
		return nil, fmt.Errorf("open the step's network: %w", err)
	}
	same, err := isOurs(file)
	if err != nil || same {
		return nil, errors.Join(err, errNoNamespace, file.Close())
	}
	filter, err := nftables.New(nftables.WithNetNSFd(int(file.Fd())), nftables.WithSockOptions(roomForRules))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the step's packet filter: %w", err), file.Close())
	}
	return &namespace{file, filter}, nil
}

// roomForRules makes room for all rules, which are one message, and for the kernel's
// answer to each before the first can be read: the default has it for a hundred or two.
func roomForRules(socket *netlink.Conn) error {
	const room = 16 << 20
	return errors.Join(socket.SetWriteBuffer(room), socket.SetReadBuffer(room))
}

func (n *namespace) Close() error { return n.file.Close() }

// confine has the kernel refuse what routes refuse to all processes of the step,
// for good: a step may not change that.
func (n *namespace) confine(routes []route) error {
	refuseAtSockets(n.filter, routes)
	if err := n.filter.Flush(); err != nil {
		return fmt.Errorf("bound the step's network: %w", err)
	}
	return nil
}

// confineDevice has it refuse packets that a step makes below the kernel's own
// sockets, too. It fails where the device is not there yet, and on kernels before
// 5.16, which cannot do that.
func (n *namespace) confineDevice(routes []route) error {
	dropAtDevice(n.filter, routes)
	return n.filter.Flush()
}

// isOurs reports whether the namespace is the one that this process is in.
func isOurs(namespace *os.File) (bool, error) {
	its, err := namespace.Stat()
	if err != nil {
		return false, fmt.Errorf("look at the step's network: %w", err)
	}
	own, err := os.Stat("/proc/self/ns/net")
	if err != nil {
		return false, fmt.Errorf("look at this machine's network: %w", err)
	}
	return os.SameFile(its, own), nil
}

// refuseAtSockets answers at once, so that programs need not wait: TCP by a reset,
// as its sockets take anything else for a passing trouble while they connect.
func refuseAtSockets(connection *nftables.Conn, routes []route) {
	table := connection.AddTable(&nftables.Table{Name: filterTable, Family: nftables.TableFamilyINet})
	chain := connection.AddChain(&nftables.Chain{
		Name: "output", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter,
	})
	rule := func(expressions ...expr.Any) {
		connection.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: expressions})
	}
	overTCP := &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}
	accept := &expr.Verdict{Kind: expr.VerdictAccept}
	rule(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, equals([]byte("lo\x00")), accept)
	rule(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{unix.IPPROTO_ICMPV6}), accept) // finds neighbours
	for _, route := range routes {
		for _, matches := range route.expressions(expr.MetaKeyNFPROTO, family) {
			if !route.allowed {
				rule(append(matches[:len(matches):len(matches)], overTCP, equals([]byte{unix.IPPROTO_TCP}), &expr.Reject{Type: reset})...)
			}
			rule(append(matches, route.verdict(&expr.Reject{Type: unreachable, Code: prohibited}))...)
		}
	}
}

// dropAtDevice sees packets that no socket of the kernel's made, too.
func dropAtDevice(connection *nftables.Conn, routes []route) {
	table := connection.AddTable(&nftables.Table{Name: filterTable, Family: nftables.TableFamilyNetdev})
	chain := connection.AddChain(&nftables.Chain{
		Name: "egress", Table: table, Type: nftables.ChainTypeFilter, Device: stepDevice,
		Hooknum: nftables.ChainHookEgress, Priority: nftables.ChainPriorityFilter,
	})
	neighbours := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, equals(etherType(netip.IPv6Unspecified())),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{unix.IPPROTO_ICMPV6}), &expr.Verdict{Kind: expr.VerdictAccept},
	}
	connection.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: neighbours})
	for _, route := range routes {
		for _, matches := range route.expressions(expr.MetaKeyPROTOCOL, etherType) {
			connection.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(matches, route.verdict(&expr.Verdict{Kind: expr.VerdictDrop}))})
		}
	}
}

func (r route) verdict(refusal expr.Any) expr.Any {
	if r.allowed {
		return &expr.Verdict{Kind: expr.VerdictAccept}
	}
	return refusal
}

// expressions match packets of the route: one list for each transport, where the
// route is of a port. kindOf is what key says of an address' family.
func (r route) expressions(key expr.MetaKey, kindOf func(netip.Addr) []byte) [][]expr.Any {
	offset, length := uint32(16), uint32(4)
	if r.to.Addr().Is6() {
		offset, length = 24, 16
	}
	matches := []expr.Any{
		&expr.Meta{Key: key, Register: 1}, equals(kindOf(r.to.Addr())),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: length},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: length, Mask: mask(r.to.Bits(), int(length)), Xor: make([]byte, length)},
		equals(r.to.Addr().AsSlice()),
	}
	if r.port == 0 {
		return [][]expr.Any{matches}
	}
	var all [][]expr.Any
	for _, transport := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		all = append(all, append(matches[:len(matches):len(matches)],
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{transport}),
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			equals(binaryutil.BigEndian.PutUint16(r.port))))
	}
	return all
}

func equals(value []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value} }

func mask(bits, length int) []byte {
	made := make([]byte, length)
	for i := range bits {
		made[i/8] |= 0x80 >> (i % 8)
	}
	return made
}

func family(address netip.Addr) []byte {
	if address.Is6() {
		return []byte{unix.NFPROTO_IPV6}
	}
	return []byte{unix.NFPROTO_IPV4}
}

func etherType(address netip.Addr) []byte {
	if address.Is6() {
		return binaryutil.BigEndian.PutUint16(unix.ETH_P_IPV6)
	}
	return binaryutil.BigEndian.PutUint16(unix.ETH_P_IP)
}
