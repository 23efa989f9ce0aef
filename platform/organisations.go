package platform

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// invitationLife is how long an invitation can be accepted.
const invitationLife = 7 * 24 * time.Hour

// OrganisationView is an Organisation as its reader may see it.
type OrganisationView struct {
	models.Organisation
	Role models.Role // the reader's own
}

// OrganisationsAsked narrows a list of Organisations.
type OrganisationsAsked struct {
	Search    string
	Suspended *bool
}

// Organisations lists those that actor is a member of.
func (p *Platform) Organisations(ctx context.Context, actor models.Actor, page models.PageRequest) (models.Page[OrganisationView], error) {
	if err := permitAccount(actor, models.OrgRead); err != nil {
		return models.Page[OrganisationView]{}, err
	}
	roles, err := p.Store.MembershipsOf(ctx, actor.UserID)
	if err != nil {
		return models.Page[OrganisationView]{}, err
	}
	rows, err := p.Store.Organisations(ctx, store.OrganisationFilter{ID: actor.OrganisationID, Member: &actor.UserID}, page)
	views := models.Page[OrganisationView]{Next: rows.Next}
	for _, row := range rows.Items {
		views.Items = append(views.Items, OrganisationView{row, roles[row.ID].Role})
	}
	return views, err
}

// AllOrganisations lists every Organisation, for an admin of the platform.
func (p *Platform) AllOrganisations(ctx context.Context, actor models.Actor, asked OrganisationsAsked, page models.PageRequest) (models.Page[models.Organisation], error) {
	if err := permitPlatform(actor); err != nil {
		return models.Page[models.Organisation]{}, err
	}
	return p.Store.Organisations(ctx, store.OrganisationFilter{Search: asked.Search, Suspended: asked.Suspended}, page)
}

// OrganisationFor returns the Organisation with the actor's own role in it.
func (p *Platform) OrganisationFor(ctx context.Context, actor models.Actor, name string) (OrganisationView, error) {
	organisation, err := p.Organisation(ctx, actor, models.OrgRead, name)
	if err != nil {
		return OrganisationView{}, err
	}
	role, err := roleOf(ctx, p.Store, actor, organisation.ID)
	return OrganisationView{organisation, role}, err
}

// CreateOrganisation makes an Organisation that actor owns.
func (p *Platform) CreateOrganisation(ctx context.Context, actor models.Actor, name, title string) (OrganisationView, error) {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return OrganisationView{}, err
	}
	if actor.OrganisationID != nil {
		return OrganisationView{}, models.Errorf(models.Forbidden, "this token is limited to one organisation")
	}
	if err := models.CheckOrganisationName(name); err != nil {
		return OrganisationView{}, err
	}
	if err := p.checkOrganisationCount(ctx, actor); err != nil {
		return OrganisationView{}, err
	}
	organisation := models.Organisation{ID: models.NewID(), Name: name, Title: cleanTitle(title), CreatedAt: now()}
	what := fact{kind: "organisation.create", detail: name, organisation: &organisation.ID}
	err := p.commit(ctx, actor, what, func(tx *store.Store) error { return tx.CreateOrganisation(ctx, &organisation, actor.UserID) })
	if models.IsCode(err, models.Conflict) {
		err = models.Errorf(models.Conflict, "the organisation name %q is taken", name).WithField("name").WithRemedy("choose another")
	}
	return OrganisationView{organisation, models.RoleOwner}, err
}

func (p *Platform) checkOrganisationCount(ctx context.Context, actor models.Actor) error {
	if actor.Admin {
		return nil
	}
	options, err := p.Options(ctx)
	if err != nil {
		return err
	}
	mine, err := p.Store.MembershipsOf(ctx, actor.UserID)
	owned := 0
	for _, membership := range mine {
		if membership.Role == models.RoleOwner {
			owned++
		}
	}
	if err == nil && owned >= options.MaxOrganisationsPerUser {
		return models.Errorf(models.Conflict, "you own %d organisations, as many as one may", owned).
			WithRemedy("ask an admin of the platform, or destroy one")
	}
	return err
}

func cleanTitle(title string) string {
	const most = 100
	letters := []rune(narrative.Clean(title))
	return string(letters[:min(len(letters), most)])
}

// OrganisationChange are the settings to change; nil leaves one as it is.
type OrganisationChange struct {
	Name  *string
	Title *string
}

// ChangeOrganisation renames an Organisation.
func (p *Platform) ChangeOrganisation(ctx context.Context, actor models.Actor, name, revision string, change OrganisationChange) (OrganisationView, error) {
	organisation, err := p.Organisation(ctx, actor, models.OrgManage, name)
	if err != nil {
		return OrganisationView{}, err
	}
	if change.Name != nil {
		if err := models.CheckOrganisationName(*change.Name); err != nil {
			return OrganisationView{}, err
		}
	}
	err = p.commit(ctx, actor, fact{kind: "organisation.change", organisation: &organisation.ID}, func(tx *store.Store) error {
		organisation, err = tx.UpdateOrganisation(ctx, organisation.ID, func(row *models.Organisation) error {
			put(&row.Name, change.Name)
			if change.Title != nil {
				row.Title = cleanTitle(*change.Title)
			}
			return models.CheckRevision(revision, row.Revision())
		})
		return err
	})
	if models.IsCode(err, models.Conflict) {
		err = models.Errorf(models.Conflict, "the organisation name %q is taken", *change.Name).WithField("name").WithRemedy("choose another")
	}
	if err != nil {
		return OrganisationView{}, err
	}
	role, err := roleOf(ctx, p.Store, actor, organisation.ID)
	return OrganisationView{organisation, role}, err
}

// DestroyOrganisation removes an Organisation that has no Apps left. Its ledger
// stays. confirm must repeat its name.
func (p *Platform) DestroyOrganisation(ctx context.Context, actor models.Actor, name, confirm string) error {
	organisation, err := p.Organisation(ctx, actor, models.OrgDestroy, name)
	if err != nil {
		return err
	}
	if confirm != name {
		return models.Errorf(models.Invalid, "the organisation is destroyed only when its name is repeated").WithField("confirm").
			WithRemedy("pass --confirm %s; this cannot be undone", name)
	}
	what := fact{kind: "organisation.destroy", detail: name, organisation: &organisation.ID}
	return p.commit(ctx, actor, what, func(tx *store.Store) error { return tx.DestroyOrganisation(ctx, organisation.ID) })
}

// SuspendOrganisation stops, or allows again, all that an Organisation runs. It
// is for admins of the platform.
func (p *Platform) SuspendOrganisation(ctx context.Context, actor models.Actor, name string, suspend bool, reason string) (models.Organisation, error) {
	if err := permitPlatform(actor); err != nil {
		return models.Organisation{}, err
	}
	organisation, err := p.Organisation(ctx, actor, models.OrgRead, name)
	if err != nil {
		return models.Organisation{}, err
	}
	if reason = cleanTitle(reason); reason == "" || reason == outOfFunds { // which a top-up would lift
		reason = "by an admin of the platform"
	}
	err = p.Store.Transact(ctx, func(tx *store.Store) error {
		return suspendOrganisation(ctx, tx, actor, organisation.ID, suspend, reason)
	})
	if err != nil {
		return models.Organisation{}, err
	}
	p.hurry()
	return p.Store.Organisation(ctx, organisation.ID)
}

// Member is somebody in an Organisation.
type Member struct {
	models.Membership
	User models.User
}

// Members lists an Organisation's members.
func (p *Platform) Members(ctx context.Context, actor models.Actor, name string, page models.PageRequest) (models.Page[Member], error) {
	organisation, err := p.Organisation(ctx, actor, models.MemberRead, name)
	if err != nil {
		return models.Page[Member]{}, err
	}
	rows, err := p.Store.Memberships(ctx, organisation.ID, page)
	if err != nil {
		return models.Page[Member]{}, err
	}
	ids := make([]models.ID, 0, len(rows.Items))
	for _, row := range rows.Items {
		ids = append(ids, row.UserID)
	}
	users, err := p.Store.UsersByID(ctx, ids)
	members := models.Page[Member]{Next: rows.Next}
	for _, row := range rows.Items {
		members.Items = append(members.Items, Member{row, users[row.UserID]})
	}
	return members, err
}

// ChangeMember gives a member another role. Nobody grants or takes a role above
// their own, and an owner stays.
func (p *Platform) ChangeMember(ctx context.Context, actor models.Actor, name, user string, role models.Role) (Member, error) {
	if err := models.CheckRole(role); err != nil {
		return Member{}, err
	}
	member, err := p.member(ctx, actor, models.MemberManage, name, user)
	if err != nil {
		return Member{}, err
	}
	what := fact{kind: "member.change", detail: fmt.Sprintf("%s is %s", member.User.Name, role), organisation: &member.OrganisationID}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		before, err := tx.Membership(ctx, member.OrganisationID, member.UserID)
		if err != nil {
			return err
		}
		if err := leads(ctx, tx, actor, member.OrganisationID, before.Role, role); err != nil {
			return err
		}
		member.Membership, err = tx.UpdateMembership(ctx, member.Membership, func(row *models.Membership) error {
			row.Role = role
			return nil
		})
		return err
	})
	return member, err
}

// RemoveMember takes somebody out of an Organisation; everybody may leave.
func (p *Platform) RemoveMember(ctx context.Context, actor models.Actor, name, user string) error {
	action := models.MemberManage
	if user == actor.Name {
		action = models.MemberRead
	}
	member, err := p.member(ctx, actor, action, name, user)
	if err != nil {
		return err
	}
	leaves := user == actor.Name
	if leaves {
		if err := permitAccount(actor, models.AccountManage); err != nil {
			return err
		}
	}
	what := fact{kind: "member.remove", detail: member.User.Name, organisation: &member.OrganisationID}
	return p.commit(ctx, actor, what, func(tx *store.Store) error {
		before, err := tx.Membership(ctx, member.OrganisationID, member.UserID)
		if err == nil && !leaves {
			err = leads(ctx, tx, actor, member.OrganisationID, before.Role)
		}
		if err != nil {
			return err
		}
		return tx.DeleteMembership(ctx, before)
	})
}

// leads refuses who may not manage the Organisation's members, or touches roles
// above their own. It looks in the transaction of the change, and keeps other
// changes of the members away: a role that is taken away meanwhile does not count.
func leads(ctx context.Context, tx *store.Store, actor models.Actor, organisation models.ID, roles ...models.Role) error {
	if _, err := tx.LockOrganisation(ctx, organisation); err != nil {
		return err
	}
	own, err := roleOf(ctx, tx, actor, organisation)
	if err != nil {
		return err
	}
	if !own.May(models.MemberManage) {
		return models.Errorf(models.Forbidden, "your role %s does not allow this (%s)", own, models.MemberManage)
	}
	above := slices.ContainsFunc(roles, func(role models.Role) bool { return role.Above(own) })
	if above {
		return models.Errorf(models.Forbidden, "your role %s does not reach that high", own).WithField("role").
			WithRemedy("ask an owner of the organisation")
	}
	return nil
}

func (p *Platform) member(ctx context.Context, actor models.Actor, action models.Action, name, user string) (Member, error) {
	organisation, err := p.Organisation(ctx, actor, action, name)
	if err != nil {
		return Member{}, err
	}
	missing := models.Errorf(models.NotFound, "%s has no member %q", organisation.Name, narrative.Clean(user)).WithField("user").
		WithRemedy("`sky members list --org %s` shows them", organisation.Name)
	found, err := p.Store.UserByLogin(ctx, user)
	if models.IsCode(err, models.NotFound) {
		return Member{}, missing
	}
	if err != nil {
		return Member{}, err
	}
	membership, err := p.Store.Membership(ctx, organisation.ID, found.ID)
	if models.IsCode(err, models.NotFound) {
		return Member{}, missing
	}
	return Member{membership, found}, err
}
