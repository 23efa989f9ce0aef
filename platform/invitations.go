package platform

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

// Invite asks whoever reads an address to join an Organisation. The token is
// returned once; who has it, and an account with that address, may accept.
func (p *Platform) Invite(ctx context.Context, actor models.Actor, name, email string, role models.Role) (models.Invitation, string, error) {
	organisation, err := p.Organisation(ctx, actor, models.MemberManage, name)
	if err != nil {
		return models.Invitation{}, "", err
	}
	if err := models.CheckRole(role); err != nil {
		return models.Invitation{}, "", err
	}
	if email, err = models.CleanEmail(email); err != nil {
		return models.Invitation{}, "", err
	}
	token := newSecret()
	invitation := models.Invitation{
		ID: models.NewID(), OrganisationID: organisation.ID, Email: email, Role: role, Hash: hashToken(token),
		InviterID: actor.UserID, ExpiresAt: now().Add(invitationLife), CreatedAt: now(),
	}
	what := fact{kind: "member.invite", detail: fmt.Sprintf("%s as %s", email, role), organisation: &organisation.ID}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		if err := leads(ctx, tx, actor, organisation.ID, role); err != nil {
			return err
		}
		return tx.ReplaceInvitation(ctx, &invitation)
	})
	return invitation, token, err
}

// Invitations lists an Organisation's open invitations.
func (p *Platform) Invitations(ctx context.Context, actor models.Actor, name string, page models.PageRequest) (models.Page[models.Invitation], error) {
	organisation, err := p.Organisation(ctx, actor, models.MemberManage, name)
	if err != nil {
		return models.Page[models.Invitation]{}, err
	}
	return p.Store.Invitations(ctx, organisation.ID, page)
}

// WithdrawInvitation makes an invitation void.
func (p *Platform) WithdrawInvitation(ctx context.Context, actor models.Actor, name, id string) error {
	organisation, err := p.Organisation(ctx, actor, models.MemberManage, name)
	if err != nil {
		return err
	}
	parsed, err := models.ParseID(id)
	if err != nil {
		return models.Errorf(models.NotFound, "no such invitation").WithField("invitation")
	}
	return p.commit(ctx, actor, fact{kind: "member.uninvite", organisation: &organisation.ID}, func(tx *store.Store) error {
		return tx.DeleteInvitation(ctx, organisation.ID, parsed)
	})
}

// AcceptInvitation makes actor a member, by a token that was sent to their own
// address, which it proves. It is spent by it.
func (p *Platform) AcceptInvitation(ctx context.Context, actor models.Actor, token string) (OrganisationView, error) {
	if err := permitAccount(actor, models.AccountManage); err != nil {
		return OrganisationView{}, err
	}
	invitation, err := p.openInvitation(ctx, token)
	if err != nil {
		return OrganisationView{}, err
	}
	user, err := p.Store.User(ctx, actor.UserID)
	if err != nil {
		return OrganisationView{}, err
	}
	if user.Email == nil || *user.Email != invitation.Email {
		return OrganisationView{}, models.Errorf(models.Forbidden, "the invitation is for another e-mail address than your account's").
			WithField("token").WithRemedy("log in with the account that it was sent to, or ask for one to your address")
	}
	what := fact{kind: "member.join", detail: string(invitation.Role), organisation: &invitation.OrganisationID}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		_, err := tx.UpdateUser(ctx, user.ID, func(row *models.User) error { return putEmail(row, &invitation.Email, vouched) })
		if err != nil {
			return err
		}
		return join(ctx, tx, invitation, user.ID)
	})
	if err != nil {
		return OrganisationView{}, err
	}
	organisation, err := p.Store.Organisation(ctx, invitation.OrganisationID)
	return OrganisationView{organisation, invitation.Role}, err
}

var errInvitation = models.Errorf(models.NotFound, "the invitation is not valid, was used, or has expired").WithField("token").
	WithRemedy("ask for another")

// openInvitation finds the invitation that a token is for.
func (p *Platform) openInvitation(ctx context.Context, token string) (models.Invitation, error) {
	invitation, err := p.Store.InvitationByHash(ctx, hashToken(token))
	if models.IsCode(err, models.NotFound) || (err == nil && invitation.ExpiresAt.Before(time.Now())) {
		return models.Invitation{}, errInvitation
	}
	return invitation, err
}

// join spends the invitation and makes the user a member, in a transaction. Who
// is one already keeps their role.
func join(ctx context.Context, tx *store.Store, invitation models.Invitation, user models.ID) error {
	err := tx.DeleteInvitation(ctx, invitation.OrganisationID, invitation.ID)
	if models.IsCode(err, models.NotFound) {
		return errInvitation
	}
	if err == nil {
		err = stillInvites(ctx, tx, invitation)
	}
	if err != nil {
		return err
	}
	if _, err := tx.Membership(ctx, invitation.OrganisationID, user); !models.IsCode(err, models.NotFound) {
		return err
	}
	return tx.CreateMembership(ctx, &models.Membership{
		ID: models.NewID(), OrganisationID: invitation.OrganisationID, UserID: user, Role: invitation.Role, CreatedAt: now(),
	})
}

// stillInvites refuses the invitation of somebody who could not make it now: who
// was taken out must not have left a way back in.
func stillInvites(ctx context.Context, tx *store.Store, invitation models.Invitation) error {
	inviter, err := tx.User(ctx, invitation.InviterID)
	if err != nil || (inviter.Admin && !inviter.Disabled) {
		return err
	}
	member, err := tx.Membership(ctx, invitation.OrganisationID, inviter.ID)
	if err != nil && !models.IsCode(err, models.NotFound) {
		return err
	}
	if err != nil || inviter.Disabled || !member.Role.May(models.MemberManage) || invitation.Role.Above(member.Role) {
		return errInvitation
	}
	return nil
}

// NewMember is somebody without an account who was invited.
type NewMember struct {
	Token    string // of the invitation
	Name     string
	Password string
	Address  string // where they ask from
}

// SignUp makes an account for somebody who was invited, with the address that the
// invitation was sent to, and makes them a member. Its token proves the address:
// who only claims that loses it. The invitation is spent by it.
func (p *Platform) SignUp(ctx context.Context, wanted NewMember) (models.User, error) {
	invitation, err := p.openInvitation(ctx, wanted.Token)
	if err != nil {
		return models.User{}, err
	}
	user := models.User{ID: models.NewID(), Name: wanted.Name, Email: &invitation.Email, EmailProven: vouched, CreatedAt: now()}
	if err := models.CheckUserName(user.Name); err != nil {
		return models.User{}, err
	}
	if user.PasswordHash, err = p.newPassword(ctx, user, wanted.Password); err != nil {
		return models.User{}, err
	}
	actor := models.Actor{UserID: user.ID, Name: user.Name, Via: "invitation", Address: wanted.Address}
	what := fact{kind: "member.join", detail: user.Name + " as " + string(invitation.Role), organisation: &invitation.OrganisationID}
	err = p.commit(ctx, actor, what, func(tx *store.Store) error {
		if err := createUser(ctx, tx, &user); err != nil {
			return err
		}
		return join(ctx, tx, invitation, user.ID)
	})
	if err != nil {
		return models.User{}, p.takenError(ctx, user, err)
	}
	return user, nil
}
