package store

import (
	"context"
	"fmt"
	"strings"
	"time"

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

// UserByLogin returns the User with this name or e-mail address.
func (s *Store) UserByLogin(ctx context.Context, login string) (models.User, error) {
	return first[models.User](s.reader(ctx).Where("name = ? OR email = ?", login, strings.ToLower(login)), "user")
}

// UsersByID returns the Users with these ids.
func (s *Store) UsersByID(ctx context.Context, ids []models.ID) (map[models.ID]models.User, error) {
	rows, err := all[models.User](s.reader(ctx).Where("id IN ?", ids), "users")
	return byID(rows, func(row models.User) models.ID { return row.ID }), err
}

// UserFilter narrows a list of Users.
type UserFilter struct {
	Admin, Disabled *bool
	Search          string
}

// Users returns a page of Users.
func (s *Store) Users(ctx context.Context, filter UserFilter, ask models.PageRequest) (models.Page[models.User], error) {
	query := containing(s.reader(ctx), filter.Search, "name", "email")
	if filter.Admin != nil {
		query = query.Where("admin = ?", *filter.Admin)
	}
	if filter.Disabled != nil {
		query = query.Where("disabled = ?", *filter.Disabled)
	}
	return page[models.User](query, ask, "users", "name", "created_at")
}

// UpdateUser reads the User for update, lets change edit it and writes it back,
// in one transaction.
func (s *Store) UpdateUser(ctx context.Context, id models.ID, change func(*models.User) error) (models.User, error) {
	return update(ctx, s, id, "user", change)
}

// TakeClaimedEmail takes an address from the User who has it without having
// proven it, unless that is the one with this id.
func (s *Store) TakeClaimedEmail(ctx context.Context, email string, from models.ID) error {
	result := s.writer(ctx).Model(&models.User{}).
		Where("email = ? AND email_proven = ? AND id <> ?", strings.ToLower(email), false, from).Update("email", nil)
	if result.Error != nil {
		return fmt.Errorf("take e-mail address: %w", result.Error)
	}
	return nil
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

// EventFilter narrows a list of Events.
type EventFilter struct {
	Organisation *models.ID
	App          *models.ID
	Actor        string
	Kind         string // a kind, or the part of it before the dot
	Search       string
	After        *models.ID // only those that came later than this one
	Since, Until *time.Time
}

// Events returns a page of Events, by default the newest first.
func (s *Store) Events(ctx context.Context, filter EventFilter, ask models.PageRequest) (models.Page[models.Event], error) {
	query := containing(s.reader(ctx), filter.Search, "detail", "kind", "actor")
	if filter.Organisation != nil {
		query = query.Where("organisation_id = ?", *filter.Organisation)
	}
	if filter.App != nil {
		query = query.Where("app_id = ?", *filter.App)
	}
	if filter.Actor != "" {
		query = query.Where("actor = ?", filter.Actor)
	}
	if filter.Kind != "" {
		query = query.Where("(kind = ? OR kind LIKE ?)", filter.Kind, strings.ReplaceAll(filter.Kind, "%", "")+".%")
	}
	if filter.After != nil {
		query = query.Where("id > ?", *filter.After)
	}
	if filter.Since != nil {
		query = query.Where("created_at >= ?", *filter.Since)
	}
	if filter.Until != nil {
		query = query.Where("created_at < ?", *filter.Until)
	}
	return page[models.Event](query, ask, "events", "-id")
}
