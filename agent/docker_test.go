package agent

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	containertypes "github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/client"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/skypanel/sky/agent/protocol"
)

// testImage is this process's own: packages may be tested side by side.
var testImage = fmt.Sprintf("sky-agent-test:%d", os.Getpid())

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		removeTestImage()
		os.Exit(code)
	}))
}

func removeTestImage() {
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return
	}
	defer api.Close()
	_, _ = api.ImageRemove(context.Background(), testImage, image.RemoveOptions{Force: true})
}

// needDocker builds the test App's image once. It skips without an engine,
// unless SKY_TEST_DOCKER says that there must be one.
func needDocker(t *testing.T) {
	t.Helper()
	if err := buildTestImage(); err != nil {
		if os.Getenv("SKY_TEST_DOCKER") == "required" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

var buildTestImage = sync.OnceValue(importTestImage)

func importTestImage() error {
	ctx := context.Background()
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return err
	}
	defer api.Close()
	if _, err := api.Ping(ctx); err != nil {
		return err
	}
	layer, err := testLayer()
	if err != nil {
		return err
	}
	progress, err := api.ImageImport(ctx, image.ImportSource{Source: layer, SourceName: "-"}, testImage,
		image.ImportOptions{Changes: []string{`ENTRYPOINT ["/testapp"]`, "LABEL sky.test=1"}})
	if err != nil {
		return err
	}
	defer progress.Close()
	_, err = io.Copy(io.Discard, progress)
	return err
}

func testLayer() (io.Reader, error) {
	dir, err := os.MkdirTemp("", "sky-testapp")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "testapp")
	build := exec.Command("go", "build", "-o", binary, "./testapp")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod -buildvcs=false")
	if output, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build testapp: %w: %s", err, output)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	writer := tar.NewWriter(&layer)
	_ = writer.WriteHeader(&tar.Header{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777})
	_ = writer.WriteHeader(&tar.Header{Name: "testapp", Mode: 0o755, Size: int64(len(content))})
	_, _ = writer.Write(content)
	return &layer, writer.Close()
}

// rig is an agent on real Docker with a control plane.
type rig struct {
	*controlPlane
	t      *testing.T
	node   string
	appID  string
	dir    string
	api    *client.Client
	config Config
	stop   func()
	agent  *Agent
}

func newRig(t *testing.T) *rig {
	t.Helper()
	needDocker(t)
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{controlPlane: newControlPlane(t), t: t, node: "test-" + uuid.NewString(), appID: uuid.NewString(), dir: t.TempDir(), api: api}
	t.Cleanup(func() { r.leavesNothing(); _ = api.Close() })
	r.start()
	return r
}

// start runs an agent, until stop or the end of the test.
func (r *rig) start() {
	r.t.Helper()
	config := Config{
		NodeID: r.node, Runtime: testRuntime(), DataDir: r.dir, ServerURL: r.server.URL, Hold: 10 * time.Second, Version: "test",
		Token: func(context.Context) (string, error) { return "secret", nil }, IngressAddr: "127.0.0.1:0",
		HTTPClient: r.server.Client(),
	}
	if os.Getenv("SKY_TEST_LOG") != "" {
		config.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	config.Listener = listener
	agent, err := New(config)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx) }()
	r.config, r.agent = config, agent
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("agent ended: %v", err)
		}
	})
	r.t.Cleanup(r.stop)
}

// leavesNothing empties the Assignment, and requires that Docker has no trace.
func (r *rig) leavesNothing() {
	r.Refuse(false)
	if r.stop(); r.t.Failed() {
		defer r.sweep()
	}
	r.start()
	generation := r.Assign(nil)
	r.Wait("nothing runs", func(o protocol.Observed) bool { return o.Generation >= generation && len(o.Instances) == 0 })
	deadline := time.Now().Add(20 * time.Second)
	for r.traces() != "" && time.Now().Before(deadline) {
		<-time.After(20 * time.Millisecond)
	}
	if left := r.traces(); left != "" {
		r.t.Errorf("left behind: %s", left)
	}
	r.stop()
}

func (r *rig) mine() filters.Args { return filters.NewArgs(filters.Arg("label", labelNode+"="+r.node)) }

func (r *rig) traces() string {
	found := r.swarmTraces()
	for _, c := range r.containers() {
		found = append(found, c.Names...)
	}
	networks, err := r.api.NetworkList(context.Background(), network.ListOptions{Filters: r.mine()})
	if err != nil {
		return err.Error()
	}
	for _, n := range networks {
		found = append(found, n.Name)
	}
	return strings.Join(found, " ")
}

func (r *rig) containers() []containertypes.Summary {
	found, err := r.api.ContainerList(context.Background(), containertypes.ListOptions{All: true, Filters: r.mine()})
	if err != nil {
		r.t.Error(err)
	}
	return found
}

// leaves waits until there are no more than count containers.
func (r *rig) leaves(count int) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for len(r.containers()) > count {
		select {
		case <-ticker.C:
		case <-deadline:
			r.t.Errorf("%d containers are left, want %d", len(r.containers()), count)
			return
		}
	}
}

// sweep removes what a test that failed left.
func (r *rig) sweep() {
	for _, c := range r.containers() {
		_ = r.api.ContainerRemove(context.Background(), c.ID, containertypes.RemoveOptions{Force: true})
	}
	_, _ = r.api.NetworksPrune(context.Background(), r.mine())
}

// instance describes one of the test App.
func (r *rig) instance(version string, change ...func(*protocol.Instance)) protocol.Instance {
	instance := protocol.Instance{
		ID: uuid.NewString(), AppID: r.appID, App: "shop", ReleaseID: uuid.NewString(), Release: 1, Process: "web", Ordinal: 1,
		Image: testImage, Env: map[string]string{"VERSION": version}, Port: 3000,
		Health:    protocol.Health{Deadline: 20 * time.Second, Settle: time.Second},
		Limits:    protocol.Limits{MemoryBytes: 64 << 20, NanoCPUs: 1e9},
		StopGrace: 2 * time.Second, DrainLimit: 5 * time.Second,
	}
	for _, c := range change {
		c(&instance)
	}
	return instance
}

func mode(word string) func(*protocol.Instance) {
	return func(i *protocol.Instance) { i.Env["MODE"] = word }
}

func (r *rig) route(targets ...protocol.Instance) protocol.Route {
	route := protocol.Route{AppID: r.appID, App: "shop", Hosts: []string{"shop.test"}}
	for _, target := range targets {
		route.Targets = append(route.Targets, target.ID)
	}
	return route
}

// deploy assigns one Instance, waits until it is healthy, and routes to it.
func (r *rig) deploy(instance protocol.Instance) {
	r.t.Helper()
	generation := r.Assign([]protocol.Instance{instance}, r.route(instance))
	r.State(instance.ID, protocol.StateHealthy)
	r.Wait("the route is in force", func(o protocol.Observed) bool { return o.Generation >= generation })
}

func (r *rig) get(path string) (int, string, error) { return r.do(http.MethodGet, path) }

func (r *rig) do(method, path string) (int, string, error) {
	request, err := http.NewRequest(method, "http://"+r.config.Listener.Addr().String()+path, nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = "shop.test"
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func (r *rig) serves(path, want string) {
	r.t.Helper()
	status, text, err := r.get(path)
	if err != nil || status != http.StatusOK || text != want {
		r.t.Errorf("GET %s: %d %q %v, want %q", path, status, text, err, want)
	}
}

func TestReleaseGoesLiveAndIsReplacedUnderLoad(t *testing.T) {
	r := newRig(t)
	began := time.Now()
	instances := []protocol.Instance{r.instance("v1")}
	r.deploy(instances[0])
	r.serves("/", "v1")
	t.Logf("assigned to serving: %s", time.Since(began).Round(time.Millisecond))
	stop, result := r.load()
	for swap := 2; swap <= 4; swap++ {
		old, fresh := instances[len(instances)-1], r.instance(fmt.Sprintf("v%d", swap))
		instances = append(instances, fresh)
		began := time.Now()
		r.Assign([]protocol.Instance{old, fresh}, r.route(old))
		r.State(fresh.ID, protocol.StateHealthy)
		t.Logf("image ready to healthy: %s", time.Since(began).Round(time.Millisecond))
		r.Assign([]protocol.Instance{old, fresh}, r.route(fresh))
		generation := r.Assign([]protocol.Instance{fresh}, r.route(fresh))
		r.Gone(old.ID, generation)
		r.serves("/", fmt.Sprintf("v%d", swap))
	}
	stop()
	served, failed := result()
	t.Logf("%d requests, %d failed", served, failed)
	if failed > 0 || served == 0 {
		t.Errorf("%d of %d requests failed", failed, served)
	}
	if found := r.containers(); len(found) != 1 {
		t.Errorf("%d containers are left", len(found))
	}
}

// load sends requests until it is stopped.
func (r *rig) load() (stop func(), result func() (served, failed int64)) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var workers sync.WaitGroup
	var served, failed atomic.Int64
	for range 4 {
		workers.Go(func() {
			for ctx.Err() == nil {
				status, text, err := r.get("/")
				if err != nil || status != http.StatusOK {
					failed.Add(1)
					r.t.Logf("failed: %d %q %v", status, text, err)
				}
				served.Add(1)
			}
		})
	}
	return func() { cancel(); workers.Wait() }, func() (int64, int64) { return served.Load(), failed.Load() }
}

func TestFailuresSayWhy(t *testing.T) {
	r := newRig(t)
	soon := func(i *protocol.Instance) { i.Health.Deadline = 2 * time.Second }
	cases := map[string]struct {
		instance protocol.Instance
		reason   string
		tail     string
	}{
		"exit":    {r.instance("x", mode("exit")), "exited with code 3 before it listened on port 3000", "no database"},
		"deaf":    {r.instance("x", mode("deaf"), soon), "did not listen on $PORT (3000) within 2s; it listens on 127.0.0.1:5000", "mode deaf"},
		"oom":     {r.instance("x", mode("oom")), "was killed: out of memory (limit 64 MB)", "mode oom"},
		"sick":    {r.instance("x", soon, func(i *protocol.Instance) { i.Health.Path = "/sick" }), "GET /sick answered 500 within 2s", ""},
		"command": {r.instance("x", func(i *protocol.Instance) { i.Command = []string{"nope"} }), `its command "nope" was not found in the image`, ""},
		"image":   {r.instance("x", func(i *protocol.Instance) { i.Image = "127.0.0.1:1/none@sha256:" + strings.Repeat("0", 64) }), "could not be fetched", ""},
		"gone":    {r.instance("x", func(i *protocol.Instance) { i.Image = "sha256:" + strings.Repeat("0", 64) }), "is gone from this machine: push another commit", ""},
	}
	var all []protocol.Instance
	for _, c := range cases {
		all = append(all, c.instance)
	}
	good := r.instance("good")
	r.Assign(append(all, good), r.route(good))
	for name, c := range cases {
		status := r.State(c.instance.ID, protocol.StateFailed)
		if !strings.Contains(status.Reason, c.reason) {
			t.Errorf("%s: reason %q, want %q", name, status.Reason, c.reason)
		}
		if tail := strings.Join(status.Tail, "\n"); !strings.Contains(tail, c.tail) {
			t.Errorf("%s: tail %q lacks %q", name, tail, c.tail)
		}
	}
	if oom := r.State(cases["oom"].instance.ID, protocol.StateFailed); !oom.OOM || oom.ExitCode == nil || *oom.ExitCode != 137 {
		t.Errorf("oom: %+v", oom)
	}
	r.State(good.ID, protocol.StateHealthy)
	r.serves("/", "good")
	r.stop()
	r.start() // a new agent does not try them again
	r.State(good.ID, protocol.StateHealthy)
	for name, c := range cases {
		if status := r.State(c.instance.ID, protocol.StateFailed); !strings.Contains(status.Reason, c.reason) {
			t.Errorf("%s, after a restart: reason %q", name, status.Reason)
		}
	}
	r.leaves(1) // the good one; a failure is told before its container is gone
}
