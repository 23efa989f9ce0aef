package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

func (s *server) nodes(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, adminPrefix+"/nodes", "list-nodes", "List nodes", models.PlatformManage), s.listNodes)
	huma.Register(routes, creating(adminPrefix+"/nodes", "add-node", "Add a node and get its join token", models.PlatformManage), s.addNode)
	const one = adminPrefix + "/nodes/{node}"
	huma.Register(routes, operation(http.MethodGet, one, "get-node", "Show a node, with its load and what it has promised", models.PlatformManage), s.getNode)
	huma.Register(routes, operation(http.MethodPatch, one, "change-node", "Cordon a node, or move it to another region", models.PlatformManage), s.changeNode)
	huma.Register(routes, operation(http.MethodDelete, one, "remove-node", "Delete a node that runs nothing", models.PlatformManage), s.removeNode)
	huma.Register(routes, creating(one+"/join-token", "rejoin-node", "Make a fresh join token for a node", models.PlatformManage), s.rejoinNode)
	huma.Register(routes, operation(http.MethodPost, one+"/drain", "drain-node", "Move what a node runs to others", models.PlatformManage), s.drainNode)
	huma.Register(routes, huma.Operation{
		Method: http.MethodPost, Path: internalPrefix + "/nodes/register", OperationID: "register-node",
		Summary: "Exchange a join token for a credential", Tags: []string{"agents"}, MaxBodyBytes: 1 << 10, BodyReadTimeout: readAlready,
	}, s.join)
	huma.Register(routes, huma.Operation{
		Method: http.MethodPost, Path: internalPrefix + "/nodes/renew", OperationID: "renew-node",
		Summary: "Exchange an agent's credential for a fresh one", Tags: []string{"agents"},
	}, s.renew)
	huma.Register(routes, huma.Operation{
		Method: http.MethodPost, Path: internalPrefix + "/nodes/certificate", OperationID: "certify-node",
		Summary: "Certify an agent's key for other agents", Tags: []string{"agents"}, MaxBodyBytes: 16 << 10, BodyReadTimeout: readAlready,
	}, s.certify)
}

// NodeInput is a request about one Node.
type NodeInput struct {
	Node string `path:"node" maxLength:"40" doc:"The node's name"`
}

func (s *server) listNodes(ctx context.Context, input *struct {
	PageInput
	Region string `query:"region" maxLength:"40" doc:"Only those of this region"`
	State  string `query:"state" enum:"pending,online,offline,removed" doc:"Only those in this state"`
	Search string `query:"search" maxLength:"100" doc:"Only those that have this in a text of theirs"`
}) (*body[v1.Page[v1.Node]], error) {
	asked := platform.NodesAsked{Region: input.Region, State: input.State, Search: input.Search}
	nodes, err := s.Platform.Nodes(ctx, actor(ctx), asked, input.page())
	return pageOf(ctx, s, nodes, wireNode, err)
}

func (s *server) addNode(ctx context.Context, input *body[v1.NewNode]) (*body[v1.JoinToken], error) {
	node, token, err := s.Platform.AddNode(ctx, actor(ctx), input.Body.Name, input.Body.Region)
	return answer(ctx, s, v1.JoinToken{Node: wireNode(platform.NodeView{Node: node}), Token: token}, err)
}

func (s *server) getNode(ctx context.Context, input *NodeInput) (*tagged[v1.Node], error) {
	node, err := s.Platform.Node(ctx, actor(ctx), input.Node)
	return revised(ctx, s, wireNode(node), node.Revision(), err)
}

func (s *server) changeNode(ctx context.Context, input *struct {
	NodeInput
	IfMatchInput
	Body v1.NodeChange
}) (*tagged[v1.Node], error) {
	node, err := s.Platform.ChangeNode(ctx, actor(ctx), input.Node, input.revision(), platform.NodeChange(input.Body))
	return revised(ctx, s, wireNode(node), node.Revision(), err)
}

func (s *server) rejoinNode(ctx context.Context, input *NodeInput) (*body[v1.JoinToken], error) {
	node, token, err := s.Platform.RejoinNode(ctx, actor(ctx), input.Node)
	return answer(ctx, s, v1.JoinToken{Node: wireNode(platform.NodeView{Node: node}), Token: token}, err)
}

func (s *server) drainNode(ctx context.Context, input *NodeInput) (*body[v1.Outcome], error) {
	told := &story{}
	return told.answer(ctx, s, "", s.Platform.DrainNode(ctx, actor(ctx), input.Node, told))
}

func (s *server) removeNode(ctx context.Context, input *NodeInput) (*struct{}, error) {
	return s.done(ctx, s.Platform.RemoveNode(ctx, actor(ctx), input.Node))
}

func (s *server) join(ctx context.Context, input *body[v1.Join]) (*body[v1.Credential], error) {
	node, credential, err := s.Platform.Join(ctx, input.Body.Token)
	return answer(ctx, s, v1.Credential{NodeID: node.ID.String(), Token: credential}, err)
}

func (s *server) renew(ctx context.Context, input *struct {
	Authorization string `header:"Authorization" doc:"Bearer and the agent's credential"`
}) (*body[v1.Credential], error) {
	node, credential, err := s.Platform.RenewAgent(ctx, input.Authorization)
	return answer(ctx, s, v1.Credential{NodeID: node.String(), Token: credential}, err)
}

func wireNode(node platform.NodeView) v1.Node {
	return v1.Node{
		ID: node.ID.String(), Name: node.Name, State: string(node.State), Region: node.Region, Cordoned: node.Cordoned,
		EngineVersion: node.EngineVersion, AgentVersion: node.AgentVersion, CPUs: node.CPUs, MemoryBytes: node.MemoryBytes,
		DiskBytes: node.DiskBytes, Builds: node.Builds, SeenAt: node.SeenAt, CPUPercent: node.CPUPercent, MemoryUsedBytes: node.MemoryUsedBytes,
		DiskUsedBytes: node.DiskUsedBytes, Containers: node.Containers, Instances: node.Instances,
		ReservedMillis: node.ReservedMillis, ReservedBytes: node.ReservedBytes,
	}
}

func (s *server) certify(ctx context.Context, input *struct {
	Authorization string `header:"Authorization" maxLength:"4096" doc:"The agent's credential"`
	Body          v1.CertificateRequest
}) (*body[v1.Certificate], error) {
	certificate, authority, err := s.Platform.CertifyNode(ctx, input.Authorization, input.Body.Request)
	return answer(ctx, s, v1.Certificate{Certificate: certificate, Authority: authority}, err)
}
