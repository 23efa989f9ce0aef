package agent

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listening tells where the processes in a container listen. It looks from
// the outside, and says nothing when it may not look.
func listening(pid int) []string {
	var found []string
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err == nil {
			found = append(found, listeners(content)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// listeners reads a table of /proc/net. Docker's own resolver, which listens
// in every container, is left out.
func listeners(table []byte) []string {
	const listen = "0A"
	var found []string
	for scanner := bufio.NewScanner(bytes.NewReader(table)); scanner.Scan(); {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 4 || fields[3] != listen {
			continue
		}
		address, err := socketAddress(fields[1])
		if err == nil && address.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 11}) {
			found = append(found, address.String())
		}
	}
	return found
}

// socketAddress reads "0100007F:1388": the address in words of the machine's
// order, then the port.
func socketAddress(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(host)
	if err != nil || len(words)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("socket address %q", text)
	}
	for word := words; len(word) > 0; word = word[4:] {
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
	}
	address, ok := netip.AddrFromSlice(words)
	number, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, fmt.Errorf("socket address %q", text)
	}
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), nil
}
