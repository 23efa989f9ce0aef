package platform

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// applyManifest does what the repository's app.json asks for: before the first
// Release its defaults become part of the Config, and its formation the App's.
// A variable that it requires and that is not set is models.Failed. It returns
// the Config.
func (p *Platform) applyManifest(ctx context.Context, app models.App, wanted buildpipeline.Manifest, log *buildLog) (map[string]string, error) {
	config, err := p.config(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	if err := checkRequired(app, wanted, config); err != nil || app.LiveReleaseID != nil {
		return config, err
	}
	return config, p.applyDefaults(ctx, app, wanted, config, log)
}

// applyDefaults stores what an App begins with, and adds it to config.
func (p *Platform) applyDefaults(ctx context.Context, app models.App, wanted buildpipeline.Manifest, config map[string]string, log *buildLog) error {
	fresh, err := defaults(wanted, config)
	if err != nil {
		return fmt.Errorf("app.json: %w", err)
	}
	formation := wanted.Formation
	if len(app.Formation) > 0 {
		formation = nil // somebody scaled it already
	}
	if err := p.checkManifestScale(ctx, app, formation); err != nil || len(fresh)+len(formation) == 0 {
		return err
	}
	keys := slices.Sorted(maps.Keys(fresh))
	what := fact{kind: "app.manifest", detail: strings.TrimSpace(strings.Join(keys, " ") + " " + counts(formation)), app: &app}
	err = p.commit(ctx, models.Actor{Name: "sky"}, what, func(tx *store.Store) error {
		if err := p.storeConfig(ctx, tx, app.ID, ConfigChange{Set: fresh}); err != nil || len(formation) == 0 {
			return err
		}
		_, err := tx.UpdateApp(ctx, app.ID, func(row *models.App) error {
			row.Formation = formation
			return nil
		})
		return err
	})
	if err == nil && len(keys) > 0 {
		log.Say("%s", narrative.Field("Config", "from app.json: "+strings.Join(keys, ", ")))
	}
	return err
}

// defaults are the variables that app.json gives and config lacks. They are added
// to it.
func defaults(wanted buildpipeline.Manifest, config map[string]string) (map[string]string, error) {
	fresh := map[string]string{}
	for _, variable := range wanted.Variables {
		value := variable.Value
		if variable.Secret {
			value = newSecret()
		}
		if _, set := config[variable.Key]; !set && value != "" {
			fresh[variable.Key] = value
		}
	}
	before := maps.Clone(config)
	maps.Copy(config, fresh)
	if err := (ConfigChange{Set: fresh}).check(); err != nil {
		return nil, err
	}
	return fresh, checkSize(before, config)
}

// checkManifestScale refuses a formation beyond the App's plan.
func (p *Platform) checkManifestScale(ctx context.Context, app models.App, wanted models.Formation) error {
	if app.PlanID == nil || len(wanted) == 0 {
		return nil
	}
	plan, err := p.Store.Plan(ctx, *app.PlanID)
	if err != nil {
		return err
	}
	return checkInstances(plan, wanted)
}

func checkRequired(app models.App, wanted buildpipeline.Manifest, config map[string]string) error {
	var lacking, commands []string
	for _, variable := range wanted.Variables {
		if _, set := config[variable.Key]; set || !variable.Required {
			continue
		}
		text := variable.Key
		if variable.Description != "" {
			text += " (" + narrative.Clean(variable.Description) + ")"
		}
		lacking = append(lacking, text)
		commands = append(commands, variable.Key+"=VALUE")
	}
	if len(lacking) == 0 {
		return nil
	}
	return models.Errorf(models.Failed, "app.json requires variables that are not set: %s", strings.Join(lacking, ", ")).
		WithField("app.json").WithRemedy("sky env set -a %s %s, then push again", app.Name, strings.Join(commands, " "))
}
