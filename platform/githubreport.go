package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
)

// report tells GitHub how a Build stands: a commit status and a deployment. What
// GitHub refuses is kept with the Build and harms nothing.
func (p *Platform) report(ctx context.Context, id models.ID) error {
	build, err := p.Store.Build(ctx, id)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	link, err := p.Store.GitHubLinkOf(ctx, build.AppID)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	app, err := p.Store.App(ctx, build.AppID)
	if err != nil {
		return err
	}
	said, err := p.reportOf(ctx, app, link, build)
	if err != nil {
		return err
	}
	told, err := p.Store.GitHubReport(ctx, id)
	if err != nil || told.State == string(said.State) {
		return err
	}
	return p.tell(ctx, link, told, said)
}

// reportOf is what there is to say of a Build: it has succeeded when its release is
// live, not when its image is made.
func (p *Platform) reportOf(ctx context.Context, app models.App, link models.GitHubLink, build models.Build) (github.Report, error) {
	said := github.Report{
		Build: build.ID.String(), Commit: build.Commit, State: github.Pending, Context: "sky/" + app.Name, LogURL: p.buildURL(app, build),
		URL: p.Settings.URL(app.Name), Environment: app.Name, Transient: link.Branch() == "",
		Description: fmt.Sprintf("Build #%d is under way", build.Number),
	}
	reason, _, _ := strings.Cut(build.Error, "\n")
	switch {
	case !build.State.Ended():
	case build.State == models.BuildCancelled:
		said.State, said.Description = github.Failed, fmt.Sprintf("Build #%d was not finished: %s", build.Number, reason)
	case build.Error != "":
		said.State, said.Description = github.Failure, fmt.Sprintf("Build #%d failed: %s", build.Number, reason)
	default:
		release, err := p.Store.ReleaseOfBuild(ctx, build.ID)
		if err != nil {
			return said, err
		}
		deployment, err := p.Store.DeploymentOf(ctx, release.ID)
		if err != nil {
			return said, err
		}
		if deployment.State == models.DeploymentLive {
			said.State, said.Description = github.Success, release.Name()+" is live"
		}
	}
	return said, nil
}

// buildURL is where people read a Build's log.
func (p *Platform) buildURL(app models.App, build models.Build) string {
	return fmt.Sprintf("%s/builds/%s/%d", p.Settings.PublicURL, app.Name, build.Number)
}

// announce tells GitHub of a deployment, once: one that it was told of before a
// crash is found again.
func (p *Platform) announce(ctx context.Context, access linkAccess, link models.GitHubLink, told *models.GitHubReport, said github.Report) (err error) {
	if told.UpdatedAt.IsZero() {
		err = p.Store.PutGitHubReport(ctx, told)
	} else {
		told.Deployment, err = access.client.FindDeployment(ctx, link.Repository, said)
	}
	if err == nil && told.Deployment == 0 {
		told.Deployment, err = access.client.CreateDeployment(ctx, link.Repository, said)
	}
	if err != nil {
		return err
	}
	return p.Store.PutGitHubReport(ctx, told)
}

// tell writes a report to GitHub, and to the database what became of that.
func (p *Platform) tell(ctx context.Context, link models.GitHubLink, told models.GitHubReport, said github.Report) error {
	err := p.write(ctx, link, &told, said)
	if err == nil || pauseAfter(err, 1) == 0 { // the comment is for those who may not see statuses, too
		if commented := p.reportPreview(ctx, link, said); pauseAfter(commented, 1) > 0 || err == nil {
			err = commented
		}
	}
	told.Error = ""
	if err != nil {
		told.Error = reasonOf(err)
	}
	if err != nil && pauseAfter(err, 1) > 0 {
		return errors.Join(err, p.Store.PutGitHubReport(ctx, &told))
	}
	if models.IsCode(err, models.Unauthorized) {
		p.distrustLink(ctx, link)
	}
	told.State = string(said.State)
	return p.Store.PutGitHubReport(ctx, &told)
}

// write writes a report to GitHub, as a commit status and a deployment.
func (p *Platform) write(ctx context.Context, link models.GitHubLink, told *models.GitHubReport, said github.Report) error {
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return err
	}
	if err := access.client.SetStatus(ctx, link.Repository, said); err != nil {
		return err
	}
	if told.Deployment == 0 {
		if err := p.announce(ctx, access, link, told, said); err != nil {
			return err
		}
	}
	return access.client.SetDeployment(ctx, link.Repository, told.Deployment, said)
}
