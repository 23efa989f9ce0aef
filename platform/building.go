package platform

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// build has the pipeline turn the commit's files into an image.
func (p *Platform) build(ctx context.Context, app models.App, build models.Build, log *buildLog) (buildpipeline.Result, error) {
	runtimes, err := p.runtimesFor(ctx, app)
	if err != nil {
		return buildpipeline.Result{}, err
	}
	if build.SourceImage != "" {
		return p.adopt(ctx, app, build, runtimes, log)
	}
	files, err := p.Repositories.Files(ctx, app.ID, build.Commit)
	if err != nil {
		return buildpipeline.Result{}, fmt.Errorf("open the commit: %w", err)
	}
	defer func() { _ = files.Close() }()
	job, err := p.job(ctx, app, build, files, log)
	if err != nil {
		return buildpipeline.Result{}, err
	}
	job.Runtimes = runtimes
	warnings, err := files.Warnings()
	if err != nil {
		return buildpipeline.Result{}, fmt.Errorf("look through the commit: %w", err)
	}
	for _, warning := range warnings {
		log.Say("%s", narrative.Field("Warning", warning))
	}
	return p.Builder.Build(ctx, job)
}

// maxContext bounds the files that a build sees.
const maxContext = 2 << 30

// buildLimits are what the App's plan gives a build.
func (p *Platform) buildLimits(ctx context.Context, app models.App) (buildpipeline.Limits, error) {
	limits := buildpipeline.Limits{MemoryBytes: defaultBuildMemory, Time: defaultBuildMinutes * time.Minute, ContextBytes: maxContext}
	if app.PlanID == nil {
		return limits, nil
	}
	plan, err := p.Store.Plan(ctx, *app.PlanID)
	limits.MemoryBytes, limits.CPUMillis = plan.BuildMemoryBytes, plan.BuildCPUMillis
	limits.Time = time.Duration(plan.BuildMinutes) * time.Minute
	return limits, err
}

// job describes a commit's build. It does what the commit's app.json asks for, and
// hides the App's Config in log from then on.
func (p *Platform) job(ctx context.Context, app models.App, build models.Build, files Files, log *buildLog) (buildpipeline.Job, error) {
	manifest, err := buildpipeline.ReadManifest(files, app.RootDir)
	if err != nil {
		return buildpipeline.Job{}, err
	}
	config, err := p.applyManifest(ctx, app, manifest, log)
	if err != nil {
		return buildpipeline.Job{}, err
	}
	log.hide = newRedactor(config, app.BuildVariables)
	job := buildpipeline.Job{
		App: app.Name, AppID: app.ID, Number: build.Number, Commit: build.Commit, Files: files,
		Options: buildOptions(app, config), ClearCache: build.ClearCache,
		Organisation: app.OrganisationID, Log: log,
	}
	if job.Formers, err = p.formers(ctx, app.ID); err != nil {
		return buildpipeline.Job{}, err
	}
	if job.Limits, err = p.buildLimits(ctx, app); err != nil {
		return buildpipeline.Job{}, err
	}
	job.Variables, job.VariablesHash, err = p.buildVariables(app, config)
	return job, err
}

// adopt has the pipeline take a prebuilt image. It starts as the App's start
// command says, or as it does by itself.
func (p *Platform) adopt(ctx context.Context, app models.App, build models.Build, runtimes []models.Runtime, log *buildLog) (buildpipeline.Result, error) {
	job := buildpipeline.Job{
		App: app.Name, AppID: app.ID, Number: build.Number, Organisation: app.OrganisationID, Runtimes: runtimes, Log: log,
		Options: buildpipeline.Options{StartCommand: app.StartCommand},
	}
	return p.Builder.Adopt(ctx, job, build.SourceImage)
}

// buildOptions are what the App's owner decided about its builds.
func buildOptions(app models.App, config map[string]string) buildpipeline.Options {
	arguments := map[string]string{}
	for _, name := range app.BuildArguments {
		if value, set := config[name]; set {
			arguments[name] = value
		}
	}
	return buildpipeline.Options{
		Buildpack: app.Buildpack, Root: app.RootDir, Config: config, BuildCommand: app.BuildCommand, StartCommand: app.StartCommand,
		Dockerfile: app.Dockerfile, DockerTarget: app.DockerTarget, BuildArgs: arguments,
	}
}

// buildVariables are those of the Config that builds may read, and a hash that
// changes with them and that nobody without the master key can try values on.
func (p *Platform) buildVariables(app models.App, config map[string]string) (map[string]string, string, error) {
	keys, err := p.Vault.derived("build variables")
	if err != nil {
		return nil, "", err
	}
	variables := map[string]string{}
	hash := hmac.New(sha256.New, keys[0])
	for _, name := range slices.Sorted(slices.Values(app.BuildVariables)) {
		if value, set := config[name]; set {
			variables[name] = value
			fmt.Fprintf(hash, "%s=%d:%s\n", name, len(value), value)
		}
	}
	return variables, hex.EncodeToString(hash.Sum(nil)[:16]), nil
}

// runtimesFor lists what the App may be built on: what its plan allows, and no
// Dockerfiles where custom images are switched off.
func (p *Platform) runtimesFor(ctx context.Context, app models.App) ([]models.Runtime, error) {
	options, err := p.Options(ctx)
	if err != nil {
		return nil, err
	}
	allowed, err := p.allowedRuntimes(ctx, app.PlanID)
	return slices.DeleteFunc(allowed, func(row models.Runtime) bool { return row.Type == "docker" && !options.CustomImages }), err
}
