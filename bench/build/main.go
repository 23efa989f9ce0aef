// Command build measures how long a commit takes to an image: Sky against two
// Dockerfiles for the same app, one as a beginner writes it and one tuned by hand.
//
//	go run ./bench/build
//
// All three rest on the same base images and are built by the same engine's
// BuildKit: Sky's by buildpipeline.Builder, the others by `docker build`. They
// take turns within every round, and medians count. A round is a build without
// any cache, one without a change, one with a changed line, and one with a
// changed dependency; what changes was never built before. The apps are those of
// apps/. Behind a company proxy, SKY_EXTRA_CA names the certificates that builds
// need. Images are removed; the build cache is the engine's to collect.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/skypanel/sky/bench/internal/lab"
	"github.com/skypanel/sky/buildpipeline"
)

func main() { lab.Main("build", run) }

//go:embed apps/*.txtar
var archives embed.FS

func run(ctx context.Context) (err error) {
	rounds := flag.Int("rounds", 5, "rounds, of which the median counts")
	only := flag.String("only", "", "comma-separated names of apps/; empty measures all")
	verbose := flag.Bool("v", false, "print every build")
	flag.Parse()
	docker, err := lab.FindDocker(ctx)
	if err != nil {
		return err
	}
	ca, err := extraCA()
	if err != nil {
		return err
	}
	builder, err := buildpipeline.New(buildpipeline.Config{ExtraCA: ca})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, builder.Close()) }()
	names, err := archives.ReadDir("apps")
	if err != nil {
		return err
	}
	for _, file := range names {
		name := strings.TrimSuffix(file.Name(), ".txtar")
		if *only != "" && !slices.Contains(strings.Split(*only, ","), name) {
			continue
		}
		text, err := archives.ReadFile(path.Join("apps", file.Name()))
		if err != nil {
			return err
		}
		c := &contest{app: readApp(name, text), builder: builder, docker: docker, ca: ca, verbose: *verbose}
		if err := c.run(ctx, *rounds); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// extraCA reads the certificates that SKY_EXTRA_CA names, if any.
func extraCA() ([]byte, error) {
	name := os.Getenv("SKY_EXTRA_CA")
	if name == "" {
		return nil, nil
	}
	return os.ReadFile(name)
}
