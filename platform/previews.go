package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// considerPull decides on a delivery about a pull request. What counts is the pull
// request as it is now.
func (p *Platform) considerPull(ctx context.Context, link models.GitHubLink, delivery models.WebhookDelivery) (judgement, error) {
	if !link.Previews {
		return judgement{Outcome: models.OutcomeOff, Reason: "previews are off; sky github change --previews switches them on"}, nil
	}
	kept, err := p.Store.Delivery(ctx, delivery.ID)
	if err != nil {
		return judgement{}, err
	}
	event, err := github.ParseEvent(kept.Event, kept.Body)
	if err != nil || event.Pull == nil {
		return judgement{Outcome: models.OutcomeUnknown, Reason: "it names no pull request"}, nil
	}
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return p.unreachable(ctx, link, nil, err)
	}
	pull, err := access.client.Pull(ctx, link.Repository, event.Pull.Number)
	if err != nil {
		return p.unreachable(ctx, link, nil, err)
	}
	if pull.Base != link.Branch() {
		return judgement{Outcome: models.OutcomeOtherBranch, Reason: "it is against " + narrative.Clean(pull.Base)}, p.closePull(ctx, link, pull.Number, "it is against another branch now")
	}
	if !pull.Open {
		return judgement{Outcome: models.OutcomePreview, Reason: "closed: the preview is gone"}, p.closePull(ctx, link, pull.Number, pullClosed)
	}
	return p.considerOpenPull(ctx, link, pull, &delivery.ID)
}

// considerOpenPull makes the preview of an open pull request, or brings it up to
// date. Commits of a fork wait until a member has let them be built.
func (p *Platform) considerOpenPull(ctx context.Context, link models.GitHubLink, pull github.Pull, delivery *models.ID) (judgement, error) {
	defer p.previewing.lock(link.ID)() // two at once would make two apps, and one preview too many
	link, err := p.Store.GitHubLink(ctx, link.ID)
	if err != nil {
		return judgement{}, err
	}
	if !link.Previews {
		return judgement{Outcome: models.OutcomeOff, Reason: "previews are off"}, nil
	}
	if pull.BaseRepository != link.RepositoryID {
		return judgement{}, models.Errorf(models.Unavailable, "%s is another repository by now", link.Repository)
	}
	preview, err := p.previewOf(ctx, link, pull)
	if err != nil {
		return judgement{}, err
	}
	if preview.Fork && preview.Approved != pull.Head {
		what := judgement{Outcome: models.OutcomeApproval, Reason: fmt.Sprintf("%s of a fork waits for approval: sky github previews approve %d --commit %s", short(pull.Head), pull.Number, pull.Head)}
		return what, p.hold(ctx, link, preview, models.PreviewWaiting, what.Reason)
	}
	if room, err := p.roomFor(ctx, link, preview); err != nil || !room {
		what := judgement{Outcome: models.OutcomeQuota, Reason: fmt.Sprintf("there are %d previews already, as many as the link allows", link.PreviewMost)}
		return what, errors.Join(err, p.hold(ctx, link, preview, models.PreviewRefused, what.Reason))
	}
	own, err := p.activate(ctx, link, preview)
	if err != nil {
		if pauseAfter(err, 1) > 0 {
			return judgement{}, err
		}
		what := judgement{Outcome: models.OutcomeFailed, Reason: reasonOf(err)}
		return what, p.hold(ctx, link, preview, models.PreviewRefused, what.Reason)
	}
	verdict, err := p.follow(ctx, own, cause{delivery: delivery})
	if verdict.Outcome == models.OutcomeDeployed {
		verdict.Outcome = models.OutcomePreview
	}
	return verdict, err
}

// previewOf returns the pull request's preview, with what is known of it now.
func (p *Platform) previewOf(ctx context.Context, link models.GitHubLink, pull github.Pull) (models.GitHubPreview, error) {
	preview, err := p.Store.GitHubPreview(ctx, link.ID, pull.Number)
	if models.IsCode(err, models.NotFound) {
		preview = models.GitHubPreview{ID: models.NewID(), LinkID: link.ID, Number: pull.Number, State: models.PreviewWaiting, CreatedAt: now(), UpdatedAt: now()}
		err = p.Store.CreateGitHubPreview(ctx, &preview)
	}
	if err != nil {
		return preview, err
	}
	return p.Store.UpdateGitHubPreview(ctx, preview.ID, func(row *models.GitHubPreview) error {
		row.Title, row.Author = cut(narrative.Clean(pull.Title), 200), narrative.Clean(pull.Author)
		row.Fork, row.Head, row.UpdatedAt = pull.Fork(), pull.Head, now()
		until := now().Add(time.Duration(link.PreviewHours) * time.Hour)
		row.ExpiresAt = &until
		return nil
	})
}

func cut(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// hold keeps a preview from being built, and says why on the pull request. One that
// runs goes on with what it has.
func (p *Platform) hold(ctx context.Context, link models.GitHubLink, preview models.GitHubPreview, state models.PreviewState, why string) error {
	if preview.Reason != why {
		err := p.comment(ctx, link, preview, "No preview of this commit yet: "+why+".")
		if pauseAfter(err, 1) > 0 {
			return err
		}
		if err != nil {
			p.Log.Warn("comment on a pull request", "repository", link.Repository, "number", preview.Number, "error", err)
		}
	}
	_, err := p.Store.UpdateGitHubPreview(ctx, preview.ID, func(row *models.GitHubPreview) error {
		row.State, row.Reason = state, why
		return nil
	})
	return err
}

// roomFor reports whether the link allows one more preview, or has this one.
func (p *Platform) roomFor(ctx context.Context, link models.GitHubLink, preview models.GitHubPreview) (bool, error) {
	if preview.AppID != nil {
		return true, nil
	}
	others, err := p.Store.GitHubPreviews(ctx, link.ID)
	running := 0
	for _, other := range others {
		if other.AppID != nil {
			running++
		}
	}
	return running < link.PreviewMost, err
}

// holdFork keeps a fork's commit from being built that nobody has let be built: the
// pull request may have moved on since it was looked at.
func (p *Platform) holdFork(ctx context.Context, app models.App, link models.GitHubLink, commit string) (judgement, error) {
	if link.Branch() != "" {
		return judgement{}, nil
	}
	preview, err := p.Store.GitHubPreviewOf(ctx, app.ID)
	if err != nil || !preview.Fork || preview.Approved == commit {
		return judgement{}, err
	}
	return judgement{Outcome: models.OutcomeApproval, Reason: short(commit) + " of a fork waits for approval"}, nil
}

// Previews lists the previews of an App's pull requests by number.
func (p *Platform) Previews(ctx context.Context, app models.App) ([]PreviewView, error) {
	link, err := p.linkOf(ctx, app)
	if err != nil {
		return nil, err
	}
	rows, err := p.Store.GitHubPreviews(ctx, link.ID)
	views := make([]PreviewView, 0, len(rows))
	for _, row := range rows {
		view, err := p.previewView(ctx, row)
		if err != nil {
			return nil, err
		}
		views = append(views, view)
	}
	return views, err
}

// PreviewView is a preview with the App that shows it.
type PreviewView struct {
	models.GitHubPreview
	App string
	URL string
}

func (p *Platform) previewView(ctx context.Context, preview models.GitHubPreview) (PreviewView, error) {
	view := PreviewView{GitHubPreview: preview}
	if preview.AppID == nil {
		return view, nil
	}
	app, err := p.Store.App(ctx, *preview.AppID)
	view.App, view.URL = app.Name, p.Settings.URL(app.Name)
	return view, err
}

func (p *Platform) preview(ctx context.Context, app models.App, number int) (models.GitHubLink, models.GitHubPreview, error) {
	link, err := p.linkOf(ctx, app)
	if err != nil {
		return link, models.GitHubPreview{}, err
	}
	preview, err := p.Store.GitHubPreview(ctx, link.ID, number)
	if models.IsCode(err, models.NotFound) || (err == nil && preview.State == models.PreviewClosed) {
		err = models.Errorf(models.NotFound, "%s has no preview of pull request #%d", app.Name, number).WithField("number").
			WithRemedy("`sky github previews list` shows them")
	}
	return link, preview, err
}

// ApprovePreview lets the newest commit of a fork's pull request be built. commit is
// its whole name: what was looked at is what is approved, and the beginning of a name
// can be had for another. With config the preview gets the App's variables, which the fork's code can read.
func (p *Platform) ApprovePreview(ctx context.Context, actor models.Actor, app models.App, number int, commit string, config bool) (PreviewView, error) {
	_, preview, err := p.preview(ctx, app, number)
	if err != nil {
		return PreviewView{}, err
	}
	if config {
		if err := p.permit(ctx, actor, models.AppReveal, app.OrganisationID); err != nil {
			return PreviewView{}, err
		}
	}
	what := fact{kind: "preview.approve", detail: fmt.Sprintf("#%d %s", number, short(preview.Head)), app: &app}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		preview, err = tx.UpdateGitHubPreview(ctx, preview.ID, func(row *models.GitHubPreview) error {
			if commit != row.Head {
				return models.Errorf(models.Stale, "the pull request is at %s", row.Head).WithField("commit").
					WithRemedy("look at that commit, and approve it by its whole name")
			}
			row.Approved, row.ApprovedBy, row.UpdatedAt = row.Head, &actor.UserID, now()
			row.WithConfig = config
			return nil
		})
		if err != nil {
			return err
		}
		return queueTask(ctx, tx, taskPreview, about{ID: preview.ID}, now())
	})
	if err != nil {
		return PreviewView{}, err
	}
	p.work.ring()
	return p.previewView(ctx, preview)
}

// refreshPreview brings a preview up to date with its pull request.
func (p *Platform) refreshPreview(ctx context.Context, id models.ID) error {
	preview, err := p.Store.UpdateGitHubPreview(ctx, id, func(*models.GitHubPreview) error { return nil })
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	link, err := p.Store.GitHubLink(ctx, preview.LinkID)
	if err != nil {
		return err
	}
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return p.cannotCatchUp(ctx, link, err)
	}
	pull, err := access.client.Pull(ctx, link.Repository, preview.Number)
	if err != nil {
		return p.cannotCatchUp(ctx, link, err)
	}
	if !pull.Open {
		return p.closePreview(ctx, preview, pullClosed)
	}
	_, err = p.considerOpenPull(ctx, link, pull, nil)
	return err
}

// reportPreview says on the pull request how its preview stands.
func (p *Platform) reportPreview(ctx context.Context, link models.GitHubLink, said github.Report) error {
	if link.Branch() != "" {
		return nil
	}
	preview, err := p.Store.GitHubPreviewOf(ctx, link.AppID)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	parent, err := p.Store.GitHubLink(ctx, preview.LinkID)
	if err != nil {
		return err
	}
	commit, text := short(said.Commit), ""
	switch said.State {
	case github.Pending:
		text = fmt.Sprintf("Preview of %s: being built, then at %s ([log](%s))", commit, said.URL, said.LogURL)
	case github.Success:
		text = fmt.Sprintf("Preview of %s: %s ([log](%s))", commit, said.URL, said.LogURL)
	default:
		text = fmt.Sprintf("Preview of %s: %s ([log](%s))", commit, said.Description, said.LogURL)
	}
	return p.comment(ctx, parent, preview, text)
}

// comment writes to the pull request, in the one comment that the preview has.
func (p *Platform) comment(ctx context.Context, link models.GitHubLink, preview models.GitHubPreview, text string) error {
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return err
	}
	id, err := access.client.Comment(ctx, link.Repository, preview.Number, preview.CommentID, text)
	if err != nil || id == preview.CommentID {
		return err
	}
	_, err = p.Store.UpdateGitHubPreview(ctx, preview.ID, func(row *models.GitHubPreview) error { row.CommentID = id; return nil })
	return err
}
