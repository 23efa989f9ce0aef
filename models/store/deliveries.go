package store

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// AddDelivery inserts the delivery and reports whether it is new. One that came
// before only counts the repetition.
func (s *Store) AddDelivery(ctx context.Context, delivery *models.WebhookDelivery) (fresh bool, err error) {
	inserted := s.writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(delivery)
	if inserted.Error != nil {
		return false, fmt.Errorf("keep delivery: %w", inserted.Error)
	}
	if inserted.RowsAffected > 0 {
		return true, nil
	}
	again := s.writer(ctx).Model(&models.WebhookDelivery{}).
		Where("provider = ? AND scope = ? AND delivery = ?", delivery.Provider, delivery.Scope, delivery.Delivery).
		Update("repeats", gorm.Expr("repeats + 1"))
	if again.Error != nil {
		return false, fmt.Errorf("count delivery: %w", again.Error)
	}
	return false, nil
}

// OpenDeliveries returns deliveries of an App of which nothing was decided yet,
// the oldest first, without their bodies.
func (s *Store) OpenDeliveries(ctx context.Context, app models.ID, limit int) ([]models.WebhookDelivery, error) {
	query := s.reader(ctx).Omit("body").Where("app_id = ? AND state = ?", app, models.DeliveryReceived)
	return all[models.WebhookDelivery](query.Order("id").Limit(limit), "deliveries")
}

// DeliveryFilter narrows a list of deliveries; nil is any App.
type DeliveryFilter struct {
	App     *models.ID
	State   models.DeliveryState
	Outcome models.Outcome
	Event   string
}

// Deliveries returns a page of deliveries, by default the newest first, without
// their bodies.
func (s *Store) Deliveries(ctx context.Context, filter DeliveryFilter, ask models.PageRequest) (models.Page[models.WebhookDelivery], error) {
	query := s.reader(ctx).Omit("body")
	if filter.App != nil {
		query = query.Where("app_id = ?", *filter.App)
	}
	if filter.State != "" {
		query = query.Where("state = ?", filter.State)
	}
	if filter.Outcome != "" {
		query = query.Where("outcome = ?", filter.Outcome)
	}
	if filter.Event != "" {
		query = query.Where("event = ?", filter.Event)
	}
	return page[models.WebhookDelivery](query, ask, "deliveries", "-id")
}

// Delivery returns the delivery with its body.
func (s *Store) Delivery(ctx context.Context, id models.ID) (models.WebhookDelivery, error) {
	return first[models.WebhookDelivery](s.reader(ctx).Where("id = ?", id), "delivery")
}

// DecideDelivery writes what became of a delivery.
func (s *Store) DecideDelivery(ctx context.Context, delivery models.WebhookDelivery) error {
	row := s.writer(ctx).Model(&models.WebhookDelivery{}).Where("id = ?", delivery.ID)
	err := row.Updates(map[string]any{
		"state": delivery.State, "outcome": delivery.Outcome, "reason": delivery.Reason,
		"build_id": delivery.BuildID, "finished_at": delivery.FinishedAt,
	}).Error
	if err != nil {
		return fmt.Errorf("decide delivery: %w", err)
	}
	return nil
}

// ReopenDelivery has a delivery decided once more.
func (s *Store) ReopenDelivery(ctx context.Context, id models.ID) error {
	row := s.writer(ctx).Model(&models.WebhookDelivery{}).Where("id = ?", id)
	with := map[string]any{"state": models.DeliveryReceived, "finished_at": nil, "outcome": "", "reason": "", "build_id": nil}
	return gone(row.Updates(with), "delivery")
}

// ReopenDeliveryNamed has the delivery with this id of the host's decided once more.
func (s *Store) ReopenDeliveryNamed(ctx context.Context, provider, scope, delivery string) error {
	rows := s.writer(ctx).Model(&models.WebhookDelivery{}).
		Where("provider = ? AND scope = ? AND delivery = ? AND state <> ?", provider, scope, delivery, models.DeliveryReceived)
	with := map[string]any{"state": models.DeliveryReceived, "finished_at": nil, "outcome": "", "reason": "", "build_id": nil}
	if err := rows.Updates(with).Error; err != nil {
		return fmt.Errorf("reopen delivery: %w", err)
	}
	return nil
}

// PruneDeliveries removes what was decided before a time, and what was refused.
func (s *Store) PruneDeliveries(ctx context.Context, before time.Time) error {
	query := s.writer(ctx).Where("id < ? AND state <> ?", models.FirstID(before), models.DeliveryReceived)
	if err := query.Delete(&models.WebhookDelivery{}).Error; err != nil {
		return fmt.Errorf("prune deliveries: %w", err)
	}
	return nil
}
