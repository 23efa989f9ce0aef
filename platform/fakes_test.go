package platform

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/testenv"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/logs"
	"github.com/skypanel/sky/rollout"
	"github.com/stretchr/testify/require"
)

// repositories keeps refs in memory. Every commit follows every other one that
// is smaller.
type repositories struct {
	mu   sync.Mutex
	refs map[string]string
	// files are those of a commit; others have none.
	files map[string]fstest.MapFS
}

func (r *repositories) Create(context.Context, models.ID) error { return nil }
func (r *repositories) Remove(context.Context, models.ID) error { return nil }
func (r *repositories) Ref(_ context.Context, _ models.ID, name string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if oid, ok := r.refs[name]; ok {
		return oid, nil
	}
	return models.ZeroObject, nil
}

func (r *repositories) RemoteHead(context.Context, Remote, string) (string, error) {
	return models.ZeroObject, nil
}

func (r *repositories) Fetch(context.Context, models.ID, Remote, string) (string, error) {
	return "", models.Errorf(models.NotFound, "there is no remote")
}

func (r *repositories) Changes(context.Context, models.ID, string, string, int) ([]string, error) {
	return nil, nil
}

func (r *repositories) UpdateRefs(_ context.Context, _ models.ID, updates []*models.RefUpdate, _ bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, update := range updates {
		r.refs[update.Name] = update.New
		if update.Delete() {
			delete(r.refs, update.Name)
		}
	}
	return nil
}

func (r *repositories) IsAncestor(_ context.Context, _ models.ID, a, b string) (bool, error) {
	return a < b, nil
}

func (r *repositories) Commit(_ context.Context, _ models.ID, oid string) (models.Commit, error) {
	return models.Commit{ID: oid, Subject: "change " + oid[:1]}, nil
}
func (r *repositories) Keep(context.Context, models.ID, string, string) error { return nil }
func (r *repositories) ConsolidateIfDue(context.Context, models.ID) error     { return nil }
func (r *repositories) Files(_ context.Context, _ models.ID, commit string) (Files, error) {
	return files{r.files[commit]}, nil
}

type files struct{ fstest.MapFS }

func (files) Close() error                { return nil }
func (files) Warnings() ([]string, error) { return nil, nil }

// builder makes an image named after the commit, unless build says otherwise.
type builder struct {
	scripts models.Processes
	inputs  models.BuildInputs
	mu      sync.Mutex
	kept    []string
	gone    bool // the images are
	build   func(ctx context.Context, job buildpipeline.Job) error
}

func (b *builder) Build(ctx context.Context, job buildpipeline.Job) (buildpipeline.Result, error) {
	if b.build != nil {
		if err := b.build(ctx, job); err != nil {
			return buildpipeline.Result{}, err
		}
	}
	job.Log.Say("Build    done")
	job.Log.Detail("full output")
	plan := &buildpacks.Plan{Processes: models.Processes{"web": {"serve"}, "worker": {"work"}}, Scripts: b.scripts, Port: 8080}
	return buildpipeline.Result{Plan: plan, Runtime: "Test", Dockerfile: "FROM x", Inputs: b.inputs, Image: "image-" + job.Commit[:1]}, nil
}
func (b *builder) Adopt(ctx context.Context, job buildpipeline.Job, reference string) (buildpipeline.Result, error) {
	job.Commit = "0"
	result, err := b.Build(ctx, job)
	result.Image = "id of " + reference
	return result, err
}
func (b *builder) RemoveImages(context.Context, models.App) error { return nil }
func (b *builder) Sweep(context.Context, int64, int64) error      { return nil }
func (b *builder) DiskUsage(context.Context) (buildpipeline.DiskUsage, error) {
	return buildpipeline.DiskUsage{Apps: map[string]buildpipeline.ImageUsage{"shop": {Images: 2, Bytes: 5 << 20}}, CacheBytes: 1 << 20}, nil
}

// RetainImages remembers what was kept last.
func (b *builder) RetainImages(_ context.Context, _ models.App, keep []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = slices.Compact(slices.Sorted(slices.Values(keep)))
	return nil
}
func (b *builder) ShareImage(_ context.Context, image string, _ models.ID, _ string) (string, error) {
	return image, nil
}
func (b *builder) HasImage(context.Context, string) bool { return true }
func (b *builder) Packages(_ context.Context, app models.App, image string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return nil, models.Errorf(models.NotFound, "the image is gone")
	}
	return []byte(`{"bomFormat": "CycloneDX", "of": "` + app.Name + " " + image + `"}`), nil
}
func (b *builder) setGone(gone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = gone
}
func (b *builder) Check(context.Context) error { return nil }

// stage is a Platform with an admin, one App and one node.
type stage struct {
	*Platform
	repos *repositories
	build *builder
	nodes *nodes
	actor models.Actor
	app   models.App
	dir   string
	db    string // its file or URL
	dns   records
	// configure changes the Platform before it starts.
	configure []func(*Platform)
}

// records is a DNS: what is not in it does not exist.
type records map[string][]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	if texts, ok := r[name]; ok {
		return texts, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func newStage(t *testing.T, configure ...func(*Platform)) *stage {
	t.Helper()
	s := &stage{dir: t.TempDir(), repos: &repositories{refs: map[string]string{}}, build: &builder{}, dns: records{}, configure: configure}
	s.nodes = newNodes()
	s.db = filepath.Join(s.dir, "sky.db")
	if testenv.OnPostgres() {
		s.db = testenv.Postgres(t)
	}
	s.open(t)
	tokens := filepath.Join(s.dir, "admin-token")
	_, err := s.Seed(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.EnsureAdmin(t.Context(), tokens))
	token, err := ReadTokenFile(tokens)
	require.NoError(t, err)
	s.actor, err = s.ActorByToken(t.Context(), token)
	require.NoError(t, err)
	s.join(t, "local", 16, 64*gib)
	s.app, err = s.CreateApp(t.Context(), s.actor, NewApp{Name: "shop"})
	require.NoError(t, err)
	return s
}

// join makes a node of this size, whose agent comes.
func (p *Platform) join(t *testing.T, name string, cpus int, memory int64) models.Node {
	t.Helper()
	node, err := p.EnsureNode(t.Context(), name)
	require.NoError(t, err)
	p.Online(t.Context(), node.ID, protocol.Hello{CPUs: cpus, MemoryBytes: memory})
	return node
}

// open starts a Platform on what the stage's directory holds.
func (s *stage) open(t *testing.T) {
	t.Helper()
	database, err := openBooks(t.Context(), s.db)
	require.NoError(t, err)
	hub, err := logs.Open(filepath.Join(s.dir, "logs"))
	require.NoError(t, err)
	vault, err := OpenVault(filepath.Join(s.dir, "master.json"), false)
	require.NoError(t, err)
	p := &Platform{
		Store: database, Repositories: s.repos, Builder: s.build, Fleet: s.nodes, Logs: hub, Vault: vault, Resolver: s.dns,
		Log: slog.New(slog.DiscardHandler), Settings: Settings{Domain: "sky.test", DataDir: s.dir},
	}
	p.Roller = &rollout.Roller{Store: p, Fleet: s.nodes, Patience: time.Minute}
	s.Platform, s.nodes.platform = p, p
	for _, change := range s.configure {
		change(p)
	}
	require.NoError(t, p.Start(t.Context()))
	t.Cleanup(func() {
		p.Stop()
		require.NoError(t, hub.Close())
		require.NoError(t, database.Close())
	})
}

// screen is what a pusher sees.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *screen) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *screen) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// oid is a commit's name that begins with digit; a greater one, of as many
// places, follows a smaller one.
func oid(digit int) string { return strings.Repeat(fmt.Sprint(digit), 40)[:40] }

// push pushes a commit to main and returns the ref's verdict and the screen.
func (s *stage) push(t *testing.T, digit int, options ...string) (string, error) {
	t.Helper()
	out := &screen{}
	update := &models.RefUpdate{Name: "refs/heads/main", Old: s.main(t), New: oid(digit)}
	app, err := s.Store.App(t.Context(), s.app.ID)
	require.NoError(t, err)
	s.Receive(t.Context(), &models.Push{App: app, Actor: s.actor, Updates: []*models.RefUpdate{update}, Options: options, Out: out})
	return out.String(), update.Err
}

func (s *stage) main(t *testing.T) string {
	t.Helper()
	ref, err := s.repos.Ref(t.Context(), s.app.ID, "refs/heads/main")
	require.NoError(t, err)
	return ref
}

type silent struct{}

func (silent) Say(string, ...any) {}
func (silent) Detail(string)      {}
