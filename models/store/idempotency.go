package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
)

// CreateIdempotencyKey inserts the key; one that its User has is a Conflict.
func (s *Store) CreateIdempotencyKey(ctx context.Context, key *models.IdempotencyKey) error {
	return s.create(ctx, key, "the key")
}

// IdempotencyKey returns the User's key.
func (s *Store) IdempotencyKey(ctx context.Context, user models.ID, key string) (models.IdempotencyKey, error) {
	return first[models.IdempotencyKey](s.reader(ctx).Where("user_id = ? AND key = ?", user, key), "idempotency key")
}

// FinishIdempotencyKey keeps the answer to the first request with the key.
func (s *Store) FinishIdempotencyKey(ctx context.Context, key models.IdempotencyKey) error {
	row := s.writer(ctx).Model(&models.IdempotencyKey{}).Where("id = ?", key.ID)
	answer := map[string]any{"status": key.Status, "content_type": key.ContentType, "answer": key.Answer}
	if err := row.Updates(answer).Error; err != nil {
		return fmt.Errorf("keep the answer: %w", err)
	}
	return nil
}

// DeleteIdempotencyKey forgets the key; one that is not there is fine.
func (s *Store) DeleteIdempotencyKey(ctx context.Context, id models.ID) error {
	if err := s.writer(ctx).Where("id = ?", id).Delete(&models.IdempotencyKey{}).Error; err != nil {
		return fmt.Errorf("forget the key: %w", err)
	}
	return nil
}
