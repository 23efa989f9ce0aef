package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

func (s *server) links(routes huma.API) {
	huma.Register(routes, open(customerPrefix+"/setup", "setup", "Set the first admin up, by the one-time link"), s.setup)
	huma.Register(routes, open(customerPrefix+"/password", "use-password-link", "Set a password, by a one-time link"), s.usePasswordLink)
	huma.Register(routes, creating(adminPrefix+"/users/{user}/password-link", "make-password-link",
		"Make a one-time link to set a password with", models.PlatformManage), s.makePasswordLink)
}

func (s *server) setup(ctx context.Context, input *body[v1.Setup]) (*body[v1.Account], error) {
	user, err := s.Platform.Setup(ctx, platform.SetupChoice{
		Token: input.Body.Token, Name: input.Body.Name, Email: input.Body.Email, Password: input.Body.Password, Address: actor(ctx).Address,
	})
	return answer(ctx, s, wireAccount(user), err)
}

func (s *server) usePasswordLink(ctx context.Context, input *body[v1.PasswordByLink]) (*body[v1.Account], error) {
	user, err := s.Platform.UsePasswordLink(ctx, input.Body.Token, input.Body.Password, actor(ctx).Address)
	return answer(ctx, s, wireAccount(user), err)
}

func (s *server) makePasswordLink(ctx context.Context, input *struct {
	User string `path:"user" maxLength:"40" doc:"The user's name"`
}) (*body[v1.Link], error) {
	link, err := s.Platform.MakePasswordLink(ctx, actor(ctx), input.User)
	return answer(ctx, s, wireLink(link), err)
}

func wireLink(link *platform.Link) v1.Link {
	if link == nil {
		return v1.Link{}
	}
	return v1.Link{URL: link.URL, ExpiresAt: link.ExpiresAt}
}

func wireAccount(user models.User) v1.Account {
	wire := v1.Account{
		ID: user.ID.String(), Name: user.Name, Admin: user.Admin, TOTP: user.TOTPEnabled, HasPassword: user.PasswordHash != "",
		RecoveryCodes: len(user.RecoveryHashes), CreatedAt: user.CreatedAt,
	}
	if user.Email != nil {
		wire.Email = *user.Email
	}
	return wire
}
