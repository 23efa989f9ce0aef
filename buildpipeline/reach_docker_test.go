package buildpipeline

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// gatewayServer answers on the address that this machine has on the default bridge.
func (b *bench) gatewayServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(b.gateway(t), "0"))
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "secrets of the machine")
	})}}
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

// gateway is this machine's address on the engine's default bridge.
func (b *bench) gateway(t *testing.T) string {
	t.Helper()
	device, err := net.InterfaceByName("docker0")
	require.NoError(t, err)
	addresses, err := device.Addrs()
	require.NoError(t, err)
	for _, address := range addresses {
		if network := address.(*net.IPNet); network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	t.Fatal("the default bridge has no address")
	return ""
}

// neighbour is another container on the default bridge, which answers on port 80.
func (b *bench) neighbour(t *testing.T) string {
	t.Helper()
	made, err := b.docker.ContainerCreate(t.Context(), &container.Config{Image: testBase, Cmd: []string{"python3", "-m", "http.server", "80"}}, nil, nil, nil, "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.removeContainer(context.WithoutCancel(t.Context()), made.ID)) })
	require.NoError(t, b.docker.ContainerStart(t.Context(), made.ID, container.StartOptions{}))
	info, err := b.docker.ContainerInspect(t.Context(), made.ID)
	require.NoError(t, err)
	address := net.JoinHostPort(info.NetworkSettings.Networks["bridge"].IPAddress, "80")
	require.Eventually(t, func() bool {
		connection, err := net.Dial("tcp", address)
		return err == nil && connection.Close() == nil
	}, 10*time.Second, 20*time.Millisecond)
	return address
}

// tryAll tries to connect to each of its arguments, and says what comes of it. It
// begins to before anything else.
const tryAll = `import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 3).close()
        print("REACHED", target)
    except OSError as error:
        print("REFUSED", target, error)
`

// TestStepsReachOnlyTheInternet: not the machine, its other containers or a
// cloud's metadata; the package registry they do.
func TestStepsReachOnlyTheInternet(t *testing.T) {
	b := newBench(t)
	require.Empty(t, b.hindrance(t.Context()), "this machine cannot show it")
	targets := strings.Join([]string{b.gatewayServer(t), b.neighbour(t), "169.254.169.254:80", "192.168.77.1:80", "pypi.org:443", "pypi.org:25"}, " ")
	_, err := b.build(t.Context(), map[string]string{"try.py": tryAll, "Dockerfile": "FROM " + testBase + "\nCOPY try.py /\nRUN python3 /try.py " + targets + "\n"})
	require.NoError(t, err)
	told := strings.Join(b.log.details(), "\n")
	require.Equal(t, 5, strings.Count(told, "REFUSED "), told)
	require.NotContains(t, told, "timed out")
	require.Contains(t, told, "REACHED pypi.org:443")
	require.Contains(t, told, "Connection refused", "it is told at once")
}

// TestStepsOwnPacketsAreBounded too: a step is root in its container, and may make
// packets below the kernel's sockets.
func TestStepsOwnPacketsAreBounded(t *testing.T) {
	b := newBench(t)
	server := b.gatewayServer(t)
	host, port, err := net.SplitHostPort(server)
	require.NoError(t, err)
	for _, everything := range []bool{true, false} {
		b.reach.Everything = everything
		_, err = b.build(t.Context(), map[string]string{
			"try.py": rawPing, "Dockerfile": fmt.Sprintf("FROM %s\nCOPY try.py /\nRUN python3 /try.py %s %s %t\n", testBase, host, port, everything),
		})
		require.NoError(t, err)
		require.Equal(t, everything, strings.Contains(strings.Join(b.log.details(), "\n"), " ANSWERED"))
		b.log.detail = nil
	}
}

// rawPing sends an echo request as a whole Ethernet frame.
const rawPing = `import socket, struct, sys
def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
def mac(text): return bytes.fromhex(text.replace(":", ""))
target = socket.inet_aton(sys.argv[1])
own = open("/sys/class/net/eth0/address").read().strip()
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
probe.connect(("203.0.113.7", 53))
source = socket.inet_aton(probe.getsockname()[0])
gate = "ff:ff:ff:ff:ff:ff"
echo = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"12345678"
echo = struct.pack("!BBHHH", 8, 0, checksum(echo), 7, 1) + b"12345678"
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(echo), 1, 0, 64, 1, 0, source, target)
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(echo), 1, 0, 64, 1, checksum(head), source, target)
for line in open("/proc/net/arp"):
    if line.split()[0] == sys.argv[1]: gate = line.split()[3]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
raw.bind(("eth0", 0))
raw.settimeout(0.5)
answer = "NO ANSWER"
for _ in range(4):
    try:
        raw.send(mac(gate) + mac(own) + b"\x08\x00" + head + echo)
        while True:
            frame = raw.recv(2048)
            if frame[26:30] == target and frame[23] == 1: answer = "ANSWERED"; break
    except OSError as error:
        print(error)
print(answer)
`

// TestReachCanBeWidened by the operator: to one of the machine's addresses, or
// to everything.
func TestReachCanBeWidened(t *testing.T) {
	for _, everything := range []bool{false, true} {
		b := newBench(t)
		server := b.gatewayServer(t)
		b.reach = Reach{Everything: everything}
		if !everything {
			var err error
			b.reach, err = ParseReach([]string{b.gateway(t)})
			require.NoError(t, err)
		}
		_, err := b.build(t.Context(), map[string]string{"try.py": tryAll, "Dockerfile": "FROM " + testBase + "\nCOPY try.py /\nRUN python3 /try.py " + server + "\n"})
		require.NoError(t, err)
		require.Contains(t, strings.Join(b.log.details(), "\n"), "REACHED "+server)
	}
}

// TestFirstMomentIsCovered: many steps that do nothing but connect, as soon as they
// can.
func TestFirstMomentIsCovered(t *testing.T) {
	b := newBench(t)
	host, port, err := net.SplitHostPort(b.gatewayServer(t))
	require.NoError(t, err)
	dockerfile := &strings.Builder{}
	fmt.Fprintf(dockerfile, "FROM %s\nSHELL [\"/bin/bash\", \"-c\"]\n", testBase)
	for i := range 20 {
		fmt.Fprintf(dockerfile, "RUN if { exec 3<>/dev/tcp/%s/%s; } 2>/dev/null; then echo REACHED %d; else echo REFUSED; fi\n", host, port, i)
	}
	_, err = b.build(t.Context(), map[string]string{"Dockerfile": dockerfile.String()})
	require.NoError(t, err)
	told := strings.Join(b.log.details(), "\n")
	require.NotContains(t, told, "\n  REACHED")
	require.Equal(t, 20, strings.Count(told, "\n  REFUSED"), told)
}

// TestAddOfURLs: the engine fetches them from its own network, within the same
// bounds.
func TestAddOfURLs(t *testing.T) {
	b := newBench(t)
	server := b.gatewayServer(t)
	_, err := b.build(t.Context(), map[string]string{"Dockerfile": "FROM " + testBase + "\nADD http://" + server + "/x /x\n"})
	require.True(t, models.IsCode(err, models.Failed), "%v", err)
	require.ErrorContains(t, err, "builds may not reach that address")
	_, err = b.build(t.Context(), map[string]string{"Dockerfile": "FROM " + testBase + "\nADD https://github.com/skypanel/sky.git#main /x\n"})
	require.ErrorContains(t, err, "ADD of a git repository")

	b.reach, err = ParseReach([]string{b.gateway(t)})
	require.NoError(t, err)
	result, err := b.build(t.Context(), map[string]string{
		"Dockerfile": "FROM " + testBase + "\nARG NAME=word\nADD http://" + server + "/${NAME} /added/\nCMD [\"cat\", \"/added/word\"]\n",
	})
	require.NoError(t, err)
	require.Equal(t, "secrets of the machine", b.run(t, result.Image))
}

// TestHindrances: where steps cannot be held to anything, Sky knows, and says so
// once.
func TestHindrances(t *testing.T) {
	elsewhere, err := New(Config{DockerHost: "tcp://127.0.0.1:1"})
	require.NoError(t, err)
	require.NotEmpty(t, elsewhere.hindrance(t.Context()))

	b := newBench(t)
	log := &strings.Builder{}
	b.notes = slog.New(slog.NewTextHandler(log, nil))
	for range 3 {
		held, err := b.boundsUnless(t.Context(), "it is a test")
		require.NoError(t, err)
		require.False(t, held.steps)
		require.NotEmpty(t, held.routes, "what the engine fetches is bounded still")
	}
	require.Equal(t, 1, strings.Count(log.String(), "it is a test"))
}
