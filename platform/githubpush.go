package platform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	// openDeliveries is how many deliveries of an App are decided at once.
	openDeliveries = 1000
	// maxChanged bounds the changed files that path filters look at.
	maxChanged = 100_000
	// visibleWithin is how long a commit that was pushed may take until GitHub shows
	// it to git.
	visibleWithin = 2 * time.Minute
	// gitHubProvider names GitHub in the ledger.
	gitHubProvider = "github"
	// The events that Sky itself puts into the ledger.
	eventCatchUp = "catch-up"
	eventManual  = "manual"
	// Those about a GitHub App's installation, which name no one repository.
	eventInstallation             = "installation"
	eventInstallationRepositories = "installation_repositories"
)

// decideDeliveries decides on all deliveries of an App that wait. A delivery only
// says that something happened: what is deployed is what the linked ref leads to
// now, however deliveries were lost, repeated or reordered.
func (p *Platform) decideDeliveries(ctx context.Context, app models.ID) error {
	open, err := p.Store.OpenDeliveries(ctx, app, openDeliveries)
	if err != nil || len(open) == 0 {
		return err
	}
	link, err := p.Store.GitHubLinkOf(ctx, app)
	if models.IsCode(err, models.NotFound) {
		return p.conclusion(ctx, open, judgement{Outcome: models.OutcomeUnlinked, Reason: "the app is linked with no repository"})
	}
	if err != nil {
		return err
	}
	var pushes []models.WebhookDelivery
	var failures []error
	for _, delivery := range open {
		if moves(delivery, link) {
			pushes = append(pushes, delivery)
			continue
		}
		failures = append(failures, p.decideOther(ctx, link, delivery))
	}
	if len(pushes) > 0 {
		_, err := p.follow(ctx, link, cause{pushes: pushes})
		failures = append(failures, err)
	}
	if len(open) == openDeliveries && errors.Join(failures...) == nil {
		return p.decideDeliveries(ctx, app)
	}
	return errors.Join(failures...)
}

// moves reports whether a delivery says that the link's ref leads to a commit.
func moves(delivery models.WebhookDelivery, link models.GitHubLink) bool {
	return delivery.Ref == link.Ref && delivery.Commit != models.ZeroObject && (delivery.Event == "push" || delivery.Event == eventCatchUp)
}

// follow fetches what the link's ref leads to and deploys it, if it is to be. The
// deliveries that said so get their outcome. An error says that it is to be tried
// again.
func (p *Platform) follow(ctx context.Context, link models.GitHubLink, why cause) (judgement, error) {
	defer p.following.lock(link.AppID)() // two who decide on one head would both build it
	app, err := p.Store.App(ctx, link.AppID)
	if err != nil {
		return judgement{}, err
	}
	if link, err = p.Store.GitHubLink(ctx, link.ID); err != nil {
		return judgement{}, err
	}
	head, err := p.fetchHead(ctx, link)
	if err != nil {
		return p.unreachable(ctx, link, why.pushes, err)
	}
	seen, unseen, err := p.unseen(ctx, app, why.pushes, head)
	if err != nil {
		return judgement{}, err
	}
	why.pushes = seen
	if len(unseen) == 0 || head != link.Head {
		if verdict, err := p.followTo(ctx, app, link, head, why); err != nil || len(unseen) == 0 {
			return verdict, err
		}
	}
	return p.unreachable(ctx, link, unseen, models.Errorf(models.Unavailable, "GitHub does not show %s yet", short(unseen[0].Commit)))
}

// followTo decides on a head that was fetched.
func (p *Platform) followTo(ctx context.Context, app models.App, link models.GitHubLink, head string, why cause) (judgement, error) {
	pushes := why.pushes
	commit, err := p.Repositories.Commit(ctx, app.ID, head)
	if err != nil {
		return judgement{}, fmt.Errorf("read the fetched commit: %w", err)
	}
	candidate, err := p.candidate(ctx, app, link, commit)
	if err != nil {
		return judgement{}, err
	}
	verdict := judge(candidate)
	if verdict.Outcome == models.OutcomeDeployed {
		if held, err := p.holdFork(ctx, app, link, head); err != nil || held.Outcome != "" {
			return held, errors.Join(err, p.conclusion(ctx, pushes, held)) // the head is decided on when it is approved
		}
		return p.deployHead(ctx, app, link, commit, why)
	}
	return verdict, p.decided(ctx, link, head, settle(pushes, head, verdict))
}

// fetchHead brings what the ref leads to into the App's repository.
func (p *Platform) fetchHead(ctx context.Context, link models.GitHubLink) (string, error) {
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return "", err
	}
	return p.Repositories.Fetch(ctx, link.AppID, access.remote(link), link.Ref)
}

// unseen parts the newest push from the others where GitHub may not show its commit
// to git yet: the head is another one, whose history does not have it.
func (p *Platform) unseen(ctx context.Context, app models.App, pushes []models.WebhookDelivery, head string) (seen, unseen []models.WebhookDelivery, err error) {
	last := len(pushes) - 1
	if last < 0 || pushes[last].Event != "push" || pushes[last].Commit == head || now().Sub(pushes[last].CreatedAt) > visibleWithin {
		return pushes, nil, nil
	}
	_, err = p.Repositories.Commit(ctx, app.ID, pushes[last].Commit)
	if models.IsCode(err, models.NotFound) {
		return pushes[:last], pushes[last:], nil
	}
	if models.IsCode(err, models.Invalid) { // it names no commit
		err = nil
	}
	return pushes, nil, err
}

// unreachable records that the ref could not be fetched. Where that may pass, the
// deliveries stay, and the error is returned.
func (p *Platform) unreachable(ctx context.Context, link models.GitHubLink, pushes []models.WebhookDelivery, err error) (judgement, error) {
	verdict := judgement{Outcome: models.OutcomeFailed, Reason: reasonOf(err)}
	switch models.CodeOf(err) {
	case models.Unavailable, models.TooMany, models.Internal:
		if len(pushes) > 0 {
			p.note(ctx, pushes[len(pushes)-1], judgement{Outcome: models.OutcomeWaiting, Reason: verdict.Reason})
		}
		return judgement{Outcome: models.OutcomeWaiting, Reason: verdict.Reason}, err
	case models.Unauthorized:
		p.distrustLink(ctx, link)
	}
	p.trouble(ctx, link, verdict.Reason)
	return verdict, p.conclusion(ctx, pushes, verdict)
}

// cause is why a ref is followed: the deliveries that say so, or one of another
// App's, such as of a pull request.
type cause struct {
	pushes   []models.WebhookDelivery
	delivery *models.ID
}

// candidate gathers what there is to know about a fetched commit.
func (p *Platform) candidate(ctx context.Context, app models.App, link models.GitHubLink, commit models.Commit) (candidate, error) {
	c := candidate{
		Commit: commit.ID, Message: commit.Message, Decided: link.Head == commit.ID, Auto: link.AutoDeploy, Paths: link.Paths,
	}
	next, err := p.underWay(ctx, app)
	if err != nil {
		return c, err
	}
	if app, err = p.Store.App(ctx, app.ID); err != nil { // what was under way may be live by now
		return c, err
	}
	bases := []string{models.ZeroObject}
	if app.LiveReleaseID != nil {
		live, err := p.Store.Release(ctx, *app.LiveReleaseID)
		if err != nil {
			return c, err
		}
		if live.Commit == commit.ID && next == nil {
			c.Live = live.Name()
		}
		bases[0] = live.Commit
	}
	if next != nil {
		if bases = append(bases, next.Commit); next.Commit == commit.ID {
			c.Running = next.Number
		}
	}
	if len(link.Paths) == 0 || c.Live != "" || c.Running != 0 {
		return c, nil
	}
	c.Changed, err = p.changedSince(ctx, app, bases, commit.ID)
	return c, err
}

// underWay is the newest Build that waits or runs: it decides what is live in the
// end, if it succeeds. nil is none.
func (p *Platform) underWay(ctx context.Context, app models.App) (*models.Build, error) {
	newest := models.ID{}
	p.lanes.find(app.ID, func(id models.ID) bool { // those that wait come after the one that runs
		newest = id
		return false
	})
	if newest == (models.ID{}) {
		return nil, nil
	}
	build, err := p.Store.Build(ctx, newest)
	return &build, err
}

// changedSince lists the files of a commit that differ from any of the bases. From
// what is no commit of the repository all do.
func (p *Platform) changedSince(ctx context.Context, app models.App, bases []string, commit string) ([]string, error) {
	var changed []string
	for _, base := range bases {
		differ, err := p.Repositories.Changes(ctx, app.ID, base, commit, maxChanged)
		if models.IsCode(err, models.NotFound) || models.IsCode(err, models.Invalid) {
			differ, err = p.Repositories.Changes(ctx, app.ID, models.ZeroObject, commit, maxChanged)
		}
		if err != nil {
			return nil, err
		}
		changed = append(changed, differ...)
	}
	slices.Sort(changed)
	return slices.Compact(changed), nil
}

// deployHead makes the commit a Build, in one transaction with the outcome of the
// deliveries: it is built once, whenever Sky is killed.
func (p *Platform) deployHead(ctx context.Context, app models.App, link models.GitHubLink, commit models.Commit, cause cause) (judgement, error) {
	settled := settle(cause.pushes, commit.ID, judgement{Outcome: models.OutcomeDeployed})
	delivery := cause.delivery
	for _, push := range settled {
		if push.Outcome == models.OutcomeDeployed {
			delivery = &push.ID
		}
	}
	build, err := p.lineUpFetched(ctx, app, link, fetched{commit, delivery, nil, func(tx *store.Store, build models.Build) error {
		for i := range settled {
			if settled[i].Outcome == models.OutcomeDeployed {
				settled[i].BuildID = &build.ID
			}
		}
		return decide(ctx, tx, link, commit.ID, settled)
	}})
	if err != nil {
		return p.unreachable(ctx, link, cause.pushes, err)
	}
	return judgement{Outcome: models.OutcomeDeployed, Reason: fmt.Sprintf("build #%d of %s", build.Number, app.Name), Build: &build.ID}, nil
}

// fetched is a commit to deploy, and the delivery that asked for it.
type fetched struct {
	commit   models.Commit
	delivery *models.ID
	actor    *models.Actor // who asked for it by hand; nil is who made the link
	beside   func(tx *store.Store, build models.Build) error
}

// lineUpFetched puts a fetched commit into the App's lane, in the name of who made
// the link.
func (p *Platform) lineUpFetched(ctx context.Context, app models.App, link models.GitHubLink, what fetched) (models.Build, error) {
	actor, err := p.linker(ctx, app, link)
	if what.actor != nil {
		actor, err = *what.actor, nil
	}
	if err != nil {
		return models.Build{}, err
	}
	branch := branchPrefix + app.DeployBranch
	current, err := p.Repositories.Ref(ctx, app.ID, branch)
	if err != nil {
		return models.Build{}, fmt.Errorf("read %s: %w", branch, err)
	}
	build := models.Build{
		Ref: branch, Commit: what.commit.ID, Subject: narrative.Clean(what.commit.Subject), DeliveryID: what.delivery, Hosted: true,
		Updates: []models.RefUpdate{{Name: branch, Old: current, New: what.commit.ID}},
	}
	build, _, err = p.lineUp(ctx, order{
		actor: actor, app: app, build: build, what: fact{kind: "github.push", detail: short(what.commit.ID), app: &app},
		beside: func(tx *store.Store, build models.Build) error {
			if err := queueTask(ctx, tx, taskReport, about{ID: build.ID}, now()); err != nil || what.beside == nil {
				return err
			}
			return what.beside(tx, build)
		},
	})
	p.work.ring()
	return build, err
}

// linker is who made the link, if they may deploy still.
func (p *Platform) linker(ctx context.Context, app models.App, link models.GitHubLink) (models.Actor, error) {
	actor, err := p.actor(ctx, link.UserID, "github "+link.Repository)
	actor.Scopes = models.AllScopes()
	if err == nil {
		err = p.permit(ctx, actor, models.AppDeploy, app.OrganisationID)
	}
	switch models.CodeOf(err) {
	case models.NotFound, models.Forbidden, models.Unauthorized:
		return actor, models.Errorf(models.Forbidden, "who linked %s may no longer deploy %s", link.Repository, app.Name).
			WithRemedy("somebody who may takes the link over: sky github repair")
	}
	return actor, err
}

// conclude writes what became of deliveries.
func conclude(ctx context.Context, tx *store.Store, deliveries []models.WebhookDelivery) error {
	at := now()
	for _, delivery := range deliveries {
		delivery.State, delivery.FinishedAt = stateFor(delivery.Outcome), &at
		if err := tx.DecideDelivery(ctx, delivery); err != nil {
			return err
		}
	}
	return nil
}
