package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
)

func (s *server) nodes(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/nodes", "list-nodes", "List nodes", models.PlatformManage), s.listNodes)
	huma.Register(routes, creating(adminPrefix+"/nodes", "add-node", "Add a node and get its join token", models.PlatformManage), s.addNode)
	huma.Register(routes, huma.Operation{
		Method: http.MethodPost, Path: internalPrefix + "/nodes/register", OperationID: "register-node",
		Summary: "Exchange a join token for a credential", Tags: []string{"agents"}, MaxBodyBytes: 1 << 10,
	}, s.join)
	huma.Register(routes, huma.Operation{
		Method: http.MethodPost, Path: internalPrefix + "/nodes/renew", OperationID: "renew-node",
		Summary: "Exchange an agent's credential for a fresh one", Tags: []string{"agents"},
	}, s.renew)
}

func (s *server) listNodes(ctx context.Context, _ *struct{}) (*body[[]v1.Node], error) {
	nodes, err := s.Platform.Nodes(ctx, actor(ctx))
	return answer(ctx, s, each(nodes, wireNode), err)
}

func (s *server) addNode(ctx context.Context, input *body[v1.NewNode]) (*body[v1.JoinToken], error) {
	node, token, err := s.Platform.AddNode(ctx, actor(ctx), input.Body.Name)
	return answer(ctx, s, v1.JoinToken{Node: wireNode(node), Token: token}, err)
}

func (s *server) join(ctx context.Context, input *body[v1.Join]) (*body[v1.Credential], error) {
	node, credential, err := s.Platform.Join(ctx, input.Body.Token)
	return answer(ctx, s, v1.Credential{NodeID: node.ID.String(), Token: credential}, err)
}

func (s *server) renew(ctx context.Context, input *struct {
	Authorization string `header:"Authorization"`
}) (*body[v1.Credential], error) {
	node, credential, err := s.Platform.RenewAgent(ctx, input.Authorization)
	return answer(ctx, s, v1.Credential{NodeID: node.String(), Token: credential}, err)
}

func wireNode(node models.Node) v1.Node {
	return v1.Node{
		ID: node.ID.String(), Name: node.Name, State: string(node.State), EngineVersion: node.EngineVersion,
		CPUs: node.CPUs, MemoryBytes: node.MemoryBytes, SeenAt: node.SeenAt,
	}
}
