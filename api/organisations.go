package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

const orgPath = customerPrefix + "/organisations/{organisation}"

// OrganisationInput is a request about one Organisation.
type OrganisationInput struct {
	Organisation string `path:"organisation" maxLength:"40" doc:"The organisation's name"`
}

// MemberInput is a request about one member.
type MemberInput struct {
	OrganisationInput
	User string `path:"user" maxLength:"254" doc:"The member's user name"`
}

func (s *server) organisations(routes huma.API) {
	const all = customerPrefix + "/organisations"
	huma.Register(routes, operation(http.MethodGet, all, "list-organisations", "List your organisations", models.OrgRead), s.listOrganisations)
	huma.Register(routes, creating(all, "create-organisation", "Create an organisation", models.AccountManage), s.createOrganisation)
	huma.Register(routes, operation(http.MethodGet, orgPath, "get-organisation", "Show an organisation", models.OrgRead), s.getOrganisation)
	huma.Register(routes, operation(http.MethodPatch, orgPath, "change-organisation", "Rename an organisation", models.OrgManage), s.changeOrganisation)
	huma.Register(routes, operation(http.MethodDelete, orgPath, "destroy-organisation", "Destroy an organisation without apps", models.OrgDestroy), s.destroyOrganisation)
	huma.Register(routes, operation(http.MethodGet, orgPath+"/members", "list-members", "List members", models.MemberRead), s.listMembers)
	huma.Register(routes, operation(http.MethodPatch, orgPath+"/members/{user}", "change-member", "Give a member another role", models.MemberManage), s.changeMember)
	huma.Register(routes, operation(http.MethodDelete, orgPath+"/members/{user}", "remove-member", "Remove a member, or leave", models.MemberManage), s.removeMember)
	huma.Register(routes, operation(http.MethodGet, orgPath+"/invitations", "list-invitations", "List open invitations", models.MemberManage), s.listInvitations)
	huma.Register(routes, creating(orgPath+"/invitations", "invite", "Invite somebody", models.MemberManage), s.invite)
	huma.Register(routes, operation(http.MethodDelete, orgPath+"/invitations/{invitation}", "withdraw-invitation", "Withdraw an invitation", models.MemberManage), s.withdrawInvitation)
	huma.Register(routes, operation(http.MethodPost, customerPrefix+"/invitations/accept", "accept-invitation", "Accept an invitation", models.AccountManage), s.acceptInvitation)
	huma.Register(routes, open(customerPrefix+"/invitations/sign-up", "sign-up", "Make an account by an invitation"), s.signUp)
	huma.Register(routes, operation(http.MethodGet, orgPath+"/notifications", "list-notifications", "List what the organisation was told", models.OrgRead), s.listNotifications)
	huma.Register(routes, operation(http.MethodPost, orgPath+"/notifications/read", "read-notifications", "Mark notifications as read", models.OrgRead), s.readNotifications)
}

func wireOrganisation(view platform.OrganisationView) v1.Organisation {
	return v1.Organisation{
		ID: view.ID.String(), Name: view.Name, Title: view.Title, Role: string(view.Role), Suspended: view.Suspended,
		SuspendedReason: view.SuspendedReason, CreatedAt: view.CreatedAt,
	}
}

func (s *server) listOrganisations(ctx context.Context, input *PageInput) (*body[v1.Page[v1.Organisation]], error) {
	views, err := s.Platform.Organisations(ctx, actor(ctx), input.page())
	return pageOf(ctx, s, views, wireOrganisation, err)
}

func (s *server) createOrganisation(ctx context.Context, input *body[v1.NewOrganisation]) (*tagged[v1.Organisation], error) {
	view, err := s.Platform.CreateOrganisation(ctx, actor(ctx), input.Body.Name, input.Body.Title)
	return revised(ctx, s, wireOrganisation(view), view.Revision(), err)
}

func (s *server) getOrganisation(ctx context.Context, input *OrganisationInput) (*tagged[v1.Organisation], error) {
	view, err := s.Platform.OrganisationFor(ctx, actor(ctx), input.Organisation)
	return revised(ctx, s, wireOrganisation(view), view.Revision(), err)
}

func (s *server) changeOrganisation(ctx context.Context, input *struct {
	OrganisationInput
	IfMatchInput
	Body v1.OrganisationChange
}) (*tagged[v1.Organisation], error) {
	view, err := s.Platform.ChangeOrganisation(ctx, actor(ctx), input.Organisation, input.revision(), platform.OrganisationChange(input.Body))
	return revised(ctx, s, wireOrganisation(view), view.Revision(), err)
}

func (s *server) destroyOrganisation(ctx context.Context, input *struct {
	OrganisationInput
	Confirm string `query:"confirm" maxLength:"40" doc:"Repeats the organisation's name"`
}) (*struct{}, error) {
	return s.done(ctx, s.Platform.DestroyOrganisation(ctx, actor(ctx), input.Organisation, input.Confirm))
}

func wireMember(member platform.Member) v1.Member {
	wire := v1.Member{User: member.User.Name, Role: string(member.Role), CreatedAt: member.Membership.CreatedAt}
	if member.User.Email != nil {
		wire.Email = *member.User.Email
	}
	return wire
}

func (s *server) listMembers(ctx context.Context, input *struct {
	OrganisationInput
	PageInput
}) (*body[v1.Page[v1.Member]], error) {
	members, err := s.Platform.Members(ctx, actor(ctx), input.Organisation, input.page())
	return pageOf(ctx, s, members, wireMember, err)
}

func (s *server) changeMember(ctx context.Context, input *struct {
	MemberInput
	Body v1.MemberChange
}) (*body[v1.Member], error) {
	member, err := s.Platform.ChangeMember(ctx, actor(ctx), input.Organisation, input.User, models.Role(input.Body.Role))
	return answer(ctx, s, wireMember(member), err)
}

func (s *server) removeMember(ctx context.Context, input *MemberInput) (*struct{}, error) {
	return s.done(ctx, s.Platform.RemoveMember(ctx, actor(ctx), input.Organisation, input.User))
}

func wireInvitation(invitation models.Invitation) v1.Invitation {
	return v1.Invitation{
		ID: invitation.ID.String(), Email: invitation.Email, Role: string(invitation.Role), ExpiresAt: invitation.ExpiresAt,
	}
}

func (s *server) listInvitations(ctx context.Context, input *struct {
	OrganisationInput
	PageInput
}) (*body[v1.Page[v1.Invitation]], error) {
	rows, err := s.Platform.Invitations(ctx, actor(ctx), input.Organisation, input.page())
	return pageOf(ctx, s, rows, wireInvitation, err)
}

func (s *server) invite(ctx context.Context, input *struct {
	OrganisationInput
	Body v1.NewInvitation
}) (*body[v1.Invitation], error) {
	row, token, err := s.Platform.Invite(ctx, actor(ctx), input.Organisation, input.Body.Email, models.Role(input.Body.Role))
	wire := wireInvitation(row)
	wire.Token = token
	return answer(ctx, s, wire, err)
}

func (s *server) withdrawInvitation(ctx context.Context, input *struct {
	OrganisationInput
	Invitation string `path:"invitation" maxLength:"36" doc:"The invitation's id"`
}) (*struct{}, error) {
	return s.done(ctx, s.Platform.WithdrawInvitation(ctx, actor(ctx), input.Organisation, input.Invitation))
}

func (s *server) acceptInvitation(ctx context.Context, input *body[v1.InvitationToken]) (*body[v1.Organisation], error) {
	view, err := s.Platform.AcceptInvitation(ctx, actor(ctx), input.Body.Token)
	return answer(ctx, s, wireOrganisation(view), err)
}

func (s *server) signUp(ctx context.Context, input *body[v1.SignUp]) (*body[v1.Account], error) {
	user, err := s.Platform.SignUp(ctx, platform.NewMember{
		Token: input.Body.Token, Name: input.Body.Name, Password: input.Body.Password, Address: actor(ctx).Address,
	})
	return answer(ctx, s, wireAccount(user), err)
}

func (s *server) listNotifications(ctx context.Context, input *struct {
	OrganisationInput
	PageInput
	Unread bool `query:"unread" doc:"Only those that nobody has read"`
}) (*body[v1.Page[v1.Notification]], error) {
	rows, err := s.Platform.Notifications(ctx, actor(ctx), input.Organisation, input.Unread, input.page())
	return pageOf(ctx, s, rows, func(row models.Notification) v1.Notification {
		return v1.Notification{ID: row.ID.String(), Kind: row.Kind, Text: row.Text, ReadAt: row.ReadAt, CreatedAt: row.CreatedAt}
	}, err)
}

func (s *server) readNotifications(ctx context.Context, input *struct {
	OrganisationInput
	Body v1.NotificationsRead
}) (*struct{}, error) {
	return s.done(ctx, s.Platform.ReadNotifications(ctx, actor(ctx), input.Organisation, input.Body.UpTo))
}
