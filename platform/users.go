package platform

import (
	"context"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
)

// userNamed returns the user with this name.
func (p *Platform) userNamed(ctx context.Context, name string) (models.User, error) {
	missing := models.Errorf(models.NotFound, "there is no user %q", narrative.Clean(name)).WithField("user").
		WithRemedy("`sky admin users list` shows them")
	if models.CheckUserName(name) != nil {
		return models.User{}, missing
	}
	user, err := p.Store.UserByLogin(ctx, name)
	if models.IsCode(err, models.NotFound) {
		return models.User{}, missing
	}
	return user, err
}

// takenError names the field of a user that somebody else has already.
func (p *Platform) takenError(ctx context.Context, wanted models.User, err error) error {
	if !models.IsCode(err, models.Conflict) {
		return err
	}
	if other, missing := p.Store.UserByLogin(ctx, wanted.Name); missing == nil && other.ID != wanted.ID {
		return models.Errorf(models.Conflict, "the user name %q is taken", wanted.Name).WithField("name").WithRemedy("choose another")
	}
	if wanted.Email == nil {
		return err
	}
	if other, missing := p.Store.UserByLogin(ctx, *wanted.Email); missing == nil && other.ID != wanted.ID {
		return models.Errorf(models.Conflict, "another account has that e-mail address").WithField("email").WithRemedy("use another")
	}
	return err
}
