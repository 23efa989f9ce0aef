package platform

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

// The limits of a Config.
const (
	maxEnvVars  = 1000
	maxEnvValue = 32 << 10
	// maxConfig bounds a whole Config, names and values: each Instance's node is
	// told it, and the kernel hands no process more than it has room for.
	maxConfig = 64 << 10
)

// config opens the App's Config as it is now.
func (p *Platform) config(ctx context.Context, app models.ID) (map[string]string, error) {
	vars, err := p.Store.EnvVars(ctx, app)
	if err != nil {
		return nil, err
	}
	config := make(map[string]string, len(vars))
	for _, variable := range vars {
		plain, err := p.Vault.open(ofApp(app, "env "+variable.Key), variable.Value)
		if err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", variable.Key, err)
		}
		config[variable.Key] = string(plain)
	}
	return config, nil
}

// Config returns the App's variables. Without reveal, values are empty.
func (p *Platform) Config(ctx context.Context, actor models.Actor, app models.App, reveal bool) (map[string]string, error) {
	config, err := p.config(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	if reveal {
		err = p.permit(ctx, actor, models.AppReveal, app.OrganisationID)
	}
	if err != nil {
		return nil, err
	}
	if !reveal {
		for key := range config {
			config[key] = ""
		}
		return config, nil
	}
	p.record(ctx, actor, fact{kind: "env.reveal", app: &app})
	return config, nil
}

// ConfigChange are variables to set and to unset, in one Release.
type ConfigChange struct {
	Set   map[string]string
	Unset []string
}

// ChangeConfig sets and unsets variables and, when the App is live, applies them
// by a new Release, without a build. It returns that Release, or nil when
// nothing runs or nothing changed. The Config stays changed when the Release
// fails: the next one gets it too.
func (p *Platform) ChangeConfig(ctx context.Context, actor models.Actor, app models.App, change ConfigChange, log rollout.Log) (*models.Release, error) {
	if err := change.check(); err != nil {
		return nil, err
	}
	var release *models.Release
	err := p.lanes.do(ctx, app.ID, func(ctx context.Context) error {
		var err error
		release, err = p.changeConfig(ctx, actor, app.ID, change, log)
		return err
	})
	return release, p.laneError(err)
}

func (c ConfigChange) check() error {
	for _, key := range slices.Concat(slices.Collect(maps.Keys(c.Set)), c.Unset) {
		if err := models.CheckEnvKey(key); err != nil {
			return err
		}
		if key == "PORT" || strings.HasPrefix(key, "SKY_") {
			return models.Errorf(models.Invalid, "%s is set by Sky", key).WithField(key).WithRemedy("choose another name")
		}
	}
	for key, value := range c.Set {
		if len(value) > maxEnvValue {
			return models.Errorf(models.TooLarge, "the value of %s is longer than %d KB", key, maxEnvValue>>10).WithField(key)
		}
		if strings.ContainsRune(value, 0) {
			return models.Errorf(models.Invalid, "the value of %s holds a NUL byte", key).WithField(key).
				WithRemedy("encode binary values, for example in base64")
		}
	}
	return nil
}

func (p *Platform) changeConfig(ctx context.Context, actor models.Actor, id models.ID, change ConfigChange, log rollout.Log) (*models.Release, error) {
	before, err := p.config(ctx, id)
	if err != nil {
		return nil, err
	}
	if lacking := missing(before, change.Unset); len(lacking) > 0 {
		return nil, models.Errorf(models.NotFound, "%s is not set", strings.Join(lacking, ", ")).WithField("unset").
			WithRemedy("`sky env list` shows what is")
	}
	after := maps.Clone(before)
	maps.Copy(after, change.Set)
	for _, key := range change.Unset {
		delete(after, key)
	}
	if err := checkSize(before, after); err != nil {
		return nil, err
	}
	if sameConfig(before, after) {
		return nil, nil
	}
	app, err := p.Store.App(ctx, id)
	if err != nil {
		return nil, err
	}
	keys := slices.Sorted(maps.Keys(change.Set))
	what := fact{kind: "env.change", detail: strings.Join(slices.Concat(keys, change.Unset), " "), app: &app}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error { return p.storeConfig(ctx, tx, id, change) })
	if err != nil {
		return nil, err
	}
	return p.releaseConfig(ctx, actor, app, describeChange(keys, change.Unset), log)
}

// checkSize refuses a Config that grows beyond what an App may have.
func checkSize(before, after map[string]string) error {
	if len(after) > maxEnvVars {
		return models.Errorf(models.TooLarge, "an app has at most %d environment variables", maxEnvVars).WithField("set").
			WithRemedy("unset what the app does not read")
	}
	if size := configSize(after); size > maxConfig && size > configSize(before) {
		return models.Errorf(models.TooLarge, "the environment variables are %d KB together; an app has at most %d KB", (size+1023)>>10, maxConfig>>10).
			WithField("set").WithRemedy("keep large values in a file of the repository, or in a store that the app reads")
	}
	return nil
}

func configSize(config map[string]string) int {
	size := 0
	for key, value := range config {
		size += len(key) + len(value)
	}
	return size
}

func describeChange(set, unset []string) string {
	var parts []string
	if len(set) > 0 {
		parts = append(parts, "Set "+some(set))
	}
	if len(unset) > 0 {
		parts = append(parts, "Unset "+some(unset))
	}
	return strings.Join(parts, "; ")
}

// some lists the first of keys, and says how many there are beside them.
func some(keys []string) string {
	const enough = 5
	if len(keys) <= enough {
		return strings.Join(keys, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(keys[:enough], ", "), len(keys)-enough)
}

// releaseConfig rolls out the live Release again, with the Config as it is now.
func (p *Platform) releaseConfig(ctx context.Context, actor models.Actor, app models.App, description string, log rollout.Log) (*models.Release, error) {
	if app.LiveReleaseID == nil {
		return nil, nil
	}
	release, err := p.Store.Release(ctx, *app.LiveReleaseID)
	if err != nil {
		return nil, err
	}
	release.BuildID, release.ActorID, release.Description = nil, actor.UserID, description
	if err := p.newRelease(ctx, &release, origin{}); err != nil {
		return nil, err
	}
	log.Say("%s", narrative.Field("Release", release.Name()+": "+description))
	if app.Stopped || app.Suspended {
		return &release, p.applyStopped(ctx, app, release)
	}
	return &release, p.rollOut(ctx, app, release, log)
}

// applyStopped makes release the live one of an App that runs nothing.
func (p *Platform) applyStopped(ctx context.Context, app models.App, release models.Release) error {
	if err := p.change(ctx, rollout.Change{App: app.ID, Live: &release.ID}); err != nil {
		return err
	}
	deployment, err := p.Store.DeploymentOf(ctx, release.ID)
	if err != nil {
		return err
	}
	return p.concludeLive(ctx, deployment)
}

// storeConfig seals the variables and writes them.
func (p *Platform) storeConfig(ctx context.Context, tx *store.Store, app models.ID, change ConfigChange) error {
	vars := make([]models.EnvVar, 0, len(change.Set))
	for key, value := range change.Set {
		sealed, err := p.Vault.seal(ofApp(app, "env "+key), []byte(value))
		if err != nil {
			return err
		}
		vars = append(vars, models.EnvVar{ID: models.NewID(), AppID: app, Key: key, Value: sealed, UpdatedAt: now()})
	}
	return tx.ChangeEnv(ctx, app, vars, change.Unset)
}

// replaceConfig makes config all that the App has.
func (p *Platform) replaceConfig(ctx context.Context, app models.ID, config map[string]string) error {
	before, err := p.config(ctx, app)
	if err != nil {
		return err
	}
	var unset []string
	for key := range before {
		if _, kept := config[key]; !kept {
			unset = append(unset, key)
		}
	}
	return p.storeConfig(ctx, p.Store, app, ConfigChange{Set: config, Unset: unset})
}
