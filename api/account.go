package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

func (s *server) account(routes huma.API) {
	const path, totp = customerPrefix + "/account", customerPrefix + "/account/totp"
	huma.Register(routes, operation(http.MethodGet, path, "get-account", "Show your account", models.AccountRead), s.getAccount)
	huma.Register(routes, operation(http.MethodPatch, path, "change-account", "Change your account", models.AccountManage), s.changeAccount)
	huma.Register(routes, operation(http.MethodPut, path+"/password", "change-password", "Change your password", models.AccountManage), s.changePassword)
	huma.Register(routes, creating(totp, "begin-totp", "Begin to use two factors", models.AccountManage), s.beginTOTP)
	huma.Register(routes, creating(totp+"/confirm", "confirm-totp", "Turn two factors on, by a code", models.AccountManage), s.confirmTOTP)
	huma.Register(routes, operation(http.MethodDelete, totp, "end-totp", "Turn two factors off", models.AccountManage), s.endTOTP)
}

func (s *server) getAccount(ctx context.Context, _ *struct{}) (*tagged[v1.Account], error) {
	user, err := s.Platform.Account(ctx, actor(ctx))
	return revised(ctx, s, wireAccount(user), user.Revision(), err)
}

func (s *server) changeAccount(ctx context.Context, input *struct {
	IfMatchInput
	Body v1.AccountChange
}) (*tagged[v1.Account], error) {
	user, err := s.Platform.ChangeAccount(ctx, actor(ctx), input.revision(), platform.AccountChange(input.Body))
	return revised(ctx, s, wireAccount(user), user.Revision(), err)
}

func (s *server) changePassword(ctx context.Context, input *body[v1.PasswordChange]) (*struct{}, error) {
	return s.done(ctx, s.Platform.ChangePassword(ctx, actor(ctx), input.Body.Current, input.Body.New))
}

func (s *server) beginTOTP(ctx context.Context, _ *struct{}) (*body[v1.PendingTOTP], error) {
	pending, err := s.Platform.BeginTOTP(ctx, actor(ctx))
	return answer(ctx, s, v1.PendingTOTP(pending), err)
}

func (s *server) confirmTOTP(ctx context.Context, input *body[v1.TOTPCode]) (*body[v1.RecoveryCodes], error) {
	codes, err := s.Platform.ConfirmTOTP(ctx, actor(ctx), input.Body.Code)
	return answer(ctx, s, v1.RecoveryCodes{Codes: codes}, err)
}

func (s *server) endTOTP(ctx context.Context, input *body[v1.TOTPEnd]) (*struct{}, error) {
	return s.done(ctx, s.Platform.EndTOTP(ctx, actor(ctx), input.Body.Password, input.Body.Code))
}
