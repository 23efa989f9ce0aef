package store

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
)

// Tokens returns a page of the User's API tokens, by default the newest first.
// With an Organisation it is of those that are limited to it.
func (s *Store) Tokens(ctx context.Context, user models.ID, organisation *models.ID, ask models.PageRequest) (models.Page[models.Token], error) {
	query := s.reader(ctx).Where("user_id = ?", user)
	if organisation != nil {
		query = query.Where("organisation_id = ?", *organisation)
	}
	return page[models.Token](query, ask, "tokens", "-created_at", "name")
}

// Token returns the Token with this id.
func (s *Store) Token(ctx context.Context, id models.ID) (models.Token, error) {
	return first[models.Token](s.reader(ctx).Where("id = ?", id), "token")
}

// CountTokens returns how many API tokens the User has.
func (s *Store) CountTokens(ctx context.Context, user models.ID) (int64, error) {
	return count(s.reader(ctx).Model(&models.Token{}).Where("user_id = ?", user), "tokens")
}

// DeleteToken removes a Token of the User.
func (s *Store) DeleteToken(ctx context.Context, user, id models.ID) error {
	return gone(s.writer(ctx).Where("user_id = ? AND id = ?", user, id).Delete(&models.Token{}), "token")
}

// TouchToken notes that the Token was used, unless that was noted after since.
func (s *Store) TouchToken(ctx context.Context, id models.ID, since, at time.Time) error {
	unused := s.writer(ctx).Model(&models.Token{}).Where("id = ? AND (used_at IS NULL OR used_at < ?)", id, since)
	if err := unused.Update("used_at", at).Error; err != nil {
		return fmt.Errorf("note the token's use: %w", err)
	}
	return nil
}

// CreateSession inserts session.
func (s *Store) CreateSession(ctx context.Context, session *models.Session) error {
	return s.create(ctx, session, "session")
}

// SessionByHash returns the Session whose cookie has this SHA-256.
func (s *Store) SessionByHash(ctx context.Context, hash []byte) (models.Session, error) {
	return first[models.Session](s.reader(ctx).Where("hash = ?", hash), "session")
}

// Session returns the Session with this id.
func (s *Store) Session(ctx context.Context, id models.ID) (models.Session, error) {
	return first[models.Session](s.reader(ctx).Where("id = ?", id), "session")
}

// Sessions returns a page of the User's Sessions that have not expired.
func (s *Store) Sessions(ctx context.Context, user models.ID, at time.Time, ask models.PageRequest) (models.Page[models.Session], error) {
	return page[models.Session](s.reader(ctx).Where("user_id = ? AND expires_at > ?", user, at), ask, "sessions", "-created_at", "seen_at")
}

// TouchSession notes that the Session was seen and lives until expires, unless
// that was noted after since.
func (s *Store) TouchSession(ctx context.Context, id models.ID, since, at, expires time.Time) error {
	unseen := s.writer(ctx).Model(&models.Session{}).Where("id = ? AND seen_at < ?", id, since)
	if err := unseen.Updates(map[string]any{"seen_at": at, "expires_at": expires}).Error; err != nil {
		return fmt.Errorf("note the session's use: %w", err)
	}
	return nil
}

// DeleteSession removes a Session of the User.
func (s *Store) DeleteSession(ctx context.Context, user, id models.ID) error {
	return gone(s.writer(ctx).Where("user_id = ? AND id = ?", user, id).Delete(&models.Session{}), "session")
}

// DeleteSessions removes the User's Sessions, all but the one that is kept.
func (s *Store) DeleteSessions(ctx context.Context, user models.ID, keep *models.ID) error {
	query := s.writer(ctx).Where("user_id = ?", user)
	if keep != nil {
		query = query.Where("id <> ?", *keep)
	}
	if err := query.Delete(&models.Session{}).Error; err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// ReplaceOneTimeToken inserts token in place of those of the same purpose that
// its User has not used.
func (s *Store) ReplaceOneTimeToken(ctx context.Context, token *models.OneTimeToken) error {
	return s.Transact(ctx, func(tx *Store) error {
		former := tx.writer(ctx).Where("user_id = ? AND purpose = ? AND used_at IS NULL", token.UserID, token.Purpose)
		if err := former.Delete(&models.OneTimeToken{}).Error; err != nil {
			return fmt.Errorf("replace one-time token: %w", err)
		}
		return tx.create(ctx, token, "one-time token")
	})
}

// OneTimeToken returns the token whose text has this SHA-256.
func (s *Store) OneTimeToken(ctx context.Context, hash []byte) (models.OneTimeToken, error) {
	return first[models.OneTimeToken](s.reader(ctx).Where("hash = ?", hash), "one-time token")
}

// SpendOneTimeToken marks the token as used. One that was used already is Gone,
// so that of two who use it at once only one can.
func (s *Store) SpendOneTimeToken(ctx context.Context, id models.ID, at time.Time) error {
	spent := s.writer(ctx).Model(&models.OneTimeToken{}).Where("id = ? AND used_at IS NULL", id).Update("used_at", at)
	if spent.Error != nil {
		return fmt.Errorf("spend one-time token: %w", spent.Error)
	}
	if spent.RowsAffected == 0 {
		return models.Errorf(models.Gone, "the link was used already")
	}
	return nil
}

// PurgeAccess removes Sessions and answers to repeated requests that expired
// before at, and one-time tokens that did before spent.
func (s *Store) PurgeAccess(ctx context.Context, at, spent time.Time) error {
	for _, expired := range []struct {
		rows   any
		before time.Time
	}{{&models.Session{}, at}, {&models.IdempotencyKey{}, at}, {&models.OneTimeToken{}, spent}} {
		if err := s.writer(ctx).Where("expires_at < ?", expired.before).Delete(expired.rows).Error; err != nil {
			return fmt.Errorf("purge: %w", err)
		}
	}
	return nil
}

// DeleteOneTimeTokens removes those that the User has not used.
func (s *Store) DeleteOneTimeTokens(ctx context.Context, user models.ID) error {
	if err := s.writer(ctx).Where("user_id = ? AND used_at IS NULL", user).Delete(&models.OneTimeToken{}).Error; err != nil {
		return fmt.Errorf("delete one-time tokens: %w", err)
	}
	return nil
}
