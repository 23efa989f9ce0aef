package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
)

func (s *server) accounts(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, customerPrefix+"/whoami", "whoami", "Who the token belongs to", models.AccountRead), s.whoami)
	huma.Register(routes, operation(http.MethodGet, customerPrefix+"/keys", "list-keys", "List your SSH keys", models.AccountRead), s.listKeys)
	huma.Register(routes, creating(customerPrefix+"/keys", "add-key", "Add an SSH key", models.AccountManage), s.addKey)
	huma.Register(routes, operation(http.MethodDelete, customerPrefix+"/keys/{name}", "remove-key", "Remove an SSH key", models.AccountManage), s.removeKey)
}

func (s *server) whoami(ctx context.Context, _ *struct{}) (*body[v1.Identity], error) {
	who := actor(ctx)
	return &body[v1.Identity]{v1.Identity{Name: who.Name, Admin: who.Admin, Via: who.Via}}, nil
}

func (s *server) listKeys(ctx context.Context, _ *struct{}) (*body[[]v1.Key], error) {
	keys, err := s.Platform.Keys(ctx, actor(ctx))
	return answer(ctx, s, each(keys, wireKey), err)
}

func (s *server) addKey(ctx context.Context, input *body[v1.NewKey]) (*body[v1.Key], error) {
	key, err := s.Platform.AddKey(ctx, actor(ctx), input.Body.Name, input.Body.PublicKey)
	return answer(ctx, s, wireKey(key), err)
}

func (s *server) removeKey(ctx context.Context, input *struct {
	Name string `path:"name" maxLength:"255" doc:"The key's name"`
}) (*struct{}, error) {
	return s.done(ctx, s.Platform.RemoveKey(ctx, actor(ctx), input.Name))
}

func wireKey(key models.Key) v1.Key {
	return v1.Key{Name: key.Name, Fingerprint: key.Fingerprint, PublicKey: key.PublicKey, CreatedAt: key.CreatedAt}
}
