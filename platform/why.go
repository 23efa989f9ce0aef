package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
)

// Explanation says why a Build did what it did.
type Explanation struct {
	Build models.Build
	// Former is the number of the succeeded Build before it; 0 when there is none.
	Former int
	// Reasons are what had changed since then, or why nothing had to be built.
	Reasons []string
}

// Explain compares a Build with the one that succeeded before it.
func (p *Platform) Explain(ctx context.Context, app models.App, number int) (Explanation, error) {
	build, err := p.BuildNumber(ctx, app, number)
	if err != nil {
		return Explanation{}, err
	}
	why := Explanation{Build: build}
	if build.SourceImage != "" {
		why.Reasons = []string{"the image " + build.SourceImage + " was taken as it is"}
		return why, nil
	}
	if build.Fingerprint == "" {
		why.Reasons = []string{"it ended before its inputs were known: " + string(build.State)}
		return why, nil
	}
	former, err := p.Store.FormerBuild(ctx, build)
	if models.IsCode(err, models.NotFound) {
		why.Reasons = []string{"it is the first that got so far: nothing of the app was built before"}
		return why, nil
	}
	if err != nil {
		return Explanation{}, err
	}
	why.Former = former.Number
	why.Reasons, err = p.compare(ctx, build, former)
	return why, err
}

func (p *Platform) compare(ctx context.Context, build, former models.Build) ([]string, error) {
	var reasons []string
	if build.ClearCache {
		reasons = append(reasons, "clear-cache was asked for: every step ran")
	}
	if build.Fingerprint == former.Fingerprint {
		return append(reasons, fmt.Sprintf("nothing had changed since build #%d", former.Number)), nil
	}
	if build.Inputs.Files != former.Inputs.Files {
		changed, err := p.changedFiles(ctx, build, former)
		if err != nil {
			return nil, err
		}
		reasons = append(reasons, changed)
	}
	for _, part := range []struct{ what, now, before string }{
		{"how it is built: the Dockerfile is another", build.Inputs.Dockerfile, former.Inputs.Dockerfile},
		{"the settings of builds: target, arguments, or what is ignored", build.Inputs.Settings, former.Inputs.Settings},
		{"variables that builds may read", build.Inputs.Variables, former.Inputs.Variables},
	} {
		if part.now != part.before {
			reasons = append(reasons, part.what)
		}
	}
	for _, reference := range slices.Sorted(maps.Keys(build.Inputs.Bases)) {
		if before, known := former.Inputs.Bases[reference]; known && before != build.Inputs.Bases[reference] {
			reasons = append(reasons, "the base image "+reference)
		}
	}
	return reasons, nil
}

// changedFiles names the files that two Builds' commits differ in.
func (p *Platform) changedFiles(ctx context.Context, build, former models.Build) (string, error) {
	now, err := p.fileStates(ctx, build)
	if err == nil {
		var before map[string]string
		before, err = p.fileStates(ctx, former)
		if err == nil {
			return describeFiles(before, now), nil
		}
	}
	if models.IsCode(err, models.NotFound) {
		return "files: which ones is not known any more, as a commit is gone", nil
	}
	return "", err
}

// fileStates are the sizes, modes and times of a Build's files; a commit's files
// have times that change with their contents.
func (p *Platform) fileStates(ctx context.Context, build models.Build) (map[string]string, error) {
	files, err := p.Repositories.Files(ctx, build.AppID, build.Commit)
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			states[name] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	return states, errors.Join(err, files.Close())
}

func describeFiles(before, now map[string]string) string {
	var changed []string
	for name, state := range now {
		if former, known := before[name]; !known {
			changed = append(changed, name+" (new)")
		} else if former != state {
			changed = append(changed, name)
		}
	}
	for name := range before {
		if _, kept := now[name]; !kept {
			changed = append(changed, name+" (gone)")
		}
	}
	slices.Sort(changed)
	if len(changed) == 0 {
		return "files outside the app's directory moved what it sees"
	}
	return fmt.Sprintf("%d files: %s", len(changed), some(changed))
}

// formersAtMost is how many Builds are looked through for one of the same inputs.
const formersAtMost = 50

// formers lists the App's Builds whose images may be had again, the newest of each
// fingerprint.
func (p *Platform) formers(ctx context.Context, app models.ID) ([]buildpipeline.Former, error) {
	builds, err := p.Store.Builds(ctx, app, formersAtMost)
	var formers []buildpipeline.Former
	for _, build := range builds {
		known := slices.ContainsFunc(formers, func(former buildpipeline.Former) bool { return former.Fingerprint == build.Fingerprint })
		if build.State != models.BuildSucceeded || build.Fingerprint == "" || known {
			continue
		}
		former := buildpipeline.Former{Fingerprint: build.Fingerprint, Number: build.Number, Image: build.Image}
		if p.published(ctx, app, build.Manifest) {
			former.Manifest = build.Manifest
		}
		formers = append(formers, former)
	}
	return formers, err
}

// DeployImage rolls a prebuilt image out, without a build of its own. It returns
// as soon as the Build that stands for it is durable; its log tells the rest.
func (p *Platform) DeployImage(ctx context.Context, actor models.Actor, app models.App, image string) (models.Build, error) {
	image = strings.TrimSpace(image)
	if len(image) > 255 || !imagePattern.MatchString(image) {
		return models.Build{}, models.Errorf(models.Invalid, "%.100q is not an image reference", image).WithField("image").
			WithRemedy("write it as docker pull takes it, such as registry.example.com/team/app:1.2")
	}
	build, _, err := p.lineUp(ctx, order{
		actor: actor, app: app, build: models.Build{SourceImage: image, Subject: image}, what: fact{kind: "deploy.image", detail: image, app: &app},
	})
	return build, err
}
