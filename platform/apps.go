package platform

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// NewApp is what an App is made of. Only Name is needed.
type NewApp struct {
	Name         string
	Organisation string // its name; empty takes the actor's own
	Plan         string // its name; empty takes the platform's default
	Region       string
}

// CreateApp makes an App with its repository.
func (p *Platform) CreateApp(ctx context.Context, actor models.Actor, wanted NewApp) (models.App, error) {
	app, err := p.plannedApp(ctx, actor, wanted)
	if err != nil {
		return models.App{}, err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return models.App{}, err
	}
	if err := p.Repositories.Create(ctx, app.ID); err != nil {
		return models.App{}, fmt.Errorf("create repository: %w", err)
	}
	err = p.commit(ctx, actor, fact{kind: "app.create", detail: app.Name, app: &app}, func(tx *store.Store) error {
		return addApp(ctx, tx, &app, options.MaxAppsPerOrganisation)
	})
	if err != nil {
		if undo := p.Repositories.Remove(context.WithoutCancel(ctx), app.ID); undo != nil {
			p.Log.Error("remove unused repository", "app", app.Name, "error", undo)
		}
		return models.App{}, err
	}
	return app, nil
}

// plannedApp checks what is wanted and returns the row that it makes.
func (p *Platform) plannedApp(ctx context.Context, actor models.Actor, wanted NewApp) (models.App, error) {
	if err := models.CheckAppName(wanted.Name); err != nil {
		return models.App{}, err
	}
	owner, err := p.owning(ctx, actor, wanted.Organisation)
	if err != nil {
		return models.App{}, err
	}
	if err := p.checkRegion(ctx, wanted.Region); err != nil {
		return models.App{}, err
	}
	plan, err := p.choosePlan(ctx, wanted.Plan)
	return models.App{
		ID: models.NewID(), Name: wanted.Name, OrganisationID: owner.ID, CreatorID: actor.UserID, PlanID: plan, Region: wanted.Region,
		DeployBranch: "main", Formation: models.Formation{}, CreatedAt: now(), UpdatedAt: now(),
	}, err
}

// addApp inserts the App, in a transaction, where its Organisation is still there
// and has fewer than most.
func addApp(ctx context.Context, tx *store.Store, app *models.App, most int) error {
	owner, err := tx.LockOrganisation(ctx, app.OrganisationID)
	if err != nil {
		return err
	}
	apps, err := tx.CountApps(ctx, owner.ID)
	if err != nil {
		return err
	}
	if apps >= int64(most) {
		return models.Errorf(models.Conflict, "%s has %d apps, as many as it may", owner.Name, apps).
			WithRemedy("destroy one, or ask an admin of the platform")
	}
	err = tx.CreateApp(ctx, app)
	if models.IsCode(err, models.Conflict) {
		return models.Errorf(models.Conflict, "the app name %q is taken", app.Name).WithField("name").WithRemedy("choose another")
	}
	return err
}

// owning returns the Organisation that a new App is to belong to: the named one,
// or else the one that bears the actor's name, or the only one they have.
func (p *Platform) owning(ctx context.Context, actor models.Actor, name string) (models.Organisation, error) {
	if name != "" {
		return p.Organisation(ctx, actor, models.AppCreate, name)
	}
	if actor.OrganisationID != nil {
		organisation, err := p.Store.Organisation(ctx, *actor.OrganisationID)
		if err != nil {
			return models.Organisation{}, err
		}
		return organisation, p.permit(ctx, actor, models.AppCreate, organisation.ID)
	}
	mine, err := p.Store.Organisations(ctx, store.OrganisationFilter{Member: &actor.UserID}, models.Everything())
	if err != nil {
		return models.Organisation{}, err
	}
	for _, organisation := range mine.Items {
		if organisation.Name == actor.Name || len(mine.Items) == 1 {
			return organisation, p.permit(ctx, actor, models.AppCreate, organisation.ID)
		}
	}
	if len(mine.Items) == 0 {
		return models.Organisation{}, models.Errorf(models.Conflict, "you are in no organisation").WithField("organisation").
			WithRemedy("`sky orgs create NAME` makes one")
	}
	return models.Organisation{}, models.Errorf(models.Invalid, "which organisation is it for?").WithField("organisation").
		WithRemedy("pass --org NAME; `sky orgs list` shows yours")
}

// AppsAsked narrows a list of Apps.
type AppsAsked struct {
	Organisation string
	Search       string
}

// Apps lists the Apps that actor may see.
func (p *Platform) Apps(ctx context.Context, actor models.Actor, asked AppsAsked, page models.PageRequest) (models.Page[models.App], error) {
	if err := actor.CheckScope(models.AppRead); err != nil {
		return models.Page[models.App]{}, err
	}
	filter := store.AppFilter{Search: asked.Search, Organisation: actor.OrganisationID}
	if !actor.Admin {
		filter.Member = &actor.UserID
	}
	if asked.Organisation != "" {
		organisation, err := p.Organisation(ctx, actor, models.AppRead, asked.Organisation)
		if err != nil {
			return models.Page[models.App]{}, err
		}
		filter.Organisation = &organisation.ID
	}
	return p.Store.Apps(ctx, filter, page)
}

// AppSettings are the settings to change; nil leaves one as it is.
type AppSettings struct {
	DeployBranch *string
	HealthPath   *string
	WritableRoot *bool
	RootUser     *bool
	BuildSettings
}

// BuildSettings are those of an App's builds; nil leaves one as it is.
type BuildSettings struct {
	Buildpack      *string
	RootDir        *string
	BuildCommand   *string
	StartCommand   *string
	Dockerfile     *string
	DockerTarget   *string
	BuildVariables *[]string
	BuildArguments *[]string
}

// ChangeApp changes an App's settings. They apply to the next release. With a
// revision, only an App that is still at it is changed.
func (p *Platform) ChangeApp(ctx context.Context, actor models.Actor, name, revision string, change AppSettings) (models.App, error) {
	app, err := p.App(ctx, actor, models.AppConfigure, name)
	if err != nil {
		return models.App{}, err
	}
	err = p.commit(ctx, actor, fact{kind: "app.change", detail: change.words(), app: &app}, func(tx *store.Store) error {
		app, err = tx.UpdateApp(ctx, app.ID, func(app *models.App) error {
			if err := models.CheckRevision(revision, app.Revision()); err != nil {
				return err
			}
			return change.apply(app)
		})
		return err
	})
	return app, err
}

// words name the settings that change.
func (s AppSettings) words() string {
	var words []string
	for name, given := range map[string]bool{
		"deploy_branch": s.DeployBranch != nil, "health_path": s.HealthPath != nil, "buildpack": s.Buildpack != nil,
		"writable_root": s.WritableRoot != nil, "root_user": s.RootUser != nil, "root_dir": s.RootDir != nil,
		"build_command": s.BuildCommand != nil, "start_command": s.StartCommand != nil, "dockerfile": s.Dockerfile != nil,
		"docker_target": s.DockerTarget != nil, "build_variables": s.BuildVariables != nil, "build_arguments": s.BuildArguments != nil,
	} {
		if given {
			words = append(words, name)
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func (s AppSettings) apply(app *models.App) error {
	app.UpdatedAt = now()
	if s.DeployBranch != nil {
		if err := models.CheckBranch(*s.DeployBranch); err != nil {
			return err
		}
		app.DeployBranch = *s.DeployBranch
	}
	if s.HealthPath != nil {
		if !isHealthPath(*s.HealthPath) {
			return models.Errorf(models.Invalid, "%q is not a path", *s.HealthPath).WithField("health_path").
				WithRemedy("begin it with a slash, such as /healthz; an empty one probes the port")
		}
		app.HealthPath = *s.HealthPath
	}
	if s.WritableRoot != nil {
		app.WritableRoot = *s.WritableRoot
	}
	if s.RootUser != nil {
		app.RootUser = *s.RootUser
	}
	return s.BuildSettings.apply(app)
}

// isHealthPath reports whether an agent can ask for the path; an empty one asks
// for nothing.
func isHealthPath(path string) bool {
	_, err := url.ParseRequestURI(path)
	return path == "" || (err == nil && strings.HasPrefix(path, "/") && !strings.Contains(path, " "))
}

// DestroyApp stops the App and removes all that is its own: instances, images,
// repository, config and logs. confirm must repeat its name.
func (p *Platform) DestroyApp(ctx context.Context, actor models.Actor, name, confirm string) error {
	app, err := p.App(ctx, actor, models.AppDestroy, name)
	if err != nil {
		return err
	}
	if confirm != name {
		return models.Errorf(models.Invalid, "the app is destroyed only when its name is repeated").WithField("confirm").
			WithRemedy("pass --confirm %s; this cannot be undone", name)
	}
	if err := p.leaveGitHub(ctx, app); err != nil {
		return err
	}
	return p.destroyApp(ctx, actor, app)
}

// leaveGitHub ends the previews of an App that goes, and its webhook.
func (p *Platform) leaveGitHub(ctx context.Context, app models.App) error {
	link, err := p.Store.GitHubLinkOf(ctx, app.ID)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := p.closePreviews(ctx, link, app.Name+" was destroyed"); err != nil {
		return err
	}
	p.removeHook(ctx, app, link)
	return nil
}

// destroyApp ends what the App's lane has and removes the App.
func (p *Platform) destroyApp(ctx context.Context, actor models.Actor, app models.App) error {
	builds, err := p.Store.Builds(ctx, app.ID, 1<<30)
	if err != nil {
		return err
	}
	for _, build := range builds {
		if w := p.lanes.find(app.ID, func(id models.ID) bool { return id == build.ID }); w != nil {
			p.cancelWork(build, w)
		}
	}
	return p.lanes.do(ctx, app.ID, func(ctx context.Context) error { return p.destroy(ctx, actor, app) })
}

func (p *Platform) destroy(ctx context.Context, actor models.Actor, app models.App) error {
	builds, err := p.Store.Builds(ctx, app.ID, 1<<30)
	if err != nil {
		return err
	}
	if err := p.dropInstances(ctx, app); err != nil {
		return err
	}
	err = p.commit(ctx, actor, fact{kind: "app.destroy", detail: app.Name, app: &app}, func(tx *store.Store) error {
		return tx.DeleteApp(ctx, app.ID)
	})
	if err != nil {
		return err
	}
	p.refreshAll(ctx)
	// From here on the app is gone for its owner; what is left is housekeeping.
	for _, build := range builds {
		p.warn("remove build log", app, p.Logs.Remove(buildStream(build.ID)))
	}
	p.warn("remove log", app, p.Logs.Remove(appStream(app.ID)))
	p.warn("remove repository", app, p.Repositories.Remove(ctx, app.ID))
	p.warn("remove images", app, p.Builder.RemoveImages(ctx, app))
	if p.Images != nil {
		p.warn("remove images from the registry", app, p.Images.Retain(ctx, app.ID, nil))
	}
	return nil
}

func (p *Platform) warn(step string, app models.App, err error) {
	if err != nil {
		p.Log.Warn(step, "app", app.Name, "error", err)
	}
}
