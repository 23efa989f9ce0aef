package platform

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// note writes what is known of a delivery that is not decided yet.
func (p *Platform) note(ctx context.Context, delivery models.WebhookDelivery, what judgement) {
	delivery.Outcome, delivery.Reason = what.Outcome, what.Reason
	if err := p.Store.DecideDelivery(ctx, delivery); err != nil {
		p.Log.Warn("note a delivery", "error", err)
	}
}

// trouble notes why a link does not work; "" is that it does.
func (p *Platform) trouble(ctx context.Context, link models.GitHubLink, why string) {
	if link.Trouble == why {
		return
	}
	_, err := p.Store.UpdateGitHubLink(ctx, link.ID, func(row *models.GitHubLink) error {
		row.Trouble = why
		return nil
	})
	if err != nil && !models.IsCode(err, models.NotFound) {
		p.Log.Warn("note a link's trouble", "error", err)
	}
}

// decided records that a head was decided on, with what became of the deliveries.
func (p *Platform) decided(ctx context.Context, link models.GitHubLink, head string, settled []models.WebhookDelivery) error {
	return p.Store.Transact(ctx, func(tx *store.Store) error { return decide(ctx, tx, link, head, settled) })
}

func decide(ctx context.Context, tx *store.Store, link models.GitHubLink, head string, settled []models.WebhookDelivery) error {
	_, err := tx.UpdateGitHubLink(ctx, link.ID, func(row *models.GitHubLink) error {
		row.Head, row.Trouble = head, ""
		return nil
	})
	if err != nil {
		return err
	}
	return conclude(ctx, tx, settled)
}

// conclusion gives deliveries one outcome.
func (p *Platform) conclusion(ctx context.Context, deliveries []models.WebhookDelivery, what judgement) error {
	for i := range deliveries {
		deliveries[i].Outcome, deliveries[i].Reason = what.Outcome, what.Reason
	}
	return p.Store.Transact(ctx, func(tx *store.Store) error { return conclude(ctx, tx, deliveries) })
}

func stateFor(outcome models.Outcome) models.DeliveryState {
	switch outcome {
	case models.OutcomeDeployed, models.OutcomePreview, models.OutcomeNoted, models.OutcomeApproval:
		return models.DeliveryDone
	case models.OutcomeFailed, models.OutcomeQuota:
		return models.DeliveryFailed
	case models.OutcomeBadSignature:
		return models.DeliveryRefused
	default:
		return models.DeliveryIgnored
	}
}

// decideOther decides on a delivery that is not about the head of the link's ref.
func (p *Platform) decideOther(ctx context.Context, link models.GitHubLink, delivery models.WebhookDelivery) error {
	what, err := p.consider(ctx, link, delivery)
	if err != nil && pauseAfter(err, 1) == 0 { // it would be no better another time
		what, err = judgement{Outcome: models.OutcomeFailed, Reason: reasonOf(err)}, nil
	}
	if err != nil {
		p.note(ctx, delivery, judgement{Outcome: models.OutcomeWaiting, Reason: narrative.Clean(err.Error())})
		return err
	}
	return p.conclusion(ctx, []models.WebhookDelivery{delivery}, what)
}

func (p *Platform) consider(ctx context.Context, link models.GitHubLink, delivery models.WebhookDelivery) (judgement, error) {
	switch delivery.Event {
	case "push":
		if delivery.Ref == link.Ref {
			p.trouble(ctx, link, "the branch "+link.Branch()+" was deleted")
			return judgement{Outcome: models.OutcomeDeleted, Reason: "the branch was deleted; what is live goes on"}, nil
		}
		return judgement{Outcome: models.OutcomeOtherBranch, Reason: fmt.Sprintf("%s, where %s deploys", narrative.Clean(delivery.Ref), link.Branch())}, nil
	case "ping":
		return judgement{Outcome: models.OutcomeNoted, Reason: "the webhook works"}, nil
	case "repository", eventInstallation, eventInstallationRepositories:
		return p.reconsiderRepository(ctx, link)
	case "pull_request":
		return p.considerPull(ctx, link, delivery)
	}
	return judgement{Outcome: models.OutcomeUnknown, Reason: "Sky does nothing about this event"}, nil
}

// reconsiderRepository asks GitHub what the repository is called now, and whether
// it is still there.
func (p *Platform) reconsiderRepository(ctx context.Context, link models.GitHubLink) (judgement, error) {
	access, err := p.linkAccess(ctx, link)
	var found github.Repository
	if err == nil {
		found, err = access.client.RepositoryByID(ctx, link.RepositoryID)
	}
	switch {
	case models.IsCode(err, models.Unauthorized), models.IsCode(err, models.Forbidden):
		p.distrustLink(ctx, link)
		fallthrough
	case models.IsCode(err, models.NotFound):
		why := "the repository is gone, or GitHub shows it no more: " + reasonOf(err)
		p.trouble(ctx, link, why)
		return judgement{Outcome: models.OutcomeNoted, Reason: why}, nil
	}
	if err != nil {
		return judgement{}, err
	}
	if found.Name == link.Repository && link.Trouble == "" {
		return judgement{Outcome: models.OutcomeNoted, Reason: "the repository is where it was"}, nil
	}
	_, err = p.Store.UpdateGitHubLink(ctx, link.ID, func(row *models.GitHubLink) error {
		row.Repository, row.Trouble = found.Name, ""
		return nil
	})
	return judgement{Outcome: models.OutcomeNoted, Reason: "the repository is called " + found.Name + " now"}, err
}
