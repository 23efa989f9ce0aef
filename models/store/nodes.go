package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// CreateNode inserts node; a taken name is a Conflict.
func (s *Store) CreateNode(ctx context.Context, node *models.Node) error {
	return s.create(ctx, node, "node "+node.Name)
}

// Node returns the Node with this id.
func (s *Store) Node(ctx context.Context, id models.ID) (models.Node, error) {
	return first[models.Node](s.reader(ctx).Where("id = ?", id), "node")
}

// NodeByName returns the Node with this name.
func (s *Store) NodeByName(ctx context.Context, name string) (models.Node, error) {
	return first[models.Node](s.reader(ctx).Where("name = ?", name), "node")
}

// NodeByJoin returns the Node that the unused join token with this SHA-256
// registers.
func (s *Store) NodeByJoin(ctx context.Context, hash []byte) (models.Node, error) {
	return first[models.Node](s.reader(ctx).Where("join_hash = ?", hash), "node")
}

// Nodes returns all Nodes by name.
func (s *Store) Nodes(ctx context.Context) ([]models.Node, error) {
	return all[models.Node](s.reader(ctx).Order("name"), "nodes")
}

// ReachedNodes returns the id and the PeerAddress of the Nodes that take requests of
// others, by name.
func (s *Store) ReachedNodes(ctx context.Context) ([]models.Node, error) {
	query := s.reader(ctx).Select("id", "peer_address").Where("peer_address <> '' AND state <> ?", models.NodeRemoved)
	return all[models.Node](query.Order("name"), "nodes")
}

// AnyOnline reports whether some Node is online.
func (s *Store) AnyOnline(ctx context.Context) (bool, error) {
	var online []models.ID
	if err := s.reader(ctx).Model(&models.Node{}).Where("state = ?", models.NodeOnline).Limit(1).Pluck("id", &online).Error; err != nil {
		return false, fmt.Errorf("look for a node that is online: %w", err)
	}
	return len(online) > 0, nil
}

// NodeFilter narrows a list of Nodes.
type NodeFilter struct {
	Region string
	State  string
	Search string
}

// NodePage returns a page of Nodes.
func (s *Store) NodePage(ctx context.Context, filter NodeFilter, ask models.PageRequest) (models.Page[models.Node], error) {
	query := containing(s.reader(ctx), filter.Search, "name", "region")
	if filter.Region != "" {
		query = query.Where("region = ?", filter.Region)
	}
	if filter.State != "" {
		query = query.Where("state = ?", filter.State)
	}
	return page[models.Node](query, ask, "nodes", "name", "created_at", "region", "state")
}

// Reservation is what a Node has promised to the Instances on it.
type Reservation struct {
	NodeID      models.ID
	Instances   int
	CPUMillis   int64
	MemoryBytes int64
}

// Reserved adds up by Node what the plans of its Instances promise.
func (s *Store) Reserved(ctx context.Context) (map[models.ID]Reservation, error) {
	return s.reservations(s.reader(ctx))
}

// ReservedOn is Reserved for these Nodes only.
func (s *Store) ReservedOn(ctx context.Context, nodes []models.ID) (map[models.ID]Reservation, error) {
	return s.reservations(s.reader(ctx).Where("i.node_id IN ?", nodes))
}

func (s *Store) reservations(query *gorm.DB) (map[models.ID]Reservation, error) {
	var rows []Reservation
	err := query.Table("paas_instances AS i").Joins("LEFT JOIN paas_plans AS p ON p.id = i.plan_id").Group("i.node_id").
		Select("i.node_id, COUNT(*) AS instances, CAST(SUM(COALESCE(p.cpu_millis, ?)) AS BIGINT) AS cpu_millis, "+
			"CAST(SUM(COALESCE(p.memory_bytes, ?)) AS BIGINT) AS memory_bytes", models.PlanlessCPUMillis, models.PlanlessMemoryBytes).
		Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("add up reservations: %w", err)
	}
	return byID(rows, func(row Reservation) models.ID { return row.NodeID }), nil
}

// LockNodes returns all Nodes and keeps other transactions from changing them,
// and from placing Instances, until this one ends. Nodes are locked in the order
// in which assignments are numbered.
func (s *Store) LockNodes(ctx context.Context) (map[models.ID]models.Node, error) {
	rows, err := all[models.Node](forUpdate(s.writer(ctx)).Order("name"), "nodes")
	return byID(rows, func(row models.Node) models.ID { return row.ID }), err
}

// DeleteNode removes a Node. One that is to run Instances is a Conflict.
func (s *Store) DeleteNode(ctx context.Context, id models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		for noun, table := range map[string]any{"instances": &models.Instance{}, "databases": &models.Database{}} {
			left, err := count(tx.writer(ctx).Model(table).Where("node_id = ?", id), noun)
			if err != nil {
				return err
			}
			if left > 0 {
				return models.Errorf(models.Conflict, "the node still runs %d %s", left, noun).WithRemedy("drain it first")
			}
		}
		return gone(tx.writer(ctx).Where("id = ?", id).Delete(&models.Node{}), "node")
	})
}

// UpdateNode reads the Node for update, lets change edit it and writes it back,
// in one transaction.
func (s *Store) UpdateNode(ctx context.Context, id models.ID, change func(*models.Node) error) (models.Node, error) {
	return update(ctx, s, id, "node", change)
}

// NoteNode writes columns of the Node that say how it is, without making it
// another version of what an admin edits.
func (s *Store) NoteNode(ctx context.Context, id models.ID, columns map[string]any) error {
	if err := s.writer(ctx).Model(&models.Node{}).Where("id = ?", id).UpdateColumns(columns).Error; err != nil {
		return fmt.Errorf("note how the node is: %w", err)
	}
	return nil
}

// NodeNote is what to write of a Node with NoteNode.
type NodeNote struct {
	ID      models.ID
	Columns map[string]any
}

// NoteNodes is NoteNode for many, some hundreds in a transaction: others write
// between them.
func (s *Store) NoteNodes(ctx context.Context, notes []NodeNote) error {
	for some := range slices.Chunk(notes, 500) {
		err := s.Transact(ctx, func(tx *Store) error {
			for _, note := range some {
				if err := tx.NoteNode(ctx, note.ID, note.Columns); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// NodeOffline notes that an online Node is offline since a time, and reports
// whether it was online.
func (s *Store) NodeOffline(ctx context.Context, id models.ID, at time.Time) (bool, error) {
	query := s.writer(ctx).Model(&models.Node{}).Where("id = ? AND state = ?", id, models.NodeOnline)
	return marked(query.UpdateColumns(map[string]any{"state": models.NodeOffline, "offline_since": at}))
}

// NodeLost notes that an offline Node is lost since a time, and reports whether it
// was not yet.
func (s *Store) NodeLost(ctx context.Context, id models.ID, at time.Time) (bool, error) {
	query := s.writer(ctx).Model(&models.Node{}).Where("id = ? AND state = ? AND lost_at IS NULL", id, models.NodeOffline)
	return marked(query.UpdateColumns(map[string]any{"lost_at": at}))
}

func marked(result *gorm.DB) (bool, error) {
	if result.Error != nil {
		return false, fmt.Errorf("note how the node is: %w", result.Error)
	}
	return result.RowsAffected > 0, nil
}

// NextGenerations counts a new Assignment for each of the Nodes, or for every one where
// none is named, and returns their numbers. It locks them in the order of LockNodes, for
// a transaction that must not wait for another that waits for it.
func (s *Store) NextGenerations(ctx context.Context, nodes ...models.ID) (map[models.ID]uint64, error) {
	var rows []struct {
		ID         models.ID
		Generation uint64
	}
	err := s.Transact(ctx, func(tx *Store) error {
		var locked []models.ID
		inOrder := forUpdate(tx.writer(ctx).Model(&models.Node{})).Order("name")
		which, arguments := "", []any{models.NodeRemoved}
		if len(nodes) > 0 {
			inOrder = inOrder.Where("id IN ?", nodes)
			which, arguments = " AND id IN ?", append(arguments, nodes)
		}
		if err := inOrder.Pluck("id", &locked).Error; err != nil {
			return err
		}
		counted := "UPDATE paas_nodes SET generation = generation + 1 WHERE state <> ?" + which + " RETURNING id, generation"
		return tx.writer(ctx).Raw(counted, arguments...).Scan(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("count assignments: %w", err)
	}
	generations := make(map[models.ID]uint64, len(rows))
	for _, row := range rows {
		generations[row.ID] = row.Generation
	}
	return generations, nil
}

// ChangeInstances adds and removes rows in one transaction, so that an
// Assignment never shows half of a rollout's step.
func (s *Store) ChangeInstances(ctx context.Context, add []models.Instance, remove []models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		if len(remove) > 0 {
			if err := tx.writer(ctx).Where("id IN ?", remove).Delete(&models.Instance{}).Error; err != nil {
				return fmt.Errorf("remove instances: %w", err)
			}
		}
		if len(add) == 0 {
			return nil
		}
		return tx.create(ctx, &add, "instance")
	})
}

// Instances returns the App's wanted Instances, oldest first.
func (s *Store) Instances(ctx context.Context, app models.ID) ([]models.Instance, error) {
	return all[models.Instance](s.reader(ctx).Where("app_id = ?", app).Order("id"), "instances")
}

// InstancesOf returns the wanted Instances of the Apps, oldest first.
func (s *Store) InstancesOf(ctx context.Context, apps []models.ID) ([]models.Instance, error) {
	return all[models.Instance](s.reader(ctx).Where("app_id IN ?", apps).Order("id"), "instances")
}

// LockInstances returns the Instances with these ids that are still wanted, and
// keeps others from letting go of them until the transaction ends. Those that
// somebody is letting go of now are left out.
func (s *Store) LockInstances(ctx context.Context, ids []models.ID) (map[models.ID]models.Instance, error) {
	free := clause.Locking{Strength: "UPDATE", Options: "SKIP LOCKED"}
	rows, err := all[models.Instance](s.writer(ctx).Clauses(free).Where("id IN ?", ids), "instances")
	return byID(rows, func(row models.Instance) models.ID { return row.ID }), err
}

// InstancesOnNode returns the Instances that the Node is to run.
func (s *Store) InstancesOnNode(ctx context.Context, node models.ID) ([]models.Instance, error) {
	return all[models.Instance](s.reader(ctx).Where("node_id = ?", node).Order("id"), "instances")
}

// OneOffs returns what people run besides the Apps' own processes.
func (s *Store) OneOffs(ctx context.Context) ([]models.Instance, error) {
	rows, err := s.ProcessInstances(ctx, models.OneOffProcess)
	return slices.DeleteFunc(rows, func(row models.Instance) bool { return !row.OneOff() }), err
}

// ProcessInstances returns the Instances of a process type, of all Apps.
func (s *Store) ProcessInstances(ctx context.Context, process string) ([]models.Instance, error) {
	return all[models.Instance](s.reader(ctx).Where("process = ?", process).Order("id"), "instances")
}

// ReleasesByID returns the Releases with these ids.
func (s *Store) ReleasesByID(ctx context.Context, ids []models.ID) (map[models.ID]models.Release, error) {
	rows, err := all[models.Release](s.reader(ctx).Where("id IN ?", ids), "releases")
	if err != nil {
		return nil, err
	}
	return byID(rows, func(row models.Release) models.ID { return row.ID }), nil
}

// WasReleased reports whether the App has a Release of this commit.
func (s *Store) WasReleased(ctx context.Context, app models.ID, commit string) (bool, error) {
	var count int64
	if err := s.reader(ctx).Model(&models.Release{}).Where(&models.Release{AppID: app, Commit: commit}).Limit(1).Count(&count).Error; err != nil {
		return false, fmt.Errorf("look for a release of %s: %w", commit, err)
	}
	return count > 0, nil
}
