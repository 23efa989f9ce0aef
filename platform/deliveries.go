package platform

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// keepDeliveries is how long the ledger of deliveries goes back.
const keepDeliveries = 30 * 24 * time.Hour

// Incoming is a delivery as it comes in.
type Incoming struct {
	// Link is the link's id, or empty for a GitHub App's webhook.
	Link        string
	Event       string
	Delivery    string
	ContentType string
	Signature   string
	Body        []byte
}

// The bounds of what a delivery's headers say.
const maxDeliveryHeader = 100

// Deliver keeps a delivery, durably, and returns; it is decided on afterwards. A
// repetition is counted, and fresh is false. Without a valid signature it is
// Unauthorized, and for a repository that is not the link's NotFound: neither
// changes more than a count.
func (p *Platform) Deliver(ctx context.Context, in Incoming) (fresh bool, err error) {
	fresh, err = p.accept(ctx, in)
	p.tellDelivery(fresh, err)
	return fresh, err
}

func (p *Platform) accept(ctx context.Context, in Incoming) (fresh bool, err error) {
	if in.Event == "" || in.Delivery == "" || len(in.Event) > maxDeliveryHeader || len(in.Delivery) > maxDeliveryHeader {
		return false, models.Errorf(models.Invalid, "that is no delivery of GitHub's").WithField("X-GitHub-Delivery").
			WithRemedy("send the headers X-GitHub-Event and X-GitHub-Delivery")
	}
	if in.Link == "" {
		return p.deliverToApp(ctx, in)
	}
	link, secret, err := p.linkSecret(ctx, in.Link)
	if err != nil {
		return false, err
	}
	if in.Body, err = github.ReadDelivery(in.ContentType, in.Signature, in.Body, secret); err != nil {
		p.refuseDelivery(ctx, link)
		return false, err
	}
	event, err := github.ParseEvent(in.Event, in.Body)
	if err != nil {
		return false, err
	}
	if event.Repository != 0 && event.Repository != link.RepositoryID {
		return false, models.Errorf(models.NotFound, "the link is with another repository")
	}
	return p.intake.keep(ctx, []*models.WebhookDelivery{ledgerRow(in, event, &link.AppID)})
}

// AwaitsDeliveries is NotFound where there is no webhook: of a link, or, with an
// empty id, of the GitHub App.
func (p *Platform) AwaitsDeliveries(ctx context.Context, link string) error {
	if link == "" {
		_, err := p.appHost(ctx)
		return err
	}
	_, _, err := p.linkSecret(ctx, link)
	return err
}

// appHost is the host whose GitHub App has the webhook.
func (p *Platform) appHost(ctx context.Context) (models.GitHubHost, error) {
	host, err := p.hostRow(ctx)
	if models.IsCode(err, models.NotFound) || (err == nil && !host.IsApp()) {
		err = models.Errorf(models.NotFound, "there is no such webhook")
	}
	return host, err
}

func (p *Platform) linkSecret(ctx context.Context, id string) (models.GitHubLink, []byte, error) {
	missing := models.Errorf(models.NotFound, "there is no such webhook")
	parsed, err := models.ParseID(id)
	if err != nil {
		return models.GitHubLink{}, nil, missing
	}
	link, err := p.Store.GitHubLink(ctx, parsed)
	if models.IsCode(err, models.NotFound) || (err == nil && link.Secret == nil) {
		return link, nil, missing
	}
	if err != nil {
		return link, nil, err
	}
	secret, err := p.Vault.open(linkPlace(link), link.Secret)
	return link, secret, err
}

// ledgerRow is a delivery as the ledger keeps it.
func ledgerRow(in Incoming, event github.Event, app *models.ID) *models.WebhookDelivery {
	row := &models.WebhookDelivery{
		ID: models.NewID(), AppID: app, Provider: gitHubProvider, Delivery: narrative.Clean(in.Delivery), Event: narrative.Clean(in.Event),
		Ref: narrative.Clean(event.Ref), Commit: narrative.Clean(event.After), Body: in.Body, State: models.DeliveryReceived, CreatedAt: now(),
	}
	if event.Deleted {
		row.Commit = models.ZeroObject
	}
	if event.Pull != nil {
		row.Ref, row.Commit = event.Pull.Ref(), narrative.Clean(event.Pull.Head)
	}
	if app != nil {
		row.Scope = app.String()
	}
	return row
}

// deliverToApp keeps a delivery of the GitHub App's webhook, for every App that is
// linked with its repository through it.
func (p *Platform) deliverToApp(ctx context.Context, in Incoming) (bool, error) {
	host, err := p.appHost(ctx)
	if err != nil {
		return false, err
	}
	secret, err := p.Vault.open(hostPlace(host, "webhook_secret"), host.WebhookSecret)
	if err != nil {
		return false, err
	}
	if in.Body, err = github.ReadDelivery(in.ContentType, in.Signature, in.Body, secret); err != nil {
		return false, err
	}
	event, err := github.ParseEvent(in.Event, in.Body)
	if err != nil {
		return false, err
	}
	rows, err := p.appRows(ctx, in, event)
	if err != nil {
		return false, err
	}
	return p.intake.keep(ctx, rows)
}

// appRows are the ledger's rows of a delivery to the GitHub App: one for each App
// that is linked with its repository, or through its installation where it is about
// that, or one that says that none is.
func (p *Platform) appRows(ctx context.Context, in Incoming, event github.Event) ([]*models.WebhookDelivery, error) {
	var rows []*models.WebhookDelivery
	links, err := p.concerned(ctx, event)
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		if link.Branch() != "" { // a pull request's events are about the App that it previews
			rows = append(rows, ledgerRow(in, event, &link.AppID))
		}
	}
	if len(rows) > 0 {
		return rows, nil
	}
	at := now()
	none := ledgerRow(in, event, nil)
	none.Body, none.State, none.FinishedAt = []byte{}, models.DeliveryIgnored, &at // nobody may read it
	none.Outcome, none.Reason = models.OutcomeUnlinked, "no app is linked with the repository"
	return []*models.WebhookDelivery{none}, nil
}

// concerned are the links that an event of the GitHub App is about.
func (p *Platform) concerned(ctx context.Context, event github.Event) ([]models.GitHubLink, error) {
	switch {
	case event.Repository != 0:
		return p.Store.GitHubLinksOf(ctx, event.Repository)
	case event.Installation != 0 && (event.Name == eventInstallation || event.Name == eventInstallationRepositories):
		return p.Store.GitHubLinksThrough(ctx, event.Installation)
	}
	return nil, nil
}

// refuseDelivery counts a delivery that is not signed as it should be. Its body is
// not kept: anybody can send one.
func (p *Platform) refuseDelivery(ctx context.Context, link models.GitHubLink) {
	at := now()
	row := &models.WebhookDelivery{
		ID: models.NewID(), AppID: &link.AppID, Scope: link.AppID.String(), Provider: gitHubProvider, Event: "unknown", Body: []byte{},
		Delivery: "bad-signature " + at.Format(time.DateOnly), State: models.DeliveryRefused, Outcome: models.OutcomeBadSignature,
		Reason: "not signed with the webhook's secret; counted by the day", CreatedAt: at, FinishedAt: &at,
	}
	if _, err := p.intake.keep(ctx, []*models.WebhookDelivery{row}); err != nil {
		p.Log.Warn("count a refused delivery", "error", err)
	}
}

// DeliveryView is a delivery with the Build that it made.
type DeliveryView struct {
	models.WebhookDelivery
	Build *models.Build
}

// DeliveriesAsked narrows a list of deliveries.
type DeliveriesAsked struct {
	State   models.DeliveryState
	Outcome models.Outcome
	Event   string
}

// Deliveries lists what GitHub delivered to an App, the newest first.
func (p *Platform) Deliveries(ctx context.Context, app models.App, asked DeliveriesAsked, page models.PageRequest) (models.Page[DeliveryView], error) {
	filter := store.DeliveryFilter{App: &app.ID, State: asked.State, Outcome: asked.Outcome, Event: asked.Event}
	rows, err := p.Store.Deliveries(ctx, filter, page)
	if err != nil {
		return models.Page[DeliveryView]{}, err
	}
	var ids []models.ID
	for _, row := range rows.Items {
		if row.BuildID != nil {
			ids = append(ids, *row.BuildID)
		}
	}
	builds, err := p.Store.BuildsByID(ctx, ids)
	views := models.Page[DeliveryView]{Next: rows.Next}
	for _, row := range rows.Items {
		view := DeliveryView{WebhookDelivery: row}
		if row.BuildID != nil {
			if build, found := builds[*row.BuildID]; found {
				view.Build = &build
			}
		}
		views.Items = append(views.Items, view)
	}
	return views, err
}

// Delivery returns one of an App's deliveries, with what GitHub sent.
func (p *Platform) Delivery(ctx context.Context, app models.App, id string) (DeliveryView, error) {
	missing := models.Errorf(models.NotFound, "%s has no such delivery", app.Name).WithField("delivery").
		WithRemedy("`sky github deliveries` lists them")
	parsed, err := models.ParseID(id)
	if err != nil {
		return DeliveryView{}, missing
	}
	row, err := p.Store.Delivery(ctx, parsed)
	if models.IsCode(err, models.NotFound) || (err == nil && (row.AppID == nil || *row.AppID != app.ID)) {
		return DeliveryView{}, missing
	}
	view := DeliveryView{WebhookDelivery: row}
	if err == nil && row.BuildID != nil {
		if build, missed := p.Store.Build(ctx, *row.BuildID); missed == nil {
			view.Build = &build
		}
	}
	return view, err
}

// ReplayDelivery has a delivery decided on once more, as if what the linked ref
// leads to had not been decided on before, where it is about that ref. One that was not signed cannot be.
func (p *Platform) ReplayDelivery(ctx context.Context, actor models.Actor, app models.App, id string) (DeliveryView, error) {
	view, err := p.Delivery(ctx, app, id)
	if err != nil {
		return DeliveryView{}, err
	}
	if view.State == models.DeliveryRefused || view.Event == eventManual {
		return DeliveryView{}, models.Errorf(models.Conflict, "this delivery cannot be replayed").
			WithRemedy("sky github deploy deploys a branch or a commit")
	}
	link, err := p.linkOf(ctx, app)
	if err != nil {
		return DeliveryView{}, err
	}
	err = p.commit(ctx, actor, fact{kind: "github.replay", detail: view.Delivery, app: &app}, func(tx *store.Store) error {
		if err := tx.ReopenDelivery(ctx, view.ID); err != nil {
			return err
		}
		_, err := tx.UpdateGitHubLink(ctx, link.ID, func(row *models.GitHubLink) error {
			if view.Ref == row.Ref {
				row.Head = ""
			}
			return nil
		})
		if err != nil {
			return err
		}
		return queueTask(ctx, tx, taskDeliveries, about{ID: app.ID}, now())
	})
	if err != nil {
		return DeliveryView{}, err
	}
	p.work.ring()
	return p.Delivery(ctx, app, id)
}

// DeployFromGitHub deploys a branch, a tag or a whole commit name of the linked
// repository; an empty ref is the linked branch. It returns once the Build is
// durable.
func (p *Platform) DeployFromGitHub(ctx context.Context, actor models.Actor, app models.App, ref string) (models.Build, error) {
	link, err := p.linkOf(ctx, app)
	if err != nil {
		return models.Build{}, err
	}
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return models.Build{}, err
	}
	if link, err = p.identify(ctx, link, access); err != nil {
		return models.Build{}, err
	}
	head, err := p.fetchAny(ctx, link, access, ref)
	if err != nil {
		return models.Build{}, err
	}
	commit, err := p.Repositories.Commit(ctx, app.ID, head)
	if err != nil {
		return models.Build{}, err
	}
	if held, err := p.holdFork(ctx, app, link, commit.ID); err != nil || held.Outcome != "" {
		return models.Build{}, orConflict(err, held)
	}
	at := now()
	row := models.WebhookDelivery{
		ID: models.NewID(), AppID: &app.ID, Scope: app.ID.String(), Provider: gitHubProvider, Event: eventManual, Body: []byte{},
		Delivery: "manual " + models.NewID().String(), Ref: narrative.Clean(ref), Commit: commit.ID, State: models.DeliveryDone,
		Outcome: models.OutcomeDeployed, Reason: "by " + actor.Name, CreatedAt: at, FinishedAt: &at,
	}
	return p.lineUpFetched(ctx, app, link, fetched{commit, &row.ID, &actor, func(tx *store.Store, build models.Build) error {
		row.BuildID = &build.ID
		_, err := tx.AddDelivery(ctx, &row)
		return err
	}})
}

func orConflict(err error, held judgement) error {
	if err != nil {
		return err
	}
	return models.Errorf(models.Conflict, "%s", held.Reason)
}

// fetchAny fetches what somebody named: a commit, a branch or a tag.
func (p *Platform) fetchAny(ctx context.Context, link models.GitHubLink, access linkAccess, ref string) (string, error) {
	if ref == "" {
		return p.Repositories.Fetch(ctx, link.AppID, access.remote(link), link.Ref)
	}
	if commitPattern.MatchString(ref) {
		return p.Repositories.Fetch(ctx, link.AppID, access.remote(link), ref)
	}
	missing := models.Errorf(models.NotFound, "%s has no branch, tag or commit %q", link.Repository, narrative.Clean(ref)).WithField("ref")
	if models.CheckBranch(ref) != nil {
		return "", missing
	}
	for _, prefix := range []string{branchPrefix, "refs/tags/"} {
		head, err := p.Repositories.Fetch(ctx, link.AppID, access.remote(link), prefix+ref)
		if err == nil || !models.IsCode(err, models.NotFound) {
			return head, err
		}
	}
	return "", missing
}

// forgetDeliveries forgets old deliveries, and connections that nobody finished.
func (p *Platform) forgetDeliveries(ctx context.Context, at time.Time) error {
	if err := p.Store.PruneDeliveries(ctx, at.Add(-keepDeliveries)); err != nil {
		return err
	}
	if err := p.Store.PurgeGitHubAuthorizations(ctx, at.Add(-time.Hour)); err != nil {
		return fmt.Errorf("forget authorizations: %w", err)
	}
	return nil
}
