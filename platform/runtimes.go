package platform

import (
	"context"

	"github.com/skypanel/sky/models"
)

// defaultRuntimes are the rows of a fresh installation. Images that begin with
// "sky-stack/" are made by Sky itself, from the distribution's packages.
func defaultRuntimes() []models.Runtime {
	row := func(kind, version, build, run string, preferred bool) models.Runtime {
		return models.Runtime{
			Type: kind, Version: version, BuildImage: build, RunImage: run, Default: preferred, Active: true,
		}
	}
	var rows []models.Runtime
	for _, version := range []string{"18", "20", "22", "24"} {
		rows = append(rows, row("node", version, "node:"+version+"-bookworm", "node:"+version+"-bookworm-slim", version == "22"))
	}
	for _, version := range []string{"3.10", "3.11", "3.12"} {
		rows = append(rows, row("python", version, "python:"+version+"-bookworm", "python:"+version+"-slim-bookworm", version == "3.11"))
	}
	return append(rows,
		row("go", "1.26", "golang:1.26-bookworm", "debian:bookworm-slim", true),
		row("php", "8.2", "sky-stack/php-build:8.2", "sky-stack/php-run:8.2", true),
		row("static", "1", "sky-stack/static-build:1", "sky-stack/static-run:1", true),
	)
}

// SeedRuntimes adds the default rows that are not there. Rows that an admin
// edited stay as they are.
func (p *Platform) SeedRuntimes(ctx context.Context) error {
	for _, row := range defaultRuntimes() {
		row.ID, row.CreatedAt = models.NewID(), now()
		err := p.Store.CreateRuntime(ctx, &row)
		if err != nil && !models.IsCode(err, models.Conflict) {
			return err
		}
	}
	return nil
}
