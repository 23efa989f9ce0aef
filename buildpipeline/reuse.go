package buildpipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// Former is an earlier Build of the App, and what it was made of.
type Former struct {
	Fingerprint string
	Number      int
	Image       string
	// Manifest is set where the control plane's registry holds the image.
	Manifest string
}

// inputs are all that decides which image the solve makes: whoever builds the same
// again may have the image of the first time.
func (b *Builder) inputs(ctx context.Context, s solve, variables string) (models.BuildInputs, error) {
	files, err := digestFiles(s.files)
	if err != nil {
		return models.BuildInputs{}, err
	}
	settings, err := json.Marshal([]any{s.target, s.args, s.ignore})
	if err != nil {
		return models.BuildInputs{}, fmt.Errorf("encode build settings: %w", err)
	}
	inputs := models.BuildInputs{
		Files: files, Dockerfile: digestText(s.dockerfile), Settings: digestText(string(settings)), Variables: variables, Bases: map[string]string{},
	}
	for _, match := range fromLine.FindAllStringSubmatch(s.dockerfile, -1) {
		if info, err := b.docker.ImageInspect(ctx, match[1]); err == nil { // others are stages, or BuildKit's own to pull
			inputs.Bases[match[1]] = info.ID
		}
	}
	return inputs, nil
}

// fromLine finds what the stages of a Dockerfile begin from.
var fromLine = regexp.MustCompile(`(?im)^[ \t]*FROM[ \t]+(?:--\S+[ \t]+)*(\S+)`)

func digestText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// digestFiles hashes names, modes, sizes and times: the times of a commit's files
// change with their contents.
func digestFiles(files fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() { // the rest of one differs where the files are unpacked
			fmt.Fprintf(hash, "%s\x00%o\n", name, info.Mode())
			return nil
		}
		fmt.Fprintf(hash, "%s\x00%o\x00%d\x00%d\n", name, info.Mode(), info.Size(), info.ModTime().UnixNano())
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := fs.ReadLink(files, name)
			fmt.Fprintf(hash, "%s\x00", target)
			return err
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look through the files: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16]), nil
}

// reuse finds a former Build of the same inputs whose image is still to be had. One
// that is in no registry gets this build's name here.
func (b *Builder) reuse(ctx context.Context, job Job, s solve, fingerprint string) (Former, bool) {
	at := slices.IndexFunc(job.Formers, func(former Former) bool { return former.Fingerprint == fingerprint })
	if at < 0 || job.ClearCache {
		return Former{}, false
	}
	former := job.Formers[at]
	if former.Manifest == "" && b.docker.ImageTag(ctx, former.Image, s.tag) != nil {
		return Former{}, false // it is not here, or went meanwhile: build it again
	}
	text := "nothing changed since build #" + strconv.Itoa(former.Number) + ": image " + short(former.Image)
	job.Log.Say("%s", narrative.Timed("Build", text, 0))
	return former, true
}

// Adopt makes a prebuilt image the result of a build: it is pulled unless the
// engine has it, and gets a name of the App's. reference is as docker pull takes
// it.
func (b *Builder) Adopt(ctx context.Context, job Job, reference string) (Result, error) {
	if strings.HasPrefix(strings.TrimPrefix(reference, "docker.io/"), appPrefix) {
		return Result{}, models.Errorf(models.Forbidden, "%s is an app's own image", reference).WithField("image").
			WithRemedy("sky promote gives a release of one app to another")
	}
	row, err := allowsDockerfile(job.Runtimes)
	if err != nil {
		return Result{}, err
	}
	if err := b.Check(ctx); err != nil {
		return Result{}, err
	}
	started := time.Now()
	if err := b.pull(ctx, reference); err != nil && !b.has(ctx, reference) {
		return Result{}, models.Errorf(models.Failed, "the image %s cannot be had: %s", reference, lastSentence(err)).WithField("image").
			WithRemedy("name an image that this server can pull, or has")
	}
	info, err := b.docker.ImageInspect(ctx, reference)
	if err != nil {
		return Result{}, fmt.Errorf("inspect image: %w", err)
	}
	if err := b.docker.ImageTag(ctx, info.ID, ImageName(job.AppID, job.Number)); err != nil {
		return Result{}, fmt.Errorf("name image: %w", err)
	}
	plan := buildpacks.Prebuilt(reference, job.Options)
	if info.Config != nil {
		plan.Port = lowestPort(info.Config.ExposedPorts, plan.Port)
	}
	job.Log.Say("%s", narrative.Timed("Image", reference+", port "+strconv.Itoa(plan.Port), time.Since(started)))
	return Result{Plan: plan, Runtime: "Image", RuntimeType: row.Type, RuntimeVersion: row.Version, Image: info.ID}, nil
}

// lowestPort is the lowest TCP port that an image exposes, or else none.
func lowestPort[Set ~map[Port]struct{}, Port ~string](exposed Set, none int) int {
	lowest := 0
	for port := range exposed {
		number, protocol, _ := strings.Cut(string(port), "/")
		value, err := strconv.Atoi(number)
		if err == nil && protocol != "udp" && (lowest == 0 || value < lowest) {
			lowest = value
		}
	}
	if lowest == 0 {
		return none
	}
	return lowest
}
