package buildpipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"

	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
	"github.com/skypanel/sky/models"
	"google.golang.org/protobuf/proto"
)

// amender changes what a Dockerfile became before the engine carries it out. Its
// cache mounts are marked with the App: the engine's list of them says nothing else
// of whose they are. And the ADD of a URL is kept from reaching what a step could
// not: the engine itself fetches it, from its own network, and follows where it is
// led. So Sky fetches it first, within the bounds of builds, and then lets the
// engine have only what has the same digest.
type amender struct {
	gateway.Client
	app   string
	fetch func(ctx context.Context, url string) (digest.Digest, error) // nil: nothing is bounded
	mu    sync.Mutex
	known map[string]digest.Digest
}

// Solve implements gateway.Client.
func (a *amender) Solve(ctx context.Context, request gateway.SolveRequest) (*gateway.Result, error) {
	if request.Definition != nil {
		amended, err := amend(request.Definition, func(operation *pb.Op) (bool, error) {
			if exec := operation.GetExec(); exec != nil {
				return markCaches(exec, a.app), nil
			}
			if a.fetch == nil {
				return false, nil
			}
			return pinSource(operation.GetSource(), func(url string) (digest.Digest, error) { return a.digest(ctx, url) })
		})
		if err != nil {
			return nil, err
		}
		request.Definition = amended
	}
	return a.Client.Solve(ctx, request)
}

func (a *amender) digest(ctx context.Context, url string) (digest.Digest, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if sum, known := a.known[url]; known {
		return sum, nil
	}
	sum, err := a.fetch(ctx, url)
	if err == nil {
		a.known[url] = sum
	}
	return sum, err
}

// amend has change look at every operation of a build's definition. What depends
// on one that it changed refers to it by its digest, and changes too.
func amend(definition *pb.Definition, change func(*pb.Op) (bool, error)) (*pb.Definition, error) {
	moved := map[string]string{}
	amended := &pb.Definition{Metadata: map[string]*pb.OpMetadata{}}
	for _, text := range definition.Def {
		was := digest.FromBytes(text).String()
		operation := &pb.Op{}
		if err := proto.Unmarshal(text, operation); err != nil {
			return nil, fmt.Errorf("read the build's definition: %w", err)
		}
		changed, err := change(operation)
		if err != nil {
			return nil, err
		}
		for _, input := range operation.Inputs {
			if now := moved[input.Digest]; now != "" {
				input.Digest, changed = now, true
			}
		}
		now := was
		if changed {
			if text, err = (proto.MarshalOptions{Deterministic: true}).Marshal(operation); err != nil {
				return nil, fmt.Errorf("write the build's definition: %w", err)
			}
			now = digest.FromBytes(text).String()
			moved[was] = now
		}
		amended.Def = append(amended.Def, text)
		amended.Metadata[now] = definition.Metadata[was]
	}
	amended.Source = movedSource(definition.Source, moved)
	return amended, nil
}

// movedSource says where in the Dockerfile the operations come from.
func movedSource(source *pb.Source, moved map[string]string) *pb.Source {
	if source == nil {
		return nil
	}
	locations := map[string]*pb.Locations{}
	for was, place := range source.Locations {
		if now := moved[was]; now != "" {
			was = now
		}
		locations[was] = place
	}
	return &pb.Source{Locations: locations, Infos: source.Infos}
}

func pinSource(source *pb.SourceOp, sum func(url string) (digest.Digest, error)) (bool, error) {
	url := source.GetIdentifier()
	switch {
	case strings.HasPrefix(url, "git://"):
		return false, models.Errorf(models.Failed, "ADD of a git repository is not possible here: %.200s", url).WithField("Dockerfile").
			WithRemedy("let a RUN clone it, add it as a submodule, or the operator allows all: --build-allow all")
	case !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://"):
		return false, nil
	case source.Attrs[pb.AttrHTTPChecksum] != "":
		return false, nil // who knows it learns nothing
	}
	known, err := sum(url)
	if err != nil {
		return false, err
	}
	if source.Attrs == nil {
		source.Attrs = map[string]string{}
	}
	source.Attrs[pb.AttrHTTPChecksum] = known.String()
	return true, nil
}

// markCaches names the App behind the command of a step that mounts caches, where
// its shell passes it over: `sh -c COMMAND sh sky-app=ID`. The engine describes a
// cache by the first command that mounted it. It reports whether it changed
// anything: a command without a shell is left as it is.
func markCaches(exec *pb.ExecOp, app string) bool {
	caches := false
	for _, mount := range exec.Mounts {
		caches = caches || mount.MountType == pb.MountType_CACHE
	}
	words := exec.GetMeta().GetArgs()
	if !caches || len(words) != 3 || words[1] != "-c" {
		return false
	}
	exec.Meta.Args = append(words, words[0], cacheMark+app)
	return true
}

const cacheMark = "sky-app="

// cacheOwner is the App that a cache was marked with, if it was. The mark is the
// last word, behind whatever the command itself says.
func cacheOwner(description string) (app models.ID, marked bool) {
	last := description[strings.LastIndexByte(description, ' ')+1:]
	text, marked := strings.CutPrefix(last, cacheMark)
	if !marked {
		return app, false
	}
	app, err := models.ParseID(text)
	return app, err == nil
}
