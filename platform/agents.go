package platform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	agentIssuer   = "sky"
	agentAudience = "sky-agent"
	// agentKeys is what the keys that sign credentials are derived for.
	agentKeys = "agent credentials"
	// AgentTokenLife is how long an agent's credential is good for.
	AgentTokenLife = 24 * time.Hour
)

// Join exchanges a join token for its Node's first credential. The token is
// spent by it.
func (p *Platform) Join(ctx context.Context, token string) (models.Node, string, error) {
	node, err := p.joining(ctx, token)
	if err != nil {
		return models.Node{}, "", err
	}
	_, err = p.Store.UpdateNode(ctx, node.ID, func(node *models.Node) error {
		if joinSpent(*node) {
			return errJoin
		}
		node.JoinHash, node.JoinExpiresAt = nil, nil
		return nil
	})
	if err != nil {
		return models.Node{}, "", err
	}
	credential, err := p.AgentToken(node.ID)
	return node, credential, err
}

// CheckJoin refuses a token that registers no node, and spends none.
func (p *Platform) CheckJoin(ctx context.Context, token string) error {
	_, err := p.joining(ctx, token)
	return err
}

var errJoin = models.Errorf(models.Unauthorized, "the join token is not valid, was used, or has expired").
	WithRemedy("an admin makes another with `sky admin nodes add NAME`, or `sky admin nodes rejoin NAME`")

// joining finds the Node that a join token registers.
func (p *Platform) joining(ctx context.Context, token string) (models.Node, error) {
	secret, _ := protocol.SplitJoinToken(token)
	node, err := p.Store.NodeByJoin(ctx, hashToken(secret))
	if models.IsCode(err, models.NotFound) || (err == nil && joinSpent(node)) {
		return models.Node{}, errJoin
	}
	return node, err
}

func joinSpent(node models.Node) bool {
	return len(node.JoinHash) == 0 || node.JoinExpiresAt == nil || node.JoinExpiresAt.Before(time.Now())
}

// AgentToken makes a credential for the Node's agent.
func (p *Platform) AgentToken(node models.ID) (string, error) {
	return p.agentToken(node, time.Now())
}

func (p *Platform) agentToken(node models.ID, at time.Time) (string, error) {
	keys, err := p.Vault.derived(agentKeys)
	if err != nil {
		return "", err
	}
	claims := jwt.RegisteredClaims{
		Issuer: agentIssuer, Audience: jwt.ClaimStrings{agentAudience}, Subject: node.String(),
		IssuedAt: jwt.NewNumericDate(at), ExpiresAt: jwt.NewNumericDate(at.Add(AgentTokenLife)),
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(keys[0])
	if err != nil {
		return "", fmt.Errorf("sign agent credential: %w", err)
	}
	return signed, nil
}

// AuthenticateAgent returns the Node whose agent sent an Authorization header.
func (p *Platform) AuthenticateAgent(ctx context.Context, authorization string) (models.ID, error) {
	refused := models.Errorf(models.Unauthorized, "the agent's credential is not valid")
	text, ok := strings.CutPrefix(authorization, "Bearer ")
	if !ok {
		return models.ID{}, refused
	}
	keys, err := p.Vault.derived(agentKeys)
	if err != nil {
		return models.ID{}, err
	}
	set := jwt.VerificationKeySet{}
	for _, key := range keys {
		set.Keys = append(set.Keys, key)
	}
	claims := jwt.RegisteredClaims{}
	_, err = jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return set, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithIssuer(agentIssuer),
		jwt.WithAudience(agentAudience), jwt.WithExpirationRequired())
	if err != nil {
		return models.ID{}, refused
	}
	id, err := models.ParseID(claims.Subject)
	if err != nil {
		return models.ID{}, refused
	}
	node, err := p.Store.Node(ctx, id)
	if models.IsCode(err, models.NotFound) || (err == nil && node.State == models.NodeRemoved) {
		return models.ID{}, refused
	}
	return id, err
}

// RenewAgent exchanges an agent's credential for a fresh one.
func (p *Platform) RenewAgent(ctx context.Context, authorization string) (models.ID, string, error) {
	node, err := p.AuthenticateAgent(ctx, authorization)
	if err != nil {
		return models.ID{}, "", err
	}
	credential, err := p.AgentToken(node)
	return node, credential, err
}

// Online implements fleet.Nodes.
func (p *Platform) Online(ctx context.Context, node models.ID, hello protocol.Hello) {
	p.comesBack(ctx, node)
	p.noteNode(ctx, node, map[string]any{
		"state": models.NodeOnline, "offline_since": nil, "lost_at": nil, "engine_version": hello.EngineVersion, "agent_version": hello.AgentVersion,
		"cpus": hello.CPUs, "memory_bytes": hello.MemoryBytes, "peer_address": hello.Peer, "ingress_address": hello.Ingress, "builds": hello.Builds, "seen_at": now(),
	})
	p.refreshPeers(ctx, node, hello.Peer)
}

// refreshPeers tells every node where a node is reached now, when that is news.
func (p *Platform) refreshPeers(ctx context.Context, node models.ID, address string) {
	if former, known := p.peerAddresses.Swap(node, address); (!known && address == "") || former == address {
		return
	}
	p.refreshAll(ctx)
}

// IngressAddress returns where some node that is online takes requests; empty where
// none does.
func (p *Platform) IngressAddress() string {
	nodes, err := p.Store.Nodes(p.ctx)
	if err != nil {
		p.Log.Warn("find an ingress", "error", err)
		return ""
	}
	for _, node := range nodes {
		if node.State == models.NodeOnline && node.IngressAddress != "" {
			return node.IngressAddress
		}
	}
	return ""
}

// Offline implements fleet.Nodes.
func (p *Platform) Offline(ctx context.Context, id models.ID) {
	p.loads.forget(id)
	p.recorder.Silent(id)
	ctx = context.WithoutCancel(ctx)
	node, err := p.Store.Node(ctx, id)
	if err == nil {
		at := now()
		what := notice{
			kind: "node.offline", ref: node.Name + " " + at.Format(time.RFC3339Nano),
			text: "The node " + node.Name + " is offline. What it runs is replaced elsewhere when it stays so.",
		}
		err = p.alertIf(ctx, what, func(tx *store.Store) (bool, error) { return tx.NodeOffline(ctx, id, at) })
	}
	if err != nil && !models.IsCode(err, models.NotFound) {
		p.Log.Warn("note that a node is offline", "node", id, "error", err)
	}
}

func (p *Platform) noteNode(ctx context.Context, node models.ID, columns map[string]any) {
	err := p.Store.NoteNode(context.WithoutCancel(ctx), node, columns)
	if err != nil && !errors.Is(err, context.Canceled) {
		p.Log.Warn("update node", "node", node, "error", err)
	}
}
