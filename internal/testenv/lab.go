package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/docker/client"
)

// Lab is a network of machines on this one: each has a network namespace and a
// Docker engine of its own, and an address on a bridge that this machine is on too.
type Lab struct {
	// Address is this machine's on the bridge.
	Address string
	bridge  string
	prefix  string // of the machines' addresses
	nodes   map[string]*Machine
}

// Machine is one of a Lab.
type Machine struct {
	Address string
	// Docker is the address of its engine.
	Docker string

	name   string // of its namespace
	port   string // the bridge's end of its cable
	dir    string
	engine *exec.Cmd
}

// NewLab makes the bridge. It needs root and iproute2; without root the test is
// skipped. The caller ends it with Remove.
func NewLab(t testing.TB) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network of machines needs root")
	}
	l, err := OpenLab()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// maxLabs is how many Labs there may be at once on this machine.
const maxLabs = 200

// labs begins the addresses of all Labs' machines.
const labs = "10.199."

// labAddress is that of the Lab's machine that this process runs on; "" elsewhere.
func labAddress() string {
	cable, err := net.InterfaceByName("eth0")
	if err != nil {
		return ""
	}
	addresses, _ := cable.Addrs()
	for _, address := range addresses {
		if ip, _, _ := strings.Cut(address.String(), "/"); strings.HasPrefix(ip, labs) {
			return ip
		}
	}
	return ""
}

// OpenLab is NewLab for who has no test.
func OpenLab() (*Lab, error) {
	var err error
	for i := range maxLabs {
		number := (os.Getpid() + i) % maxLabs
		l := &Lab{bridge: fmt.Sprintf("skylab%d", number), prefix: fmt.Sprintf("%s%d.", labs, number), nodes: map[string]*Machine{}}
		l.Address = l.prefix + "1"
		if err = run("ip", "link", "add", l.bridge, "type", "bridge"); err != nil {
			continue // it is another's
		}
		up := errors.Join(
			run("ip", "addr", "add", l.Address+"/24", "dev", l.bridge), run("ip", "link", "set", l.bridge, "up"),
			run(append([]string{"iptables", "-I"}, l.passes()...)...),
		)
		if up != nil {
			l.Remove()
			return nil, up
		}
		return l, nil
	}
	return nil, err
}

// passes lets the machines reach one another: this machine's Docker has the firewall
// look at bridges, and drops what it did not put there.
func (l *Lab) passes() []string {
	return []string{"FORWARD", "-i", l.bridge, "-o", l.bridge, "-j", "ACCEPT"}
}

func run(command ...string) error {
	if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, output)
	}
	return nil
}

// Hardware is what kind of machine one is.
type Hardware struct {
	// Megabytes is the size of its engine's disk; 0 is this machine's.
	Megabytes int
	// Swarm makes it a manager of a Docker Swarm, whose engine lets no container gain
	// privileges: of that of Peer, or where that is nil, of its own.
	Swarm bool
	Peer  *Machine
}

// Add makes a machine with an engine that has no images.
func (l *Lab) Add(name string) (*Machine, error) { return l.AddOf(name, Hardware{}) }

// AddOf is Add for a machine of some kind.
func (l *Lab) AddOf(name string, hardware Hardware) (*Machine, error) {
	if l.nodes[name] != nil {
		return nil, fmt.Errorf("there is a machine %s already", name)
	}
	dir, err := os.MkdirTemp("", "sky-lab-")
	if err != nil {
		return nil, err
	}
	number := len(l.nodes) + 2
	m := &Machine{
		Address: fmt.Sprintf("%s%d", l.prefix, number), Docker: "unix://" + filepath.Join(dir, "docker.sock"),
		name: fmt.Sprintf("%s-%d", l.bridge, number), port: fmt.Sprintf("%sp%d", l.bridge[3:], number), dir: dir,
	}
	l.nodes[name] = m
	for _, command := range [][]string{
		{"ip", "netns", "add", m.name},
		{"ip", "link", "add", m.port, "type", "veth", "peer", "name", "eth0", "netns", m.name},
		{"ip", "link", "set", m.port, "master", l.bridge, "up"},
		{"ip", "-n", m.name, "addr", "add", m.Address + "/24", "dev", "eth0"},
		{"ip", "-n", m.name, "link", "set", "eth0", "up"},
		{"ip", "-n", m.name, "link", "set", "lo", "up"},
		{"ip", "-n", m.name, "route", "add", "default", "via", l.Address},
	} {
		if err := run(command...); err != nil {
			return nil, err
		}
	}
	if hardware.Megabytes > 0 {
		if err := run("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", hardware.Megabytes), m.name, m.dir); err != nil {
			return nil, err
		}
	}
	if !hardware.Swarm {
		return m, m.startEngine()
	}
	if err := m.startEngine("--no-new-privileges"); err != nil {
		return nil, err
	}
	return m, m.enterSwarm(hardware.Peer)
}

// enterSwarm must not be done with this machine's engine: Swarm makes a bridge where
// the engine is.
func (m *Machine) enterSwarm(peer *Machine) error {
	if peer == nil {
		_, err := m.docker("swarm", "init", "--advertise-addr", m.Address)
		return err
	}
	token, err := peer.docker("swarm", "join-token", "--quiet", "manager")
	if err == nil {
		_, err = m.docker("swarm", "join", "--advertise-addr", m.Address, "--token", token, peer.Address)
	}
	return err
}

// docker returns what a command of the machine's engine prints.
func (m *Machine) docker(args ...string) (string, error) {
	output, err := m.Command("docker", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output)), nil
}

// Machine returns the one of this name, or nil.
func (l *Lab) Machine(name string) *Machine { return l.nodes[name] }

// Command is a command that runs on the machine. Only its network is another: an
// engine needs the control groups that `ip netns exec` would hide.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	command := exec.Command("nsenter", append([]string{"--net=/run/netns/" + m.name, name}, args...)...)
	command.Env = append(os.Environ(), "DOCKER_HOST="+m.Docker)
	return command
}

func (m *Machine) startEngine(flags ...string) error {
	file := func(name string) string { return filepath.Join(m.dir, name) }
	log, err := os.OpenFile(file("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	flags = append([]string{"-H", m.Docker, "--data-root", file("data"), "--exec-root", file("exec"), "--pidfile", file("pid")}, flags...)
	m.engine = m.Command("dockerd", flags...)
	m.engine.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	m.engine.Stdout, m.engine.Stderr = log, log
	if err := m.engine.Start(); err != nil {
		return err
	}
	return (&Engine{Host: m.Docker, dir: m.dir}).answers()
}

// Load copies images from this machine's engine.
func (m *Machine) Load(images ...string) error {
	from, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	return errors.Join((&Engine{Host: m.Docker}).load(from, images), from.Close())
}

// Grow gives the disk of a machine that was made with one of its own another size.
func (m *Machine) Grow(megabytes int) error {
	return run("mount", "-o", fmt.Sprintf("remount,size=%dm", megabytes), m.dir)
}

// Received is how many bytes have come to the machine over its cable.
func (m *Machine) Received() (int64, error) {
	text, err := os.ReadFile(filepath.Join("/sys/class/net", m.port, "statistics", "tx_bytes"))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
}

// Unplug takes the machine's cable out; Plug puts it back.
func (m *Machine) Unplug() error { return run("ip", "link", "set", m.port, "down") }

// Plug puts the machine's cable back.
func (m *Machine) Plug() error { return run("ip", "link", "set", m.port, "up") }

// Kill ends everything on the machine, as a power loss does: nothing says goodbye.
func (m *Machine) Kill() error {
	err := m.Unplug()
	pids, listErr := exec.Command("ip", "netns", "pids", m.name).Output()
	for pid := range strings.FieldsSeq(string(pids)) {
		number := 0
		if _, scanErr := fmt.Sscan(pid, &number); scanErr == nil {
			_ = syscall.Kill(number, syscall.SIGKILL) // it may have ended
		}
	}
	if m.engine != nil && m.engine.ProcessState == nil {
		_ = m.engine.Process.Kill()
		_ = m.engine.Wait()
		m.killContainers()
	}
	return errors.Join(err, listErr)
}

// killContainers ends the containers, which have namespaces of their own. Their
// shims are found by the directory of the machine's engine.
func (m *Machine) killContainers() {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, entry := range entries {
		line, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if err != nil || !strings.Contains(string(line), m.dir) {
			continue
		}
		number := 0
		if _, err := fmt.Sscan(entry.Name(), &number); err == nil {
			m.killWithChildren(number)
		}
	}
}

// killWithChildren ends a shim's children first: with the shim, they would be
// init's.
func (m *Machine) killWithChildren(pid int) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		number := 0
		if _, err := fmt.Sscan(child, &number); err == nil {
			m.killWithChildren(number)
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
}

// Remove ends all machines and deletes what they had.
func (l *Lab) Remove() {
	for _, m := range l.nodes {
		_ = m.Kill()
		unmountUnder(m.dir)
		_ = exec.Command("ip", "netns", "del", m.name).Run()
		_ = exec.Command("ip", "link", "del", m.port).Run()
		_ = os.RemoveAll(m.dir)
	}
	_ = run(append([]string{"iptables", "-D"}, l.passes()...)...)
	_ = exec.Command("ip", "link", "del", l.bridge).Run()
}

// unmountUnder unmounts what a killed engine left mounted in its directory.
func unmountUnder(dir string) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[1], dir) {
			_ = exec.Command("umount", "-l", fields[1]).Run()
		}
	}
}
