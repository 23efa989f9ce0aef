package platform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	// catchUpEvery is how often a linked repository is asked whether a push was
	// missed.
	catchUpEvery = 5 * time.Minute
	// hookCheckEvery is how often its webhook is looked at.
	hookCheckEvery = time.Hour
)

func (p *Platform) catchUpEvery() time.Duration {
	if p.Settings.CatchUpEvery > 0 {
		return p.Settings.CatchUpEvery
	}
	return catchUpEvery
}

// catchUpDue has every link looked at that was not for a while.
func (p *Platform) catchUpDue(ctx context.Context, at time.Time) error {
	links, err := p.Store.GitHubLinks(ctx, at.Add(-p.catchUpEvery()))
	if err != nil {
		return err
	}
	for _, link := range links {
		if err := queueTask(ctx, p.Store, taskCatchUp, about{ID: link.ID}, now()); err != nil {
			return err
		}
	}
	if len(links) > 0 {
		p.work.ring()
	}
	return nil
}

// catchUpSoon has all links looked at now: one of them may work again.
func (p *Platform) catchUpSoon(ctx context.Context) {
	if err := p.catchUpDue(ctx, now().Add(p.catchUpEvery())); err != nil {
		p.Log.Error("catch up with GitHub", "error", err)
	}
}

// catchUp compares what a link's ref leads to with what was decided on. What a lost
// delivery left behind is put into the ledger, and decided on as if it had come.
// The webhook is mended where somebody changed it, and previews are compared with
// the pull requests that are open.
func (p *Platform) catchUp(ctx context.Context, id models.ID) error {
	link, err := p.Store.GitHubLink(ctx, id)
	if models.IsCode(err, models.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	previous := link.CheckedAt
	at := now()
	if _, err := p.Store.UpdateGitHubLink(ctx, id, func(row *models.GitHubLink) error { row.CheckedAt = &at; return nil }); err != nil {
		return err
	}
	access, err := p.linkAccess(ctx, link)
	if err != nil {
		return p.cannotCatchUp(ctx, link, err)
	}
	if link, err = p.identify(ctx, link, access); err != nil {
		return p.cannotCatchUp(ctx, link, err)
	}
	if err := p.catchUpHead(ctx, link, access); err != nil {
		return p.cannotCatchUp(ctx, link, err)
	}
	if link.Branch() == "" {
		return nil
	}
	hook := p.catchUpHook(ctx, link, access, previous, at)
	return errors.Join(hook, p.catchUpPulls(ctx, link, access))
}

// cannotCatchUp notes why a link does not work. It is tried again in any case.
func (p *Platform) cannotCatchUp(ctx context.Context, link models.GitHubLink, err error) error {
	if models.IsCode(err, models.Unauthorized) {
		p.distrustLink(ctx, link)
	}
	if pauseAfter(err, 1) > 0 {
		return err
	}
	p.trouble(ctx, link, reasonOf(err))
	return nil
}

// catchUpHead puts a head that nobody decided on into the ledger.
func (p *Platform) catchUpHead(ctx context.Context, link models.GitHubLink, access linkAccess) error {
	head, err := p.Repositories.RemoteHead(ctx, access.remote(link), link.Ref)
	if err != nil {
		return err
	}
	if head == models.ZeroObject {
		p.trouble(ctx, link, "there is no "+link.Ref+" at GitHub")
		return nil
	}
	if head == link.Head {
		p.trouble(ctx, link, "")
		return nil
	}
	open, err := p.Store.OpenDeliveries(ctx, link.AppID, openDeliveries)
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(open, func(delivery models.WebhookDelivery) bool { return moves(delivery, link) })
	return p.Store.Transact(ctx, func(tx *store.Store) error {
		if !known { // else those decide on it, also where their task was given up
			if err := missed(ctx, tx, link, head); err != nil {
				return err
			}
		}
		return queueTask(ctx, tx, taskDeliveries, about{ID: link.AppID}, now())
	})
}

// missed puts a head into the ledger that no delivery brought; one that is there
// already, and failed, is tried again.
func missed(ctx context.Context, tx *store.Store, link models.GitHubLink, head string) error {
	row := &models.WebhookDelivery{
		ID: models.NewID(), AppID: &link.AppID, Scope: link.AppID.String(), Provider: gitHubProvider, Event: eventCatchUp, Body: []byte{},
		Delivery: eventCatchUp + " " + head, Ref: link.Ref, Commit: head, State: models.DeliveryReceived, CreatedAt: now(),
	}
	fresh, err := tx.AddDelivery(ctx, row)
	if err != nil || fresh {
		return err
	}
	return tx.ReopenDeliveryNamed(ctx, gitHubProvider, row.Scope, row.Delivery)
}

// identify gives the link the name that its repository has now. Whoever takes a
// name that became free has another repository.
func (p *Platform) identify(ctx context.Context, link models.GitHubLink, access linkAccess) (models.GitHubLink, error) {
	found, err := access.client.RepositoryByID(ctx, link.RepositoryID)
	if err != nil || found.Name == link.Repository {
		return link, err
	}
	return p.Store.UpdateGitHubLink(ctx, link.ID, func(row *models.GitHubLink) error {
		row.Repository = found.Name
		return nil
	})
}

// catchUpHook mends the webhook now and then, and where it was never made.
func (p *Platform) catchUpHook(ctx context.Context, link models.GitHubLink, access linkAccess, previous *time.Time, at time.Time) error {
	if link.Installation != 0 {
		return nil
	}
	if link.HookID != 0 && previous != nil && previous.Truncate(hookCheckEvery).Equal(at.Truncate(hookCheckEvery)) {
		return nil
	}
	hook, err := p.hookOf(link)
	if err != nil {
		return err
	}
	sound := false
	if link.HookID != 0 {
		if sound, err = access.client.HookIsSound(ctx, link.Repository, hook); err != nil {
			return p.cannotCatchUp(ctx, link, err)
		}
	}
	if sound {
		return nil
	}
	if err := p.installHook(ctx, &link); err != nil {
		return p.cannotCatchUp(ctx, link, fmt.Errorf("mend the webhook: %w", err))
	}
	return nil
}

// catchUpPulls has previews made, changed and ended for which a delivery is
// missing.
func (p *Platform) catchUpPulls(ctx context.Context, link models.GitHubLink, access linkAccess) error {
	previews, err := p.Store.GitHubPreviews(ctx, link.ID)
	if err != nil || (!link.Previews && len(previews) == 0) {
		return err
	}
	open, err := access.client.OpenPulls(ctx, link.Repository, link.Branch())
	if err != nil {
		return p.cannotCatchUp(ctx, link, err)
	}
	known := map[int]models.GitHubPreview{}
	for _, preview := range previews {
		known[preview.Number] = preview
	}
	var failures []error
	for _, pull := range open {
		preview, found := known[pull.Number]
		delete(known, pull.Number)
		if !found {
			preview, err = p.Store.GitHubPreview(ctx, link.ID, pull.Number)
			if err == nil && preview.Head == pull.Head && preview.Reason != pullClosed {
				continue // it ended by itself, or by hand: the next commit brings it back
			}
		}
		if !found || preview.Head != pull.Head || preview.State == models.PreviewRefused {
			_, err := p.considerOpenPull(ctx, link, pull, nil)
			failures = append(failures, err)
		}
	}
	for _, preview := range known { // those are closed
		failures = append(failures, p.closePreview(ctx, preview, pullClosed))
	}
	return errors.Join(failures...)
}
