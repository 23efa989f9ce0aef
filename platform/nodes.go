package platform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
	"github.com/skypanel/sky/scheduler"
)

const (
	agentIssuer   = "sky"
	agentAudience = "sky-agent"
	// AgentTokenLife is how long an agent's credential is good for.
	AgentTokenLife = 24 * time.Hour
	joinTokenLife  = time.Hour
	defaultRegion  = "default"
)

// EnsureNode returns the Node of this name and makes it where there is none.
func (p *Platform) EnsureNode(ctx context.Context, name string) (models.Node, error) {
	node, err := p.Store.NodeByName(ctx, name)
	if !models.IsCode(err, models.NotFound) {
		return node, err
	}
	node = models.Node{ID: models.NewID(), Name: name, State: models.NodePending, Region: defaultRegion, CreatedAt: now()}
	return node, p.Store.CreateNode(ctx, &node)
}

// AddNode makes a Node and returns the single-use token that registers its
// agent.
func (p *Platform) AddNode(ctx context.Context, actor models.Actor, name string) (models.Node, string, error) {
	if err := permitPlatform(actor); err != nil {
		return models.Node{}, "", err
	}
	if err := models.CheckAppName(name); err != nil {
		return models.Node{}, "", models.Errorf(models.Invalid, "node name %q is not allowed", narrative.Clean(name)).WithField("name").
			WithRemedy("use lower-case letters, digits and dashes")
	}
	token := newToken()
	expires := now().Add(joinTokenLife)
	node := models.Node{
		ID: models.NewID(), Name: name, State: models.NodePending, Region: defaultRegion, JoinHash: hashToken(token),
		JoinExpiresAt: &expires, CreatedAt: now(),
	}
	err := p.commit(ctx, actor, fact{kind: "node.add", detail: name}, func(tx *store.Store) error { return tx.CreateNode(ctx, &node) })
	return node, token, err
}

// Nodes lists all Nodes, for an admin.
func (p *Platform) Nodes(ctx context.Context, actor models.Actor) ([]models.Node, error) {
	if err := permitPlatform(actor); err != nil {
		return nil, err
	}
	return p.Store.Nodes(ctx)
}

// Join exchanges a join token for its Node's first credential. The token is
// spent by it.
func (p *Platform) Join(ctx context.Context, token string) (models.Node, string, error) {
	refused := models.Errorf(models.Unauthorized, "the join token is not valid, was used, or has expired").
		WithRemedy("an admin makes another with `sky admin node-add NAME`")
	node, err := p.Store.NodeByJoin(ctx, hashToken(token))
	if models.IsCode(err, models.NotFound) {
		return models.Node{}, "", refused
	}
	if err != nil {
		return models.Node{}, "", err
	}
	_, err = p.Store.UpdateNode(ctx, node.ID, func(node *models.Node) error {
		if len(node.JoinHash) == 0 || node.JoinExpiresAt == nil || node.JoinExpiresAt.Before(time.Now()) {
			return refused
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

// AgentToken makes a credential for the Node's agent.
func (p *Platform) AgentToken(node models.ID) (string, error) {
	key, err := p.Vault.Derive("agent credentials")
	if err != nil {
		return "", err
	}
	claims := jwt.RegisteredClaims{
		Issuer: agentIssuer, Audience: jwt.ClaimStrings{agentAudience}, Subject: node.String(),
		IssuedAt: jwt.NewNumericDate(time.Now()), ExpiresAt: jwt.NewNumericDate(time.Now().Add(AgentTokenLife)),
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(key)
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
	key, err := p.Vault.Derive("agent credentials")
	if err != nil {
		return models.ID{}, err
	}
	claims := jwt.RegisteredClaims{}
	_, err = jwt.ParseWithClaims(text, &claims, func(*jwt.Token) (any, error) { return key, nil },
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

// Apply implements rollout.Store.
func (p *Platform) Apply(ctx context.Context, change rollout.Change) (map[models.ID]uint64, error) {
	generations := map[models.ID]uint64{}
	err := p.Store.Transact(ctx, func(tx *store.Store) error {
		remove := make([]models.ID, 0, len(change.Remove))
		for _, instance := range change.Remove {
			remove = append(remove, instance.ID)
		}
		if err := p.givePlan(ctx, tx, change); err != nil {
			return err
		}
		if err := tx.ChangeInstances(ctx, change.Add, remove); err != nil {
			return err
		}
		if err := tx.CloseUsage(ctx, remove, now()); err != nil {
			return err
		}
		if change.Live != nil {
			if _, err := tx.UpdateApp(ctx, change.App, func(app *models.App) error {
				app.LiveReleaseID, app.UpdatedAt = change.Live, now()
				app.Stopped = app.Stopped && !change.Running
				return nil
			}); err != nil {
				return err
			}
		}
		return p.bump(ctx, tx, change, generations)
	})
	return generations, err
}

// givePlan lets new Instances start with the plan that their App has now.
func (p *Platform) givePlan(ctx context.Context, tx *store.Store, change rollout.Change) error {
	if len(change.Add) == 0 {
		return nil
	}
	app, err := tx.App(ctx, change.App)
	for i := range change.Add {
		change.Add[i].PlanID = app.PlanID
	}
	return err
}

// bump counts a new generation for every node: each of them routes every App.
func (p *Platform) bump(ctx context.Context, tx *store.Store, change rollout.Change, generations map[models.ID]uint64) error {
	nodes, err := tx.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		if node.State == models.NodeRemoved {
			continue
		}
		if generations[node.ID], err = tx.NextGeneration(ctx, node.ID); err != nil {
			return err
		}
	}
	return nil
}

// change applies a Change and lets the agents know.
func (p *Platform) change(ctx context.Context, change rollout.Change) error {
	generations, err := p.Apply(ctx, change)
	for node := range generations {
		p.Fleet.Refresh(node)
	}
	return err
}

// refreshAll gives every node a new generation.
func (p *Platform) refreshAll(ctx context.Context) {
	if err := p.change(ctx, rollout.Change{}); err != nil {
		p.Log.Error("refresh assignments", "error", err)
	}
}

// Instances implements rollout.Store.
func (p *Platform) Instances(ctx context.Context, app models.ID) ([]models.Instance, error) {
	return p.Store.Instances(ctx, app)
}

// Candidates implements rollout.Store: the Nodes that may get Instances. Right
// after Sky's start no agent has come yet, so it waits for one for a while.
func (p *Platform) Candidates(ctx context.Context, app models.ID) ([]scheduler.Node, error) {
	nodes, err := p.onlineNodes(ctx)
	if err != nil {
		return nil, err
	}
	candidates := make([]scheduler.Node, 0, len(nodes))
	for _, node := range nodes {
		instances, err := p.Store.InstancesOnNode(ctx, node.ID)
		if err != nil {
			return nil, err
		}
		ofApp := slices.DeleteFunc(slices.Clone(instances), func(i models.Instance) bool { return i.AppID != app })
		candidates = append(candidates, scheduler.Node{ID: node.ID, Instances: len(instances), OfApp: len(ofApp)})
	}
	return candidates, nil
}

func (p *Platform) onlineNodes(ctx context.Context) ([]models.Node, error) {
	const patience = 30 * time.Second
	nodes, err := p.Store.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	var online []models.Node
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = p.Fleet.Wait(limited, func(view rollout.View) (bool, error) {
		online = slices.DeleteFunc(slices.Clone(nodes), func(node models.Node) bool {
			closed := node.Cordoned || node.State == models.NodeRemoved
			return closed || !view.Online(node.ID)
		})
		return len(online) > 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return online, nil
}

// Online implements fleet.Nodes.
func (p *Platform) Online(ctx context.Context, node models.ID, hello protocol.Hello) {
	p.noteNode(ctx, node, map[string]any{
		"state": models.NodeOnline, "engine_version": hello.EngineVersion, "agent_version": hello.AgentVersion,
		"cpus": hello.CPUs, "memory_bytes": hello.MemoryBytes, "seen_at": now(),
	})
}

// Heartbeat implements fleet.Nodes.
func (p *Platform) Heartbeat(ctx context.Context, node models.ID, beat protocol.Heartbeat) {
	p.noteNode(ctx, node, map[string]any{
		"cpu_percent": int(beat.CPUPercent), "memory_used_bytes": beat.MemoryUsed, "disk_used_bytes": beat.DiskUsed,
		"disk_bytes": beat.DiskTotal, "containers": beat.Containers, "seen_at": now(),
	})
}

// Offline implements fleet.Nodes.
func (p *Platform) Offline(ctx context.Context, node models.ID) {
	row, err := p.Store.Node(ctx, node)
	if err == nil && row.State == models.NodeOnline {
		p.noteNode(ctx, node, map[string]any{"state": models.NodeOffline})
	}
}

func (p *Platform) noteNode(ctx context.Context, node models.ID, columns map[string]any) {
	err := p.Store.NoteNode(context.WithoutCancel(ctx), node, columns)
	if err != nil && !errors.Is(err, context.Canceled) {
		p.Log.Warn("update node", "node", node, "error", err)
	}
}
