package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

func (s *server) tokens(routes huma.API) {
	const path = customerPrefix + "/tokens"
	huma.Register(routes, operation(http.MethodGet, path, "list-tokens", "List your API tokens", models.AccountRead), s.listTokens)
	huma.Register(routes, creating(path, "create-token", "Make an API token", models.AccountManage), s.createToken)
	huma.Register(routes, operation(http.MethodDelete, path+"/{token}", "revoke-token", "Revoke an API token, at once", models.AccountManage), s.revokeToken)
}

func (s *server) listTokens(ctx context.Context, input *PageInput) (*body[v1.Page[v1.Token]], error) {
	page, err := s.Platform.Tokens(ctx, actor(ctx), input.page())
	return pageOf(ctx, s, page, wireTokenFor(actor(ctx)), err)
}

func (s *server) createToken(ctx context.Context, input *body[v1.NewToken]) (*body[v1.CreatedToken], error) {
	made, text, err := s.Platform.CreateToken(ctx, actor(ctx), platform.NewToken{
		Name: input.Body.Name, Organisation: input.Body.Organisation, ExpiresAt: input.Body.ExpiresAt,
		Scopes: each(input.Body.Scopes, func(scope string) models.Scope { return models.Scope(scope) }),
	})
	return answer(ctx, s, v1.CreatedToken{Token: wireTokenFor(actor(ctx))(made), Text: text}, err)
}

func (s *server) revokeToken(ctx context.Context, input *struct {
	Token string `path:"token" maxLength:"64" doc:"Its id, or current for the one that asks"`
}) (*struct{}, error) {
	return s.done(ctx, s.Platform.RevokeToken(ctx, actor(ctx), input.Token))
}

func wireTokenFor(who models.Actor) func(platform.TokenView) v1.Token {
	return func(token platform.TokenView) v1.Token {
		return v1.Token{
			ID: token.ID.String(), Name: token.Name, Organisation: token.Organisation,
			Scopes:    each(token.Scopes, func(scope models.Scope) string { return string(scope) }),
			ExpiresAt: token.ExpiresAt, UsedAt: token.UsedAt, CreatedAt: token.CreatedAt,
			Current: who.TokenID != nil && *who.TokenID == token.ID,
		}
	}
}
