package platform

import (
	"context"
	"errors"
	"slices"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// WebhookPath is where GitHub delivers; a link's own id follows, or nothing for a
// GitHub App's webhook.
const WebhookPath = "/api/paas/github/webhook"

// LinkView is a link with what people read of it.
type LinkView struct {
	models.GitHubLink
	RepositoryURL string
	PreviewPlan   string
	LinkedBy      string
}

// LinkGitHub binds the App to a branch of a repository, which decides from then
// on what is live: its head is deployed now, and whenever it moves. The repository
// is reached through actor's connection, or through the GitHub App where one is
// installed there. actor has to be one who may write to it.
func (p *Platform) LinkGitHub(ctx context.Context, actor models.Actor, app models.App, repository string, change GitHubLinkChange) (LinkView, error) {
	if err := models.CheckRepository(repository); err != nil {
		return LinkView{}, err
	}
	link := models.GitHubLink{
		ID: models.NewID(), AppID: app.ID, UserID: actor.UserID, AutoDeploy: true, PreviewHours: previewHours, PreviewMost: previewMost,
		CreatedAt: now(), UpdatedAt: now(),
	}
	if err := p.findRepository(ctx, &link, repository, change.Branch); err != nil {
		return LinkView{}, err
	}
	if err := p.applyLink(ctx, &link, change); err != nil {
		return LinkView{}, err
	}
	if err := p.checkBranchThere(ctx, link); err != nil {
		return LinkView{}, err
	}
	secret := newSecret()
	var err error
	if link.Secret, err = p.Vault.seal(linkPlace(link), []byte(secret)); err != nil {
		return LinkView{}, err
	}
	err = p.commit(ctx, actor, fact{kind: "github.link", detail: link.Repository + " " + link.Branch(), app: &app}, func(tx *store.Store) error {
		return addLink(ctx, tx, &link)
	})
	if err != nil {
		return LinkView{}, err
	}
	if err := p.installHook(ctx, &link); err != nil {
		return LinkView{}, errors.Join(err, p.Store.DeleteGitHubLink(context.WithoutCancel(ctx), link.ID))
	}
	if err := p.askFor(ctx, taskCatchUp, about{ID: link.ID}); err != nil {
		return LinkView{}, err
	}
	return p.linkView(ctx, link)
}

func linkPlace(link models.GitHubLink) place {
	return ofApp(link.AppID, "github link "+link.ID.String())
}

// addLink inserts the link; its branch is the one that deploys.
func addLink(ctx context.Context, tx *store.Store, link *models.GitHubLink) error {
	_, err := tx.UpdateApp(ctx, link.AppID, func(app *models.App) error {
		app.DeployBranch, app.UpdatedAt = link.Branch(), now()
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.CreateGitHubLink(ctx, link)
	if models.IsCode(err, models.Conflict) {
		return models.Errorf(models.Conflict, "the app is linked with a repository already").WithRemedy("unlink it first: sky github unlink")
	}
	return err
}

// findRepository fills in what GitHub knows of a repository, for one who may
// write to it.
func (p *Platform) findRepository(ctx context.Context, link *models.GitHubLink, name string, branch *string) error {
	host, row, err := p.gitHub(ctx)
	if err != nil {
		return err
	}
	token, err := p.userToken(ctx, host, link.UserID)
	if err != nil {
		return err
	}
	client, err := host.As(token)
	if err != nil {
		return err
	}
	found, err := client.Repository(ctx, name)
	if models.IsCode(err, models.Unauthorized) {
		p.distrust(ctx, link.UserID)
	}
	if models.IsCode(err, models.NotFound) {
		return models.Errorf(models.NotFound, "GitHub has no repository %s, or does not show it to you", name).WithField("repository").
			WithRemedy("`sky github repos` lists those that you reach")
	}
	if err != nil {
		return err
	}
	if !found.Admin && (!found.Push || !row.IsApp()) {
		return models.Errorf(models.Forbidden, "you may not keep webhooks in %s", found.Name).WithField("repository").
			WithRemedy("ask one of its admins at GitHub to link it, or for that right")
	}
	link.RepositoryID, link.Repository, link.Ref = found.ID, found.Name, branchPrefix+found.DefaultBranch
	if row.IsApp() {
		if link.Installation, err = host.InstallationOf(ctx, found.Name); models.IsCode(err, models.NotFound) {
			return models.Errorf(models.NotFound, "the GitHub App is not installed in %s", found.Name).WithField("repository").
				WithRemedy("install it there: %s", host.InstallURL(row.Slug))
		}
	}
	return err
}

// checkBranchThere refuses a link to a branch that is not there.
func (p *Platform) checkBranchThere(ctx context.Context, link models.GitHubLink) error {
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return err
	}
	head, err := p.Repositories.RemoteHead(ctx, access.remote(link), link.Ref)
	if err == nil && head == models.ZeroObject {
		err = models.Errorf(models.NotFound, "%s has no branch %s", link.Repository, link.Branch()).WithField("branch").
			WithRemedy("`sky github branches %s` lists them", link.Repository)
	}
	return err
}

// GitHubLink returns the App's link.
func (p *Platform) GitHubLink(ctx context.Context, app models.App) (LinkView, error) {
	link, err := p.linkOf(ctx, app)
	if err != nil {
		return LinkView{}, err
	}
	return p.linkView(ctx, link)
}

func (p *Platform) linkOf(ctx context.Context, app models.App) (models.GitHubLink, error) {
	link, err := p.Store.GitHubLinkOf(ctx, app.ID)
	if models.IsCode(err, models.NotFound) {
		err = models.Errorf(models.NotFound, "%s is not linked with a repository", app.Name).
			WithRemedy("link it: sky github link OWNER/NAME -a %s", app.Name)
	}
	return link, err
}

func (p *Platform) linkView(ctx context.Context, link models.GitHubLink) (LinkView, error) {
	view := LinkView{GitHubLink: link}
	host, err := p.hostRow(ctx)
	if err != nil {
		return view, err
	}
	view.RepositoryURL = github.Host{URL: host.URL}.RepositoryURL(link.Repository)
	if user, err := p.Store.User(ctx, link.UserID); err == nil {
		view.LinkedBy = user.Name
	}
	if link.PreviewPlanID != nil {
		plan, err := p.Store.Plan(ctx, *link.PreviewPlanID)
		if err != nil {
			return view, err
		}
		view.PreviewPlan = plan.Name
	}
	return view, nil
}

// ChangeGitHubLink changes the settings of the App's link. What they decide is
// decided anew.
func (p *Platform) ChangeGitHubLink(ctx context.Context, actor models.Actor, app models.App, revision string, change GitHubLinkChange) (LinkView, error) {
	link, err := p.ownLink(ctx, app)
	if err != nil {
		return LinkView{}, err
	}
	moved := link
	if err := p.applyLink(ctx, &moved, change); err != nil {
		return LinkView{}, err
	}
	if moved.Ref != link.Ref {
		if err := p.checkBranchThere(ctx, moved); err != nil {
			return LinkView{}, err
		}
	}
	err = p.commit(ctx, actor, fact{kind: "github.change", detail: moved.Repository + " " + moved.Branch(), app: &app}, func(tx *store.Store) error {
		if link, err = p.changeLink(ctx, tx, link.ID, revision, change); err != nil {
			return err
		}
		return queueTask(ctx, tx, taskCatchUp, about{ID: link.ID}, now())
	})
	if err != nil {
		return LinkView{}, err
	}
	p.work.ring()
	if !link.Previews {
		err = p.closePreviews(ctx, link, "previews were switched off")
	}
	return p.orView(ctx, link, err)
}

// changeLink writes the change. Automatic deployment that is switched on, and
// another branch or other paths, have the head decided on again.
func (p *Platform) changeLink(ctx context.Context, tx *store.Store, id models.ID, revision string, change GitHubLinkChange) (models.GitHubLink, error) {
	link, err := tx.UpdateGitHubLink(ctx, id, func(row *models.GitHubLink) error {
		if err := models.CheckRevision(revision, row.Revision()); err != nil {
			return err
		}
		before := *row
		if err := p.applyLink(ctx, row, change); err != nil {
			return err
		}
		if row.Ref != before.Ref || !slices.Equal(row.Paths, before.Paths) || (row.AutoDeploy && !before.AutoDeploy) {
			row.Head = ""
		}
		row.UpdatedAt = now()
		return nil
	})
	if err != nil {
		return link, err
	}
	_, err = tx.UpdateApp(ctx, link.AppID, func(app *models.App) error {
		app.DeployBranch = link.Branch()
		return nil
	})
	return link, err
}

func (p *Platform) orView(ctx context.Context, link models.GitHubLink, err error) (LinkView, error) {
	if err != nil {
		return LinkView{}, err
	}
	return p.linkView(ctx, link)
}

// ownLink returns the App's link, unless the App is a preview, whose link is
// another App's to change.
func (p *Platform) ownLink(ctx context.Context, app models.App) (models.GitHubLink, error) {
	link, err := p.linkOf(ctx, app)
	if err == nil && link.Branch() == "" {
		err = models.Errorf(models.Conflict, "%s is the preview of a pull request", app.Name).
			WithRemedy("change the link of the app that it previews")
	}
	return link, err
}

// UnlinkGitHub ends the App's link, with its webhook and its previews. What is
// live goes on.
func (p *Platform) UnlinkGitHub(ctx context.Context, actor models.Actor, app models.App) error {
	link, err := p.ownLink(ctx, app)
	if err != nil {
		return err
	}
	if err := p.closePreviews(ctx, link, "the repository was unlinked"); err != nil {
		return err
	}
	p.removeHook(ctx, app, link)
	return p.commit(ctx, actor, fact{kind: "github.unlink", detail: link.Repository, app: &app}, func(tx *store.Store) error {
		return tx.DeleteGitHubLink(ctx, link.ID)
	})
}

// RepairGitHubLink makes the webhook anew, takes the link over for actor, and looks
// whether a push was missed.
func (p *Platform) RepairGitHubLink(ctx context.Context, actor models.Actor, app models.App) (LinkView, error) {
	link, err := p.ownLink(ctx, app)
	if err != nil {
		return LinkView{}, err
	}
	mine := link
	mine.UserID = actor.UserID
	branch := link.Branch()
	if err := p.findRepository(ctx, &mine, link.Repository, &branch); err != nil {
		return LinkView{}, err
	}
	if mine.RepositoryID != link.RepositoryID {
		return LinkView{}, models.Errorf(models.Conflict, "%s is another repository than the one that was linked", link.Repository).
			WithRemedy("unlink the app, and link it again")
	}
	if err := p.installHook(ctx, &mine); err != nil {
		return LinkView{}, err
	}
	err = p.commit(ctx, actor, fact{kind: "github.repair", detail: link.Repository, app: &app}, func(tx *store.Store) error {
		link, err = tx.UpdateGitHubLink(ctx, link.ID, func(row *models.GitHubLink) error {
			row.UserID, row.Installation, row.HookID, row.Trouble, row.UpdatedAt = mine.UserID, mine.Installation, mine.HookID, "", now()
			return nil
		})
		if err != nil {
			return err
		}
		return queueTask(ctx, tx, taskCatchUp, about{ID: link.ID}, now())
	})
	p.work.ring()
	return p.orView(ctx, link, err)
}
