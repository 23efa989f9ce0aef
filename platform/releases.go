package platform

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

// transaction is the database while a transaction lasts.
type transaction = *store.Store

// origin is what a new Release comes from beside its own fields.
type origin struct {
	// config is the Config to snapshot; nil takes the App's as it is now.
	config map[string]string
	// released says that the release command is not to run.
	released bool
	// beside runs in the transaction that stores the Release.
	beside func(context.Context, transaction) error
}

// newRelease numbers release and stores it with a snapshot of its Config and
// with a pending Deployment, so that a crash right after loses neither.
func (p *Platform) newRelease(ctx context.Context, release *models.Release, from origin) error {
	config := from.config
	if config == nil {
		var err error
		if config, err = p.config(ctx, release.AppID); err != nil {
			return err
		}
	}
	release.ID, release.CreatedAt = models.NewID(), now()
	if err := p.SealConfig(release, config); err != nil {
		return err
	}
	return p.Store.Transact(ctx, func(tx *store.Store) error {
		if from.beside != nil {
			if err := from.beside(ctx, tx); err != nil {
				return err
			}
		}
		if err := tx.CreateRelease(ctx, release); err != nil {
			return err
		}
		return tx.CreateDeployment(ctx, &models.Deployment{
			ID: models.NewID(), AppID: release.AppID, ReleaseID: release.ID, State: models.DeploymentPending,
			Released: from.released, CreatedAt: now(),
		})
	})
}

// SealConfig puts a Config into a Release, which has its id.
func (p *Platform) SealConfig(release *models.Release, config map[string]string) error {
	text, err := json.Marshal(config)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	release.Config, err = p.Vault.seal(releasePlace(*release), text)
	return err
}

func releasePlace(release models.Release) place {
	return ofApp(release.AppID, "release "+release.ID.String())
}

// configOf opens a Release's Config.
func (p *Platform) configOf(release models.Release) (map[string]string, error) {
	text, err := p.Vault.open(releasePlace(release), release.Config)
	if err != nil {
		return nil, fmt.Errorf("config of release %s: %w", release.Name(), err)
	}
	config := map[string]string{}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("config of release %s: %w", release.Name(), err)
	}
	return config, nil
}

// formation is how many Instances of each of the Release's process types run.
func formation(app models.App, release models.Release) models.Formation {
	counts := models.Formation{}
	for process := range release.Processes {
		count, told := app.Formation[process]
		if !told && process == models.WebProcess {
			count = 1
		}
		counts[process] = count
	}
	return counts
}

// counts writes a formation for people: "web=3 worker=1".
func counts(formation models.Formation) string {
	var parts []string
	for process, count := range formation {
		if count > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", process, count))
		}
	}
	sort.Strings(parts)
	return strings.Join(parts, " ")
}

// ReleaseView is a Release with its newest Deployment.
type ReleaseView struct {
	models.Release
	Deployment models.Deployment
	Live       bool
}

// Releases lists the App's Releases, the newest first.
func (p *Platform) Releases(ctx context.Context, app models.App, page models.PageRequest) (models.Page[ReleaseView], error) {
	rows, err := p.Store.ReleasePage(ctx, app.ID, page)
	if err != nil {
		return models.Page[ReleaseView]{}, err
	}
	ids := make([]models.ID, 0, len(rows.Items))
	for _, row := range rows.Items {
		ids = append(ids, row.ID)
	}
	deployments, err := p.Store.DeploymentsOf(ctx, ids)
	views := models.Page[ReleaseView]{Next: rows.Next}
	for _, row := range rows.Items {
		live := app.LiveReleaseID != nil && *app.LiveReleaseID == row.ID
		views.Items = append(views.Items, ReleaseView{row, deployments[row.ID], live})
	}
	return views, err
}

// Rollback makes a new Release with the image, Config and process types of an
// old one, and rolls it out. It returns when the Release serves.
func (p *Platform) Rollback(ctx context.Context, actor models.Actor, app models.App, number int, log rollout.Log) (models.Release, error) {
	var release models.Release
	err := p.lanes.do(ctx, app.ID, func(ctx context.Context) error {
		var err error
		release, err = p.rollback(ctx, actor, app.ID, number, log)
		return err
	})
	return release, p.laneError(err)
}

func (p *Platform) rollback(ctx context.Context, actor models.Actor, id models.ID, number int, log rollout.Log) (models.Release, error) {
	app, err := p.Store.App(ctx, id)
	if err != nil {
		return models.Release{}, err
	}
	if err := p.checkRuns(ctx, app); err != nil {
		return models.Release{}, err
	}
	old, err := p.rollbackTarget(ctx, app, number)
	if err != nil {
		return models.Release{}, err
	}
	config, err := p.configOf(old)
	if err != nil {
		return models.Release{}, err
	}
	release := old
	release.BuildID, release.ActorID, release.Description = nil, actor.UserID, "Rollback to "+old.Name()
	// The command of an old release knows nothing of what came after it, and
	// would stand between its App and the version that worked.
	if err := p.newRelease(ctx, &release, origin{config: config, released: true}); err != nil {
		return models.Release{}, err
	}
	log.Say("%s", narrative.Field("Release", release.Name()+", which is "+old.Name()+" again"))
	if err := p.rollOut(ctx, app, release, log); err != nil {
		return models.Release{}, err
	}
	p.record(ctx, actor, fact{kind: "release.rollback", detail: old.Name(), app: &app})
	if err := p.replaceConfig(ctx, app.ID, config); err != nil {
		return models.Release{}, err
	}
	return release, p.alignRef(ctx, app, release)
}

// rollbackTarget finds the Release to go back to; number 0 means the one before
// the live one.
func (p *Platform) rollbackTarget(ctx context.Context, app models.App, number int) (models.Release, error) {
	if app.LiveReleaseID == nil {
		return models.Release{}, models.Errorf(models.Conflict, "%s was never deployed, so there is nothing to go back to", app.Name)
	}
	live, err := p.Store.Release(ctx, *app.LiveReleaseID)
	if err != nil {
		return models.Release{}, err
	}
	if number == 0 {
		if number, err = p.before(ctx, app, live); err != nil {
			return models.Release{}, err
		}
	}
	target, err := p.Store.ReleaseByNumber(ctx, app.ID, number)
	if models.IsCode(err, models.NotFound) {
		return models.Release{}, models.Errorf(models.NotFound, "%s has no release v%d", app.Name, number).WithField("release").
			WithRemedy("`sky releases` lists them")
	}
	if err != nil {
		return models.Release{}, err
	}
	if target.ID == live.ID {
		return models.Release{}, models.Errorf(models.Conflict, "%s is live already", target.Name()).WithField("release")
	}
	if !p.published(ctx, app.ID, target.Manifest) && !p.Builder.HasImage(ctx, target.Image) {
		return models.Release{}, models.Errorf(models.Conflict, "the image of %s is gone from this server", target.Name()).
			WithRemedy("push its commit %s again", short(target.Commit))
	}
	return target, nil
}

// before returns the newest Release older than live that did serve once.
func (p *Platform) before(ctx context.Context, app models.App, live models.Release) (int, error) {
	releases, err := p.Releases(ctx, app, models.PageRequest{Limit: 100})
	if err != nil {
		return 0, err
	}
	for _, release := range releases.Items {
		if release.Number < live.Number && release.Deployment.State == models.DeploymentLive {
			return release.Number, nil
		}
	}
	return 0, models.Errorf(models.Conflict, "%s is the first release that served", live.Name()).WithField("release")
}

// alignRef makes the deploy branch say what is live. A commit that was forced
// away so long ago that it is gone leaves the branch where it is.
func (p *Platform) alignRef(ctx context.Context, app models.App, release models.Release) error {
	if release.Commit == "" {
		return nil
	}
	name := branchPrefix + app.DeployBranch
	current, err := p.Repositories.Ref(ctx, app.ID, name)
	if err != nil || current == release.Commit {
		return err
	}
	if loses, err := p.wouldLose(ctx, app, current, release.Commit); err != nil || loses {
		return err
	}
	update := &models.RefUpdate{Name: name, Old: current, New: release.Commit}
	if err := p.Repositories.UpdateRefs(ctx, app.ID, []*models.RefUpdate{update}, true); err != nil {
		return fmt.Errorf("move %s to what is live: %w", name, err)
	}
	if models.IsCode(update.Err, models.NotFound) {
		p.warn("align deploy branch", app, update.Err)
		return nil
	}
	return update.Err
}

// wouldLose reports whether a ref that moves from current to next leaves commits
// that were never released: those of a branch that was only stored before it
// became the deploy branch. Nothing else names them, so it stays until a push.
func (p *Platform) wouldLose(ctx context.Context, app models.App, current, next string) (bool, error) {
	if current == models.ZeroObject {
		return false, nil
	}
	released, err := p.Store.WasReleased(ctx, app.ID, current)
	if err != nil || released {
		return false, err
	}
	follows, err := p.Repositories.IsAncestor(ctx, app.ID, current, next)
	if models.IsCode(err, models.NotFound) {
		return false, nil
	}
	return !follows, err
}

// laneError turns the ends that a lane knows into errors for people.
func (p *Platform) laneError(err error) error {
	if p.stopping(err) {
		return models.Errorf(models.Unavailable, "sky is restarting").WithRemedy("try again in a moment")
	}
	return err
}

// sameConfig reports whether two Configs hold the same.
func sameConfig(a, b map[string]string) bool { return maps.Equal(a, b) }

// missing returns the keys of wanted that config lacks, sorted.
func missing(config map[string]string, wanted []string) []string {
	var lacking []string
	for _, key := range wanted {
		if _, ok := config[key]; !ok {
			lacking = append(lacking, key)
		}
	}
	slices.Sort(lacking)
	return lacking
}
