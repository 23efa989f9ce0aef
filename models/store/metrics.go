package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// metricsBatch is how many rows one statement writes: both engines bound the
// number of its variables.
const metricsBatch = 500

// AddMetrics adds what was measured to what is kept, and moves the marks, in one
// transaction. What is about an App or a Node that was removed is left out.
func (s *Store) AddMetrics(ctx context.Context, measured models.Metrics) error {
	return s.Transact(ctx, func(tx *Store) error {
		apps, err := tx.ids(ctx, &models.App{})
		if err != nil {
			return err
		}
		nodes, err := tx.ids(ctx, &models.Node{})
		if err != nil {
			return err
		}
		traffic := those(measured.Traffic, func(row models.AppTraffic) bool { return apps[row.AppID] })
		if err := addRows(ctx, tx, traffic, trafficRow); err != nil {
			return err
		}
		usage := those(measured.Usage, func(row models.AppUsage) bool { return apps[row.AppID] })
		if err := addRows(ctx, tx, usage, usageRow); err != nil {
			return err
		}
		loads := those(measured.Nodes, func(row models.NodeUsage) bool { return nodes[row.NodeID] })
		if err := addRows(ctx, tx, loads, nodeRow); err != nil {
			return err
		}
		return replaceRows(ctx, tx, those(measured.Marks, func(row models.TrafficMark) bool { return apps[row.AppID] && nodes[row.NodeID] }))
	})
}

// metricRow says of what a row is, in which step, and how another adds to it.
type metricRow[R any, K comparable] struct {
	key    func(R) K
	moment func(R) models.Moment
	add    func(into *R, row R)
}

// process is a process type of an App.
type process struct {
	app  models.ID
	name string
}

var (
	trafficRow = metricRow[models.AppTraffic, models.ID]{
		func(row models.AppTraffic) models.ID { return row.AppID },
		func(row models.AppTraffic) models.Moment { return row.Moment },
		func(into *models.AppTraffic, row models.AppTraffic) { into.Traffic.Add(row.Traffic) },
	}
	usageRow = metricRow[models.AppUsage, process]{
		func(row models.AppUsage) process { return process{row.AppID, row.Process} },
		func(row models.AppUsage) models.Moment { return row.Moment },
		func(into *models.AppUsage, row models.AppUsage) { into.Usage.Add(row.Usage) },
	}
	nodeRow = metricRow[models.NodeUsage, models.ID]{
		func(row models.NodeUsage) models.ID { return row.NodeID },
		func(row models.NodeUsage) models.Moment { return row.Moment },
		func(into *models.NodeUsage, row models.NodeUsage) { into.NodeLoad.Add(row.NodeLoad) },
	}
)

// addRows adds rows to those that the database has of the same steps.
func addRows[R any, K comparable](ctx context.Context, tx *Store, rows []R, of metricRow[R, K]) error {
	moments := map[models.Moment][]R{}
	for _, row := range rows {
		moments[of.moment(row)] = append(moments[of.moment(row)], row)
	}
	for moment, rows := range moments {
		former, err := all[R](tx.writer(ctx).Where("step = ? AND at = ?", moment.Step, moment.At), "metrics")
		if err != nil {
			return err
		}
		sums := map[K]R{}
		for _, row := range former {
			sums[of.key(row)] = row
		}
		changed := map[K]R{}
		for _, row := range rows {
			sum, known := sums[of.key(row)]
			if known {
				of.add(&sum, row)
			} else {
				sum = row
			}
			sums[of.key(row)], changed[of.key(row)] = sum, sum
		}
		if err := replaceRows(ctx, tx, slices.Collect(maps.Values(changed))); err != nil {
			return err
		}
	}
	return nil
}

func replaceRows[R any](ctx context.Context, tx *Store, rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	if err := tx.writer(ctx).Clauses(clause.OnConflict{UpdateAll: true}).CreateInBatches(&rows, metricsBatch).Error; err != nil {
		return fmt.Errorf("keep metrics: %w", err)
	}
	return nil
}

func those[R any](rows []R, keep func(R) bool) []R {
	var left []R
	for _, row := range rows {
		if keep(row) {
			left = append(left, row)
		}
	}
	return left
}

// ids returns the ids of all rows of a model.
func (s *Store) ids(ctx context.Context, model any) (map[models.ID]bool, error) {
	var listed []models.ID
	if err := s.writer(ctx).Model(model).Pluck("id", &listed).Error; err != nil {
		return nil, fmt.Errorf("list ids: %w", err)
	}
	set := make(map[models.ID]bool, len(listed))
	for _, id := range listed {
		set[id] = true
	}
	return set, nil
}

// PruneMetrics removes what is kept in a step from before a time.
func (s *Store) PruneMetrics(ctx context.Context, step time.Duration, before time.Time) error {
	for _, table := range []any{&models.AppTraffic{}, &models.AppUsage{}, &models.NodeUsage{}} {
		old := s.writer(ctx).Where("step = ? AND at < ?", int64(step.Seconds()), before)
		if err := old.Delete(table).Error; err != nil {
			return fmt.Errorf("prune metrics: %w", err)
		}
	}
	return nil
}

// span selects the rows of one step from a time to another.
func (s *Store) span(ctx context.Context, step time.Duration, from, to time.Time) *gorm.DB {
	return s.reader(ctx).Where("step = ? AND at >= ? AND at < ?", int64(step.Seconds()), from, to).Order("at")
}

// AppTraffic returns the App's Traffic, oldest first.
func (s *Store) AppTraffic(ctx context.Context, app models.ID, step time.Duration, from, to time.Time) ([]models.AppTraffic, error) {
	return all[models.AppTraffic](s.span(ctx, step, from, to).Where("app_id = ?", app), "traffic")
}

// AppUsage returns what the App's process types used, oldest first.
func (s *Store) AppUsage(ctx context.Context, app models.ID, step time.Duration, from, to time.Time) ([]models.AppUsage, error) {
	return all[models.AppUsage](s.span(ctx, step, from, to).Where("app_id = ?", app), "usage")
}

// NodeUsage returns what the Node used, oldest first.
func (s *Store) NodeUsage(ctx context.Context, node models.ID, step time.Duration, from, to time.Time) ([]models.NodeUsage, error) {
	return all[models.NodeUsage](s.span(ctx, step, from, to).Where("node_id = ?", node), "usage")
}

// TrafficMarks returns up to where each ingress' counters are kept.
func (s *Store) TrafficMarks(ctx context.Context) ([]models.TrafficMark, error) {
	return all[models.TrafficMark](s.reader(ctx), "traffic marks")
}
