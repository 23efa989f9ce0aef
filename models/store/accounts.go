package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
)

// CreateUser inserts user; a taken name is a Conflict.
func (s *Store) CreateUser(ctx context.Context, user *models.User) error {
	return s.create(ctx, user, "user "+user.Name)
}

// User returns the User with this id.
func (s *Store) User(ctx context.Context, id models.ID) (models.User, error) {
	return first[models.User](s.reader(ctx).Where("id = ?", id), "user")
}

// HasUsers reports whether anybody exists yet.
func (s *Store) HasUsers(ctx context.Context) (bool, error) {
	var count int64
	if err := s.reader(ctx).Model(&models.User{}).Count(&count).Error; err != nil {
		return false, fmt.Errorf("count users: %w", err)
	}
	return count > 0, nil
}

// CreateToken inserts token.
func (s *Store) CreateToken(ctx context.Context, token *models.Token) error {
	return s.create(ctx, token, "token "+token.Name)
}

// TokenByHash returns the Token whose text has this SHA-256.
func (s *Store) TokenByHash(ctx context.Context, hash []byte) (models.Token, error) {
	return first[models.Token](s.reader(ctx).Where("hash = ?", hash), "token")
}

// CreateKey inserts key; a fingerprint that anybody has, or a name that the
// User has, is a Conflict.
func (s *Store) CreateKey(ctx context.Context, key *models.Key) error {
	return s.create(ctx, key, "key "+key.Name)
}

// Keys returns the User's keys by name.
func (s *Store) Keys(ctx context.Context, user models.ID) ([]models.Key, error) {
	return all[models.Key](s.reader(ctx).Where("user_id = ?", user).Order("name"), "keys")
}

// KeyByFingerprint returns the Key with this fingerprint.
func (s *Store) KeyByFingerprint(ctx context.Context, fingerprint string) (models.Key, error) {
	return first[models.Key](s.reader(ctx).Where("fingerprint = ?", fingerprint), "key")
}

// DeleteKey removes the User's key that has this name or fingerprint.
func (s *Store) DeleteKey(ctx context.Context, user models.ID, name string) error {
	result := s.writer(ctx).Where("user_id = ? AND (name = ? OR fingerprint = ?)", user, name, name).Delete(&models.Key{})
	if result.Error != nil {
		return fmt.Errorf("delete key: %w", result.Error)
	}
	if result.RowsAffected == 0 {
		return models.Errorf(models.NotFound, "no key named %q", name)
	}
	return nil
}

// AppendEvent records an audit fact.
func (s *Store) AppendEvent(ctx context.Context, event *models.Event) error {
	return s.create(ctx, event, "event")
}

// Events returns the App's newest Events, newest first.
func (s *Store) Events(ctx context.Context, app models.ID, limit int) ([]models.Event, error) {
	return all[models.Event](s.reader(ctx).Where("app_id = ?", app).Order("id DESC").Limit(limit), "events")
}
