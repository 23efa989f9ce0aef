package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

// UserInput is a request about one user.
type UserInput struct {
	User string `path:"user" maxLength:"40" doc:"The user's name"`
}

func (s *server) users(routes huma.API) {
	const all, one = adminPrefix + "/users", adminPrefix + "/users/{user}"
	huma.Register(routes, operation(http.MethodGet, all, "list-users", "List users", models.PlatformManage), s.listUsers)
	huma.Register(routes, creating(all, "create-user", "Let somebody in", models.PlatformManage), s.createUser)
	huma.Register(routes, operation(http.MethodGet, one, "get-user", "Show a user", models.PlatformManage), s.getUser)
	huma.Register(routes, operation(http.MethodPatch, one, "change-user", "Change a user", models.PlatformManage), s.changeUser)
	huma.Register(routes, operation(http.MethodDelete, one, "delete-user", "Delete a user", models.PlatformManage), s.deleteUser)
}

func (s *server) listUsers(ctx context.Context, input *struct {
	PageInput
	Search   string       `query:"search" maxLength:"100" doc:"Part of a name or e-mail address"`
	Admin    OptionalBool `query:"admin" doc:"Only admins, or only others"`
	Disabled OptionalBool `query:"disabled" doc:"Only disabled users, or only others"`
}) (*body[v1.Page[v1.User]], error) {
	asked := platform.UsersAsked{Search: input.Search, Admin: input.Admin.value(), Disabled: input.Disabled.value()}
	page, err := s.Platform.Users(ctx, actor(ctx), asked, input.page())
	return pageOf(ctx, s, page, wireUser, err)
}

func (s *server) createUser(ctx context.Context, input *body[v1.NewUser]) (*body[v1.CreatedUser], error) {
	user, link, err := s.Platform.CreateUser(ctx, actor(ctx), platform.NewUser(input.Body))
	return answer(ctx, s, v1.CreatedUser{User: wireUser(user), PasswordLink: wireLink(link)}, err)
}

func (s *server) getUser(ctx context.Context, input *UserInput) (*tagged[v1.User], error) {
	user, err := s.Platform.User(ctx, actor(ctx), input.User)
	return revised(ctx, s, wireUser(user), user.Revision(), err)
}

func (s *server) changeUser(ctx context.Context, input *struct {
	UserInput
	IfMatchInput
	Body v1.UserChange
}) (*tagged[v1.User], error) {
	user, err := s.Platform.ChangeUser(ctx, actor(ctx), input.User, input.revision(), platform.UserChange(input.Body))
	return revised(ctx, s, wireUser(user), user.Revision(), err)
}

func (s *server) deleteUser(ctx context.Context, input *UserInput) (*struct{}, error) {
	return s.done(ctx, s.Platform.DeleteUser(ctx, actor(ctx), input.User))
}

func wireUser(user models.User) v1.User {
	return v1.User{Account: wireAccount(user), Disabled: user.Disabled}
}
