package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
)

// Reseal replaces a sealed value of each row. reseal returns nil for a value that
// stays. What somebody else changes meanwhile is left to them: it is sealed anew
// already. It returns how many were replaced.
type Reseal struct {
	EnvVar         func(models.EnvVar) ([]byte, error)
	Release        func(models.Release) ([]byte, error)
	User           func(models.User) ([]byte, error)
	IdempotencyKey func(models.IdempotencyKey) ([]byte, error)
	GitHub
}

// GitHub replaces what belongs to the connection with GitHub.
type GitHub struct {
	ClientSecret  func(models.GitHubHost) ([]byte, error)
	PrivateKey    func(models.GitHubHost) ([]byte, error)
	WebhookSecret func(models.GitHubHost) ([]byte, error)
	Token         func(models.GitHubConnection) ([]byte, error)
	Refresh       func(models.GitHubConnection) ([]byte, error)
	LinkSecret    func(models.GitHubLink) ([]byte, error)
}

func (s *Store) resealGitHub(ctx context.Context, with GitHub) (int, error) {
	total := 0
	for _, table := range []func() (int, error){
		func() (int, error) {
			return resealRows(ctx, s, "client_secret", with.ClientSecret, func(row models.GitHubHost) (models.ID, []byte) { return row.ID, row.ClientSecret })
		},
		func() (int, error) {
			return resealRows(ctx, s, "private_key", with.PrivateKey, func(row models.GitHubHost) (models.ID, []byte) { return row.ID, row.PrivateKey })
		},
		func() (int, error) {
			return resealRows(ctx, s, "webhook_secret", with.WebhookSecret, func(row models.GitHubHost) (models.ID, []byte) { return row.ID, row.WebhookSecret })
		},
		func() (int, error) {
			return resealRows(ctx, s, "token", with.Token, func(row models.GitHubConnection) (models.ID, []byte) { return row.ID, row.Token })
		},
		func() (int, error) {
			return resealRows(ctx, s, "refresh", with.Refresh, func(row models.GitHubConnection) (models.ID, []byte) { return row.ID, row.Refresh })
		},
		func() (int, error) {
			return resealRows(ctx, s, "secret", with.LinkSecret, func(row models.GitHubLink) (models.ID, []byte) { return row.ID, row.Secret })
		},
	} {
		resealed, err := table()
		if total += resealed; err != nil {
			return total, err
		}
	}
	return total, nil
}

// Reseal goes through every sealed value that there is.
func (s *Store) Reseal(ctx context.Context, with Reseal) (int, error) {
	total := 0
	for _, table := range []func() (int, error){
		func() (int, error) {
			return resealRows(ctx, s, "value", with.EnvVar, func(row models.EnvVar) (models.ID, []byte) { return row.ID, row.Value })
		},
		func() (int, error) {
			return resealRows(ctx, s, "config", with.Release, func(row models.Release) (models.ID, []byte) { return row.ID, row.Config })
		},
		func() (int, error) {
			return resealRows(ctx, s, "totp_secret", with.User, func(row models.User) (models.ID, []byte) { return row.ID, row.TOTPSecret })
		},
		func() (int, error) {
			return resealRows(ctx, s, "answer", with.IdempotencyKey, func(row models.IdempotencyKey) (models.ID, []byte) { return row.ID, row.Answer })
		},
		func() (int, error) { return s.resealGitHub(ctx, with.GitHub) },
	} {
		resealed, err := table()
		if total += resealed; err != nil {
			return total, err
		}
	}
	return total, nil
}

func resealRows[T any](ctx context.Context, s *Store, column string, reseal func(T) ([]byte, error), sealed func(T) (models.ID, []byte)) (int, error) {
	const batch = 200
	resealed, after := 0, models.ID{}
	for {
		rows, err := all[T](s.reader(ctx).Where(column+" IS NOT NULL AND id > ?", after).Order("id").Limit(batch), "sealed values")
		if err != nil || len(rows) == 0 {
			return resealed, err
		}
		for _, row := range rows {
			id, former := sealed(row)
			after = id
			if len(former) == 0 {
				continue
			}
			fresh, err := reseal(row)
			if err != nil {
				return resealed, err
			}
			if fresh == nil {
				continue
			}
			if err := replace[T](s.writer(ctx), column, id, former, fresh); err != nil {
				return resealed, err
			}
			resealed++
		}
	}
}

func replace[T any](writer *gorm.DB, column string, id models.ID, former, fresh []byte) error {
	var row T
	if err := writer.Model(&row).Where("id = ? AND "+column+" = ?", id, former).UpdateColumn(column, fresh).Error; err != nil {
		return fmt.Errorf("replace a sealed value: %w", err)
	}
	return nil
}
