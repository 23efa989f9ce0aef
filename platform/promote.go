package platform

import (
	"context"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/rollout"
)

// Promotion is a Release that goes from one App to another, without a build.
type Promotion struct {
	From models.App
	To   models.App
	// Number is the Release of From; 0 means the live one.
	Number int
}

// Promote makes the image and process types of one App's Release a new Release
// of another, with that other's own Config, and rolls it out. It returns when
// the Release serves. The other's deploy branch does not move: the commit is not
// in its repository.
func (p *Platform) Promote(ctx context.Context, actor models.Actor, promotion Promotion, log rollout.Log) (models.Release, error) {
	if promotion.From.ID == promotion.To.ID {
		return models.Release{}, models.Errorf(models.Invalid, "an app is not promoted to itself").WithField("to").
			WithRemedy("name another app; `sky rollback` goes back to a release of this one")
	}
	source, err := p.promoted(ctx, promotion)
	if err != nil {
		return models.Release{}, err
	}
	var release models.Release
	err = p.inLane(ctx, promotion.To, func(ctx context.Context, to models.App) error {
		if err := p.checkRuns(ctx, to); err != nil {
			return err
		}
		release = models.Release{
			AppID: to.ID, Commit: "", Processes: source.Processes, Scripts: source.Scripts, Port: source.Port, HealthPath: source.HealthPath, ActorID: actor.UserID,
			Description: "Promote " + promotion.From.Name + " " + source.Name() + " " + short(source.Commit),
		}
		if err := p.shareImage(ctx, source, &release); err != nil {
			return err
		}
		if err := p.newRelease(ctx, &release, origin{}); err != nil {
			return err
		}
		log.Say("%s", narrative.Field("Release", release.Name()+", which is "+promotion.From.Name+" "+source.Name()))
		if err := p.rollOut(ctx, to, release, log); err != nil {
			return err
		}
		p.record(ctx, actor, fact{kind: "release.promote", detail: release.Description, app: &to})
		return nil
	})
	return release, err
}

// shareImage lets another App's Release have the image of source, wherever it is.
func (p *Platform) shareImage(ctx context.Context, source models.Release, release *models.Release) (err error) {
	if !p.published(ctx, source.AppID, source.Manifest) {
		release.Image, err = p.Builder.ShareImage(ctx, source.Image, release.AppID, source.ID.String())
		return err
	}
	release.Image, release.Manifest = source.Image, source.Manifest
	return p.Images.Share(ctx, source.AppID, source.Manifest, release.AppID)
}

// promoted finds the Release to promote.
func (p *Platform) promoted(ctx context.Context, promotion Promotion) (models.Release, error) {
	if promotion.Number == 0 {
		return p.liveRelease(ctx, promotion.From)
	}
	release, err := p.Store.ReleaseByNumber(ctx, promotion.From.ID, promotion.Number)
	if models.IsCode(err, models.NotFound) {
		return models.Release{}, models.Errorf(models.NotFound, "%s has no release v%d", promotion.From.Name, promotion.Number).
			WithField("release").WithRemedy("`sky releases -a %s` lists them", promotion.From.Name)
	}
	return release, err
}
