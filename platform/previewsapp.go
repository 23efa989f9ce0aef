package platform

import (
	"context"
	"fmt"
	"strings"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// activate makes the preview's App with a link of its own, where there is none, or
// brings them up to date, and returns that link.
func (p *Platform) activate(ctx context.Context, link models.GitHubLink, preview models.GitHubPreview) (models.GitHubLink, error) {
	renew := p.renewPreviewApp
	if preview.AppID == nil {
		renew = p.makePreviewApp
	}
	if err := renew(ctx, link, &preview); err != nil {
		return models.GitHubLink{}, err
	}
	_, err := p.Store.UpdateGitHubPreview(ctx, preview.ID, func(row *models.GitHubPreview) error {
		row.State, row.Reason = models.PreviewActive, ""
		return nil
	})
	if err != nil {
		return models.GitHubLink{}, err
	}
	return p.Store.GitHubLinkOf(ctx, *preview.AppID)
}

// makePreviewApp makes an App like the one that is previewed, in one transaction
// with its link.
func (p *Platform) makePreviewApp(ctx context.Context, link models.GitHubLink, preview *models.GitHubPreview) error {
	parent, err := p.Store.App(ctx, link.AppID)
	if err != nil {
		return err
	}
	actor, err := p.linker(ctx, parent, link)
	if err != nil {
		return err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return err
	}
	app := previewApp(parent, link, *preview)
	config, err := p.previewConfig(ctx, parent, link, *preview)
	if err != nil {
		return err
	}
	if err := p.Repositories.Create(ctx, app.ID); err != nil {
		return fmt.Errorf("create repository: %w", err)
	}
	own := models.GitHubLink{
		ID: models.NewID(), AppID: app.ID, UserID: link.UserID, Installation: link.Installation, RepositoryID: link.RepositoryID,
		Repository: link.Repository, Ref: github.Pull{Number: preview.Number}.Ref(), AutoDeploy: true,
		PreviewHours: link.PreviewHours, PreviewMost: link.PreviewMost, CreatedAt: now(), UpdatedAt: now(),
	}
	what := fact{kind: "preview.create", detail: fmt.Sprintf("%s of %s#%d", app.Name, link.Repository, preview.Number), app: &parent}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		if err := addApp(ctx, tx, &app, options.MaxAppsPerOrganisation); err != nil {
			return err
		}
		if err := p.storeConfig(ctx, tx, app.ID, ConfigChange{Set: config}); err != nil {
			return err
		}
		if err := tx.CreateGitHubLink(ctx, &own); err != nil {
			return err
		}
		*preview, err = tx.UpdateGitHubPreview(ctx, preview.ID, func(row *models.GitHubPreview) error { row.AppID = &app.ID; return nil })
		return err
	})
	if err != nil {
		p.warn("remove unused repository", app, p.Repositories.Remove(context.WithoutCancel(ctx), app.ID))
	}
	return err
}

// renewPreviewApp has the preview's App do as its parent's link does now. What a
// fork's commit may read is decided with each approval.
func (p *Platform) renewPreviewApp(ctx context.Context, link models.GitHubLink, preview *models.GitHubPreview) error {
	own, err := p.Store.GitHubLinkOf(ctx, *preview.AppID)
	if err != nil {
		return err
	}
	_, err = p.Store.UpdateGitHubLink(ctx, own.ID, func(row *models.GitHubLink) error {
		row.UserID, row.Installation, row.RepositoryID, row.Repository = link.UserID, link.Installation, link.RepositoryID, link.Repository
		return nil
	})
	if err != nil || !preview.Fork {
		return err
	}
	parent, err := p.Store.App(ctx, link.AppID)
	if err != nil {
		return err
	}
	config, err := p.previewConfig(ctx, parent, link, *preview)
	if err != nil {
		return err
	}
	return p.replaceConfig(ctx, *preview.AppID, config)
}

// maxAppName is how long an App's name may be.
const maxAppName = 40

// previewApp is the App for a pull request. A fork's gets no root.
func previewApp(parent models.App, link models.GitHubLink, preview models.GitHubPreview) models.App {
	app := parent
	suffix := fmt.Sprintf("-pr-%d", preview.Number)
	app.ID, app.CreatorID = models.NewID(), link.UserID
	app.Name = strings.TrimRight(parent.Name[:min(len(parent.Name), maxAppName-len(suffix))], "-") + suffix
	app.DeployBranch, app.LiveReleaseID, app.Stopped, app.Suspended = fmt.Sprintf("pr-%d", preview.Number), nil, false, false
	app.CreatedAt, app.UpdatedAt = now(), now()
	if link.PreviewPlanID != nil {
		app.PlanID = link.PreviewPlanID
	}
	if preview.Fork {
		app.RootUser, app.WritableRoot = false, false
	}
	return app
}

// previewConfig is the previewed App's config, less what is hidden from previews. A
// fork gets none, unless who approved it said so.
func (p *Platform) previewConfig(ctx context.Context, parent models.App, link models.GitHubLink, preview models.GitHubPreview) (map[string]string, error) {
	if preview.Fork && !preview.WithConfig {
		return map[string]string{}, nil
	}
	config, err := p.config(ctx, parent.ID)
	for _, key := range link.PreviewHidden {
		delete(config, key)
	}
	return config, err
}
