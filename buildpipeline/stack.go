package buildpipeline

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/docker/docker/api/types/image"
	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// stackPrefix begins the names of the images that Sky makes itself.
const stackPrefix = "sky-stack/"

//go:embed stack/*.Dockerfile
var stackFiles embed.FS

// stackVersions are the versions that can be made from packages, by type.
var stackVersions = map[string][]string{
	"node": {"18", "20", "22", "24"}, "go": {"1.26"}, "python": {"3.11", "3.13"}, "php": {"8.2"}, "static": {"1"},
	"ruby": {"3.1"}, "java": {"17"}, "rust": {"1"},
}

func stackable(kind, version string) bool { return slices.Contains(stackVersions[kind], version) }

// stackImage names the image that builds or runs a version of a language.
func stackImage(kind, role, version string) string {
	return stackPrefix + kind + "-" + role + ":" + version
}

const (
	baseImage      = stackPrefix + "base:bookworm"
	toolchainImage = stackPrefix + "toolchain:bookworm"
	debianImage    = "debian:bookworm-slim"
)

// Stack makes the stack images of one language version from the distribution's
// packages, with what they rest on. It does nothing for those that are there.
// It takes minutes and says so to log.
func (b *Builder) Stack(ctx context.Context, kind, version string, log Log) error {
	if !stackable(kind, version) {
		return models.Errorf(models.Invalid, "there is no stack for %s %s", kind, version).
			WithRemedy("there are %v", stackVersions)
	}
	b.stacks.Lock()
	defer b.stacks.Unlock()
	if err := b.base(ctx, log); err != nil {
		return err
	}
	if !slices.Contains([]string{"php", "static", "java"}, kind) {
		if err := b.stackFrom(ctx, "toolchain", solve{tag: toolchainImage}, log); err != nil {
			return err
		}
	}
	for _, role := range []string{"run", "build"} {
		step := solve{tag: stackImage(kind, role, version), target: role, args: map[string]string{"VERSION": version}}
		if err := b.stackFrom(ctx, kind, step, log); err != nil {
			return err
		}
	}
	return nil
}

// recipe names what a stack image is made by: it changes with the Dockerfiles,
// so that a newer Sky makes its images anew.
func recipe(name string) string {
	hash := fnv.New64a()
	for _, file := range []string{name, "toolchain"} {
		text, _ := stackFiles.ReadFile("stack/" + file + ".Dockerfile") // a missing one is stackFrom's to tell
		_, _ = hash.Write(text)
	}
	return strconv.FormatUint(hash.Sum64(), 16)
}

// current reports whether the stack image is there and made as it would be now.
func (b *Builder) current(ctx context.Context, tag, name string) bool {
	found, err := b.docker.ImageInspect(ctx, tag)
	return err == nil && found.Config != nil && found.Config.Labels[labelRecipe] == recipe(name)
}

// stackFrom builds one stack image, unless it is there.
func (b *Builder) stackFrom(ctx context.Context, name string, step solve, log Log) error {
	if b.current(ctx, step.tag, name) {
		return nil
	}
	text, err := stackFiles.ReadFile("stack/" + name + ".Dockerfile")
	if err != nil {
		return fmt.Errorf("stack %s: %w", name, err)
	}
	step.dockerfile, step.log = string(text), log
	step.labels = map[string]string{LabelStack: name, labelRecipe: recipe(name)}
	if b.extraCA != nil {
		mounted, err := buildpacks.MountCA(text)
		if err != nil {
			return err
		}
		step.dockerfile = string(mounted)
	}
	started := time.Now()
	if _, _, err := b.solve(ctx, step); err != nil {
		return fmt.Errorf("make base image %s: %w", step.tag, err)
	}
	log.Say("%s", narrative.Timed("", "made base image "+step.tag, time.Since(started)))
	return nil
}

// base makes the image that all others rest on: from Debian's own image where
// it can be pulled, else from Debian's packages.
func (b *Builder) base(ctx context.Context, log Log) error {
	if b.has(ctx, baseImage) {
		return nil
	}
	log.Say("%s", narrative.Field("Prepare", "base images for this server, once"))
	if b.ensure(ctx, debianImage, log) {
		return b.stackFrom(ctx, "base", solve{tag: baseImage}, log)
	}
	started := time.Now()
	if err := b.bootstrap(ctx, log); err != nil {
		return err
	}
	log.Say("%s", narrative.Timed("", "made base image "+baseImage, time.Since(started)))
	return nil
}

// bootstrap makes the base from Debian packages with mmdebstrap and imports it.
func (b *Builder) bootstrap(ctx context.Context, log Log) error {
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return models.Errorf(models.Unavailable, "no base image can be pulled, and mmdebstrap, which makes one from Debian packages, is not installed").
			WithRemedy("the operator runs `apt-get install -y mmdebstrap`, then push again")
	}
	dir, err := os.MkdirTemp("", "sky-stack-")
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	archive := filepath.Join(dir, "base.tar")
	arguments := []string{"--variant=apt", "--include=ca-certificates,tzdata"}
	for _, unused := range []string{"doc", "man", "info", "locale"} {
		arguments = append(arguments, "--dpkgopt=path-exclude=/usr/share/"+unused+"/*")
	}
	output := &detailWriter{log: log}
	command := exec.CommandContext(ctx, program, append(arguments, "bookworm", archive)...)
	command.Stdout, command.Stderr = output, output
	if err := command.Run(); err != nil {
		return models.Errorf(models.Unavailable, "mmdebstrap could not make a base image: %w", err).
			WithRemedy("the build's full log says why; is Debian's package archive reachable?")
	}
	return b.importBase(ctx, archive)
}

func (b *Builder) importBase(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	defer func() { _ = file.Close() }()
	answer, err := b.docker.ImageImport(ctx, image.ImportSource{Source: file, SourceName: "-"}, baseImage, image.ImportOptions{
		Changes: []string{"ENV LANG=C.UTF-8", "LABEL " + LabelStack + "=base", `CMD ["/bin/sh"]`},
	})
	if err != nil {
		return fmt.Errorf("import base image: %w", err)
	}
	_, err = io.Copy(io.Discard, answer)
	return errors.Join(err, answer.Close())
}

// detailWriter passes a program's output on to the full log, line by line.
type detailWriter struct {
	log     Log
	partial []byte
}

// Write implements io.Writer.
func (w *detailWriter) Write(data []byte) (int, error) {
	w.partial = append(w.partial, data...)
	for {
		end := slices.Index(w.partial, '\n')
		if end < 0 {
			return len(data), nil
		}
		w.log.Detail("  " + string(w.partial[:end]))
		w.partial = w.partial[end+1:]
	}
}
