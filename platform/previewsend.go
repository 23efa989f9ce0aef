package platform

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
)

// ClosePreview ends a preview by hand. It comes back with the pull request's next
// commit.
func (p *Platform) ClosePreview(ctx context.Context, actor models.Actor, app models.App, number int) error {
	_, preview, err := p.preview(ctx, app, number)
	if err != nil {
		return err
	}
	if err := p.closePreview(ctx, preview, "by "+actor.Name); err != nil {
		return err
	}
	p.record(ctx, actor, fact{kind: "preview.close", detail: fmt.Sprintf("#%d", number), app: &app})
	return nil
}

func (p *Platform) closePull(ctx context.Context, link models.GitHubLink, number int, why string) error {
	preview, err := p.Store.GitHubPreview(ctx, link.ID, number)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	return errors.Join(err, p.closePreview(ctx, preview, why))
}

func (p *Platform) closePreviews(ctx context.Context, link models.GitHubLink, why string) error {
	previews, err := p.Store.GitHubPreviews(ctx, link.ID)
	failures := []error{err}
	for _, preview := range previews {
		failures = append(failures, p.closePreview(ctx, preview, why))
	}
	return errors.Join(failures...)
}

// pullClosed is why a preview ends that comes back when its pull request does.
const pullClosed = "the pull request was closed"

// closePreview destroys a preview's App with all that it has, and says so on the
// pull request.
func (p *Platform) closePreview(ctx context.Context, preview models.GitHubPreview, why string) error {
	defer p.previewing.lock(preview.LinkID)()
	preview, err := p.Store.GitHubPreview(ctx, preview.LinkID, preview.Number)
	if models.IsCode(err, models.NotFound) || (err == nil && preview.State == models.PreviewClosed) {
		return nil
	}
	if err != nil {
		return err
	}
	link, err := p.Store.GitHubLink(ctx, preview.LinkID)
	if err != nil {
		return err
	}
	if preview.AppID != nil {
		if err := p.destroyPreview(ctx, link, *preview.AppID); err != nil {
			return err
		}
	}
	preview, err = p.Store.UpdateGitHubPreview(ctx, preview.ID, func(row *models.GitHubPreview) error {
		row.State, row.Reason, row.AppID, row.ExpiresAt = models.PreviewClosed, why, nil, nil
		row.Approved, row.ApprovedBy, row.WithConfig, row.UpdatedAt = "", nil, false, now()
		return nil
	})
	if err != nil {
		return err
	}
	if err := p.comment(ctx, link, preview, "The preview is gone: "+why+"."); err != nil {
		p.Log.Warn("comment on a closed preview", "error", err)
	}
	return nil
}

func (p *Platform) destroyPreview(ctx context.Context, link models.GitHubLink, id models.ID) error {
	app, err := p.Store.App(ctx, id)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	p.endDeployments(ctx, link, app)
	return p.destroyApp(ctx, models.Actor{Name: "sky", Via: "preview"}, app)
}

// endDeployments tells GitHub that what it knows of an App serves no more.
func (p *Platform) endDeployments(ctx context.Context, link models.GitHubLink, app models.App) {
	builds, err := p.Store.Builds(ctx, app.ID, 100)
	if err != nil {
		p.warn("end deployments at GitHub", app, err)
		return
	}
	ids := make([]models.ID, 0, len(builds))
	for _, build := range builds {
		ids = append(ids, build.ID)
	}
	told, err := p.Store.GitHubReports(ctx, ids)
	if err != nil || len(told) == 0 {
		p.warn("end deployments at GitHub", app, err)
		return
	}
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		p.warn("end deployments at GitHub", app, err)
		return
	}
	for _, report := range told {
		if report.Deployment != 0 {
			p.warn("end a deployment at GitHub", app, access.client.EndDeployment(ctx, link.Repository, report.Deployment))
		}
	}
}

// expirePreviews ends those whose time is over.
func (p *Platform) expirePreviews(ctx context.Context, at time.Time) error {
	expired, err := p.Store.ExpiredGitHubPreviews(ctx, at)
	failures := []error{err}
	for _, preview := range expired {
		failures = append(failures, p.closePreview(ctx, preview, "nothing changed for a while; the next commit brings it back"))
	}
	return errors.Join(failures...)
}
