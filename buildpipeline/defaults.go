package buildpipeline

import (
	"context"
	"slices"

	"github.com/skypanel/sky/buildpacks"
	"github.com/skypanel/sky/models"
)

// plan detects what job is and finds its base images; a repository's own
// Dockerfile needs none. The commands of the admin's row that it is built on stand
// in for the buildpack's own choice.
func (b *Builder) plan(ctx context.Context, job Job) (*buildpacks.Plan, buildpacks.Images, error) {
	plan, err := buildpacks.Detect(job.Files, job.Options)
	if err != nil {
		plan = startedByRow(job, err)
	}
	if plan == nil || plan.Need == nil {
		return plan, buildpacks.Images{}, err
	}
	images, findErr := b.resolve(ctx, plan, job.Runtimes, job.Log)
	if findErr != nil {
		return nil, images, findErr
	}
	defaults := commandsOf(plan.Need.Type, images.Version, job.Runtimes)
	if defaults == (buildpacks.Commands{}) {
		return plan, images, err
	}
	job.Options.Defaults = defaults
	again, againErr := buildpacks.Detect(job.Files, job.Options)
	if againErr != nil || again.Need == nil || again.Need.Type != plan.Need.Type {
		return plan, images, err // a command is no reason to build something else
	}
	images, err = b.resolve(ctx, again, job.Runtimes, job.Log)
	return again, images, err
}

// startedByRow plans what a buildpack knows no start of, as the row that it is
// built on starts it; nil where there is no such row.
func startedByRow(job Job, failure error) *buildpacks.Plan {
	if !models.IsCode(failure, models.Failed) {
		return nil
	}
	for _, row := range job.Runtimes {
		if !row.Active || row.StartCommand == "" {
			continue
		}
		job.Options.Defaults = buildpacks.Commands{Build: row.BuildCommand, Start: row.StartCommand}
		plan, err := buildpacks.Detect(job.Files, job.Options)
		if err != nil || plan.Need == nil || plan.Need.Type != row.Type {
			continue
		}
		if candidates, _ := choose(*plan.Need, job.Runtimes); len(candidates) > 0 && candidates[0].Version == row.Version {
			return plan
		}
	}
	return nil
}

func commandsOf(kind, version string, rows []models.Runtime) buildpacks.Commands {
	at := slices.IndexFunc(rows, func(row models.Runtime) bool { return row.Type == kind && row.Version == version })
	if at < 0 {
		return buildpacks.Commands{}
	}
	return buildpacks.Commands{Build: rows[at].BuildCommand, Start: rows[at].StartCommand}
}
