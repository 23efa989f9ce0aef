package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-iptables/iptables"

	"github.com/skypanel/sky/agent/protocol"
)

func TestListenersAreReadFromProc(t *testing.T) {
	table := `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000
   1: 0B00007F:9C41 00000000:0000 0A 00000000:00000000
   2: 0100007F:1389 0100007F:1388 01 00000000:00000000
   3: 00000000:0BB8 00000000:0000 0A 00000000:00000000
   4: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A
   5: nonsense 0 0A`
	if got := strings.Join(listeners([]byte(table)), " "); got != "127.0.0.1:5000 0.0.0.0:3000 [::1]:80" {
		t.Errorf("listeners %s", got)
	}
}

func TestListenReason(t *testing.T) {
	for want, got := range map[string]string{
		"did not listen on $PORT (3000) within 60s; it listens on 127.0.0.1:5000": listenReason(3000, time.Minute, []string{"127.0.0.1:5000"}),
		"did not listen on $PORT (3000) within 5 minutes; it listens on no port":  listenReason(3000, 5*time.Minute, nil),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestFreeSubnet(t *testing.T) {
	within := netip.MustParsePrefix("10.210.0.0/24")
	var taken []netip.Prefix
	for _, want := range []string{"10.210.0.0/26", "10.210.0.64/26", "10.210.0.128/26", "10.210.0.192/26"} {
		subnet, err := freeSubnet(within, 26, taken)
		if err != nil || subnet.String() != want {
			t.Fatalf("%s, %v; want %s", subnet, err, want)
		}
		taken = append(taken, subnet)
	}
	if _, err := freeSubnet(within, 26, taken); !errors.Is(err, errNoSubnet) {
		t.Errorf("a full range: %v", err)
	}
	if subnet, _ := freeSubnet(within, 26, []netip.Prefix{netip.MustParsePrefix("10.210.0.70/32")}); subnet.String() != "10.210.0.0/26" {
		t.Errorf("beside a host route: %s", subnet)
	}
	if _, err := freeSubnet(within, 26, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}); err == nil {
		t.Error("a wider network was overlooked")
	}
}

func TestHostRoutes(t *testing.T) {
	table := "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	if got := fmt.Sprint(hostRoutes([]byte(table))); got != "[192.0.2.0/24]" {
		t.Errorf("routes %s", got)
	}
}

func TestCursorGrowsStrictlyAndSkipsWhatWasSent(t *testing.T) {
	at := func(nanos ...int) []protocol.LogLine {
		var lines []protocol.LogLine
		for i, n := range nanos {
			lines = append(lines, protocol.LogLine{Time: started().Add(time.Duration(n)), Text: fmt.Sprint(i)})
		}
		return lines
	}
	lines := at(10, 10, 10, 12, 11, 50)
	read := func(c *cursor) (sent []string, last time.Time) {
		for _, line := range lines {
			if c.advance(&line) {
				sent, last = append(sent, line.Text), line.Time
			}
		}
		return sent, last
	}
	all, _ := read(newCursor(time.Time{}))
	if len(all) != len(lines) {
		t.Fatalf("sent %v", all)
	}
	for kept := range lines { // resumed after any line, the rest follows and no more
		first := newCursor(time.Time{})
		var after time.Time
		for _, line := range lines[:kept+1] {
			first.advance(&line)
			after = line.Time
		}
		rest, _ := read(newCursor(after))
		if strings.Join(rest, "") != "012345"[kept+1:] {
			t.Errorf("after line %d came %v", kept, rest)
		}
	}
}

func TestLogIsSplitIntoLines(t *testing.T) {
	var stream bytes.Buffer
	message := func(source byte, text string) {
		header := make([]byte, 8)
		header[0] = source
		binary.BigEndian.PutUint32(header[4:], uint32(len(text)))
		stream.Write(append(header, text...))
	}
	message(1, "2026-01-01T00:00:00.000000001Z hello world\n")
	message(2, "2026-01-01T00:00:00.000000002Z \n")
	message(1, "2026-01-01T00:00:00.000000003Z "+strings.Repeat("x", maxLine+5)+"\r\n")
	message(1, "2026-01-01T00:00:00.000000004Z bad \xff byte")
	var got []string
	err := readLog(&stream, func(line protocol.LogLine) error {
		got = append(got, fmt.Sprintf("%d %v %d %.11s", line.Time.Nanosecond(), line.Stderr, len(line.Text), line.Text))
		return nil
	})
	want := []string{"1 false 11 hello world", "2 true 0 ", "3 false 16384 xxxxxxxxxxx", "3 false 5 xxxxx", "4 false 12 bad \uFFFD byte"}
	if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	stream.WriteString("\x01\x00\x00\x00\x00\x00\x00\x09short")
	if err := readLog(&stream, func(protocol.LogLine) error { return nil }); err == nil {
		t.Error("a log that was cut is no error")
	}
}

func TestDiskKeepsWhatItSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, err := openDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	if saved, err := d.Assignment(); saved != nil || err != nil {
		t.Errorf("a fresh disk has %v, %v", saved, err)
	}
	if _, err := openDisk(dir); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("a second agent: %v", err)
	}
	if err := d.SaveAssignment(protocol.Assignment{Generation: 3}); err != nil {
		t.Fatal(err)
	}
	if err := d.SaveFailure(protocol.InstanceStatus{ID: "../../etc/x", Reason: "r"}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, assignmentFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	_ = d.Close()
	again, err := openDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	saved, err := again.Assignment()
	failures, failuresErr := again.Failures()
	if err != nil || failuresErr != nil || saved.Generation != 3 || failures["../../etc/x"].Reason != "r" {
		t.Errorf("loaded %v %v, %v %v", saved, err, failures, failuresErr)
	}
	for range 2 {
		if err := again.ForgetFailure("../../etc/x"); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, assignmentFile), []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Assignment(); err == nil {
		t.Error("a torn file was read")
	}
}

func TestUserIsForcedOnlyForRootImages(t *testing.T) {
	for image, want := range map[string]string{"": plainUser, "root": plainUser, "0": plainUser, "0:0": plainUser, "root:wheel": plainUser, "00": plainUser, "app": "", "10001:10001": "", "1000": ""} {
		if got := containerUser(protocol.Instance{}, image); got != want {
			t.Errorf("image user %q runs as %q, want %q", image, got, want)
		}
		if got := containerUser(protocol.Instance{RootUser: true}, image); got != "" {
			t.Errorf("image user %q with leave runs as %q", image, got)
		}
	}
	root := hostConfig(protocol.Instance{RootUser: true, WritableRoot: true}, "n")
	if strings.Join(root.CapAdd, " ") != "CHOWN SETUID SETGID DAC_OVERRIDE FOWNER" || root.ReadonlyRootfs {
		t.Errorf("root user: %v, read-only %v", root.CapAdd, root.ReadonlyRootfs)
	}
}

func TestFirewallIsIdempotent(t *testing.T) {
	rules := newFirewall()
	for range 2 {
		if err := rules.ensure(iptables.ProtocolIPv4); err != nil {
			t.Skip(err)
		}
	}
	tables, err := iptables.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := (firewall{resolvers: []netip.Addr{netip.MustParseAddr("192.0.2.53")}}).ensure(iptables.ProtocolIPv4); err != nil {
		t.Fatal(err)
	}
	if err := rules.ensure(iptables.ProtocolIPv4); err != nil {
		t.Fatal(err)
	}
	for _, parent := range []string{"DOCKER-USER", "INPUT"} {
		listed, err := tables.List(filterTable, parent)
		if jumps := strings.Count(strings.Join(listed, "\n"), "-j "+chainPrefix); err != nil || jumps != 1 {
			t.Errorf("%s jumps %d times: %v, %v", parent, jumps, listed, err)
		}
	}
}

func TestBoardTellsWhenAGenerationIsInForce(t *testing.T) {
	b := newBoard()
	b.Expect(1, []string{"a", "b"})
	b.Report("a", 1, nil)
	if got := b.Snapshot().Generation; got != 0 {
		t.Errorf("generation %d before all Apps applied it", got)
	}
	b.Report("b", 1, []protocol.InstanceStatus{{ID: "i", State: protocol.StateHealthy, Container: "c"}})
	if got := b.Snapshot().Generation; got != 1 {
		t.Errorf("generation %d, want 1", got)
	}
	b.Expect(2, []string{"a", "b"})
	b.Report("a", 1, nil) // a late one
	b.Report("b", 2, nil)
	if got := b.Snapshot().Generation; got != 1 {
		t.Errorf("generation %d, want 1 still", got)
	}
	b.Retire("a")
	if got := b.Snapshot().Generation; got != 2 {
		t.Errorf("generation %d, want 2", got)
	}
}

func TestBoardSaysOnceThatAnInstanceStopped(t *testing.T) {
	b := newBoard()
	b.Depart(protocol.InstanceStatus{ID: "i", State: protocol.StateStopped, Cut: 2})
	unsent := b.Snapshot()
	if sent := b.Snapshot(); len(unsent.Instances) != 1 || len(sent.Instances) != 1 {
		t.Error("it was dropped before it was sent")
	}
	b.Said(unsent)
	if left := b.Snapshot(); len(left.Instances) != 0 {
		t.Errorf("still listed: %v", left)
	}
	b.Trouble("engine", errors.New("away\nfar"))
	b.Trouble("disk", nil)
	if got := b.Snapshot().Trouble; got != "engine: away; far" {
		t.Errorf("trouble %q", got)
	}
}

func TestUsageIsMeasured(t *testing.T) {
	beat := newUsage(t.TempDir()).Beat(3)
	if beat.MemoryUsed <= 0 || beat.DiskTotal <= beat.DiskUsed || beat.Containers != 3 || beat.CPUPercent < 0 || beat.CPUPercent > 100 {
		t.Errorf("beat %+v", beat)
	}
}

func TestMissingCommandIsRead(t *testing.T) {
	if command, missing := missingCommand([]string{"x", "[FATAL tini (7)] exec nope failed: No such file or directory"}); !missing || command != "nope" {
		t.Errorf("%q, %v", command, missing)
	}
	if _, missing := missingCommand([]string{"exec nope failed: No such file"}); missing {
		t.Error("an app's own words were taken for the init process'")
	}
}

func TestNewRefusesWhatItCannotRun(t *testing.T) {
	if _, err := New(Config{NodeID: "n"}); err == nil {
		t.Error("an agent without a server was made")
	}
}

func TestLimitsStayWithinTheNode(t *testing.T) {
	for _, c := range []struct {
		nanos int64
		cpus  int
		want  int64
	}{{500_000_000, 2, 500_000_000}, {4_000_000_000, 2, 2_000_000_000}, {4_000_000_000, 8, 4_000_000_000}} {
		if got := atMost(c.nanos, c.cpus); got != c.want {
			t.Errorf("atMost(%d, %d) = %d", c.nanos, c.cpus, got)
		}
	}
}

// stuckLog is an engine that never ends a log that is followed.
type stuckLog struct{ engine }

func (stuckLog) Log(ctx context.Context, _ string, query logQuery, _ func(protocol.LogLine) error) error {
	if !query.Follow {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

// TestALogThatNeverEndsIsLeft: its container could not be removed else for as long
// as a link has patience.
func TestALogThatNeverEndsIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shipper{engine: stuckLog{}, final: make(chan struct{})}
		time.AfterFunc(time.Minute, func() { close(s.final) })
		began := time.Now()
		if err := s.follow(t.Context(), nil, newCursor(time.Time{})); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Minute+shipEnd {
			t.Errorf("left after %s", took)
		}
	})
}
