package platform

import (
	"context"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// permit refuses an actor what neither their role in the Organisation nor the
// scopes of their token allow. Who is no member gets NotFound, as if the
// Organisation were not there. Admins of the platform are members everywhere.
func (p *Platform) permit(ctx context.Context, actor models.Actor, action models.Action, organisation models.ID) error {
	if actor.OrganisationID != nil && *actor.OrganisationID != organisation {
		return models.Errorf(models.NotFound, "no such organisation")
	}
	role, err := roleOf(ctx, p.Store, actor, organisation)
	if err != nil {
		return err
	}
	if err := actor.CheckScope(action); err != nil {
		return err
	}
	if !role.May(action) {
		return models.Errorf(models.Forbidden, "your role %s does not allow this (%s)", role, action).
			WithRemedy("ask an owner of the organisation for another role")
	}
	return nil
}

// roleOf returns the actor's role in the Organisation; NotFound when they have
// none.
func roleOf(ctx context.Context, rows *store.Store, actor models.Actor, organisation models.ID) (models.Role, error) {
	if actor.Admin {
		return models.RoleOwner, nil
	}
	membership, err := rows.Membership(ctx, organisation, actor.UserID)
	return membership.Role, err
}

// permitAccount refuses an actor what their token's scopes do not allow with
// their own account. A token of one Organisation changes nothing of it: a key
// that it added would reach all the others.
func permitAccount(actor models.Actor, action models.Action) error {
	if actor.OrganisationID != nil && action == models.AccountManage {
		return models.Errorf(models.Forbidden, "this token is limited to one organisation")
	}
	return permitTokens(actor, action)
}

// permitTokens is permitAccount for what a token of one Organisation may do too.
func permitTokens(actor models.Actor, action models.Action) error {
	if actor.UserID == (models.ID{}) {
		return models.Errorf(models.Unauthorized, "nobody is logged in")
	}
	return actor.CheckScope(action)
}

// permitPlatform refuses everybody but admins of the platform.
func permitPlatform(actor models.Actor) error {
	if !actor.Admin {
		return models.Errorf(models.Forbidden, "only an admin of the platform may do this")
	}
	if actor.OrganisationID != nil {
		return models.Errorf(models.Forbidden, "this token is limited to one organisation")
	}
	return actor.CheckScope(models.PlatformManage)
}

// App returns the named App when actor may do action with it. Where they are no
// member it is NotFound, as an App that does not exist.
func (p *Platform) App(ctx context.Context, actor models.Actor, action models.Action, name string) (models.App, error) {
	missing := models.Errorf(models.NotFound, "there is no app %q", narrative.Clean(name)).WithField("app").
		WithRemedy("`sky apps list` shows yours; `sky apps create NAME` makes one")
	if models.CheckAppName(name) != nil {
		return models.App{}, missing
	}
	app, err := p.Store.AppByName(ctx, name)
	if err == nil {
		err = p.permit(ctx, actor, action, app.OrganisationID)
	}
	if models.IsCode(err, models.NotFound) {
		return models.App{}, missing
	}
	return app, err
}

// Organisation returns the named Organisation when actor may do action in it,
// and else what App does.
func (p *Platform) Organisation(ctx context.Context, actor models.Actor, action models.Action, name string) (models.Organisation, error) {
	missing := models.Errorf(models.NotFound, "there is no organisation %q", narrative.Clean(name)).WithField("organisation").
		WithRemedy("`sky orgs list` shows yours")
	if models.CheckOrganisationName(name) != nil {
		return models.Organisation{}, missing
	}
	organisation, err := p.Store.OrganisationByName(ctx, name)
	if err == nil {
		err = p.permit(ctx, actor, action, organisation.ID)
	}
	if models.IsCode(err, models.NotFound) {
		return models.Organisation{}, missing
	}
	return organisation, err
}
