package buildpipeline

import (
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"net"
	"time"

	dockerclient "github.com/docker/docker/client"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/dockerfile/builder"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	buildsecrets "github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/opencontainers/go-digest"
	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/models"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
)

// solve is one Dockerfile to build.
type solve struct {
	files      fs.FS // the context; nil for none
	dockerfile string
	// ignore are the patterns of files that are not part of the context; nil leaves
	// it to the .dockerignore in it.
	ignore  *string
	target  string
	secrets map[string][]byte
	args    map[string]string
	tag     string
	labels  map[string]string
	// sharedKey keeps the context's files and the caches of one app together.
	sharedKey string
	noCache   bool
	// by watches the steps of this build; nil for what is Sky's own.
	by *warden
	// maxContext bounds the bytes of the context; 0 is no bound.
	maxContext int64
	log        Log
}

// solve builds s and returns the image's id, and the steps that made it. The
// Dockerfile is parsed in this process, so that a "# syntax=" line pulls nothing
// and heredocs work on any engine.
func (b *Builder) solve(ctx context.Context, s solve) (image string, steps []models.BuildStep, err error) {
	kit, err := b.buildkit(ctx)
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = kit.Close() }()
	shown := s.context()
	options, err := s.options(b.extraCA, shown)
	if err != nil {
		return "", nil, err
	}
	statuses := make(chan *client.SolveStatus, 64)
	progress := newProgress(s.log)
	var response *client.SolveResponse
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		var err error
		response, err = kit.Build(groupCtx, options, "sky", b.guarded(s), statuses)
		return err
	})
	group.Go(func() error {
		for status := range statuses {
			progress.add(status)
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		if tooLarge := shown.refusal(); tooLarge != nil {
			return "", nil, tooLarge
		}
		return "", nil, progress.explain(ctx, err)
	}
	return response.ExporterResponse["containerimage.digest"], progress.steps, nil
}

// buildkit dials the engine's own BuildKit, as the docker command does.
func (b *Builder) buildkit(ctx context.Context) (*client.Client, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return b.docker.DialHijack(ctx, "/grpc", "h2c", nil)
	}
	session := func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
		return b.docker.DialHijack(ctx, "/session", proto, meta)
	}
	kit, err := client.New(ctx, dockerclient.DefaultDockerHost, client.WithContextDialer(dial), client.WithSessionDialer(session))
	if err != nil {
		return nil, fmt.Errorf("connect to BuildKit: %w", err)
	}
	return kit, nil
}

const dockerfileName = "Dockerfile"

// attributes are what the Dockerfile's frontend is told.
func (s solve) attributes() map[string]string {
	attributes := map[string]string{
		"filename": dockerfileName,
		// A constant frontend command line: BuildKit then ignores "# syntax=".
		"cmdline": "sky",
	}
	if s.target != "" {
		attributes["target"] = s.target
	}
	if s.sharedKey != "" {
		attributes["build-arg:BUILDKIT_CACHE_MOUNT_NS"] = s.sharedKey
	}
	if s.noCache {
		attributes["no-cache"] = ""
	}
	for name, value := range s.args {
		attributes["build-arg:"+name] = value
	}
	for name, value := range s.labels {
		attributes["label:"+name] = value
	}
	return attributes
}

func (s solve) options(extraCA []byte, shown *contextFS) (client.SolveOpt, error) {
	secrets := map[string][]byte{}
	maps.Copy(secrets, s.secrets)
	if extraCA != nil {
		secrets[buildpacks.CASecret] = extraCA
	}
	text := []byte(s.dockerfile)
	var attached buildsecrets.SecretStore = secretMap(secrets)
	if s.by != nil {
		mounted, err := buildpacks.MountBuildID(text)
		if err != nil {
			return client.SolveOpt{}, models.Errorf(models.Failed, "Dockerfile: %s", err).WithField("Dockerfile").WithRemedy("fix that line and push again")
		}
		text, secrets[buildpacks.BuildIDSecret] = mounted, []byte(s.by.id)
		attached = announcing{secretMap(secrets), s.by.expect}
	}
	options := client.SolveOpt{
		FrontendAttrs: s.attributes(),
		LocalMounts:   s.mounts(string(text), shown),
		SharedKey:     s.sharedKey,
		Exports:       []client.ExportEntry{{Type: "moby", Attrs: map[string]string{"name": s.tag}}},
	}
	options.Session = append(options.Session, secretsprovider.NewSecretProvider(attached))
	return options, nil
}

// guarded is BuildKit's own reader of Dockerfiles, whose result Sky amends.
func (b *Builder) guarded(s solve) gateway.BuildFunc {
	if s.by == nil {
		return builder.Build
	}
	amending := &amender{app: s.labels[LabelAppID], known: map[string]digest.Digest{}}
	if routes := s.by.network.routes; len(routes) > 0 {
		amending.fetch = fetcher(routes, b.extraCA, s.maxContext)
	}
	return func(ctx context.Context, client gateway.Client) (*gateway.Result, error) {
		amending.Client = client
		return builder.Build(ctx, amending)
	}
}

// secretMap are secrets by their ids.
type secretMap map[string][]byte

// GetSecret implements BuildKit's SecretStore.
func (m secretMap) GetSecret(_ context.Context, id string) ([]byte, error) {
	value, known := m[id]
	if !known {
		return nil, buildsecrets.ErrNotFound
	}
	return value, nil
}

// announcing tells when a step is about to begin: BuildKit asks for its secrets
// right before.
type announcing struct {
	secretMap
	announce func()
}

// GetSecret implements BuildKit's SecretStore.
func (a announcing) GetSecret(ctx context.Context, id string) ([]byte, error) {
	if id == buildpacks.BuildIDSecret {
		a.announce()
	}
	return a.secretMap.GetSecret(ctx, id)
}

// context is what BuildKit is shown; nil for nothing.
func (s solve) context() *contextFS {
	if s.files == nil {
		return nil
	}
	return &contextFS{files: s.files, most: s.maxContext}
}

func (s solve) mounts(text string, shown *contextFS) map[string]fsutil.FS {
	var files fsutil.FS = emptyFS{}
	if shown != nil {
		files = shown
	}
	dockerfile := texts{dockerfileName: text}
	if s.ignore != nil { // found there, the context's own .dockerignore is not asked
		dockerfile[dockerfileName+".dockerignore"] = *s.ignore
	}
	return map[string]fsutil.FS{"context": files, "dockerfile": dockerfile}
}

// contentTime is a time that changes with text: constant seconds, and
// nanoseconds that hash it.
func contentTime(text string) int64 {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(text))
	return time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() + int64(hash.Sum64()%uint64(time.Second))
}
