package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
)

// CreateApp inserts app; a taken name is a Conflict.
func (s *Store) CreateApp(ctx context.Context, app *models.App) error {
	return s.create(ctx, app, "app "+app.Name)
}

// App returns the App with this id.
func (s *Store) App(ctx context.Context, id models.ID) (models.App, error) {
	return first[models.App](s.reader(ctx).Where("id = ?", id), "app")
}

// AppByName returns the App with this name.
func (s *Store) AppByName(ctx context.Context, name string) (models.App, error) {
	return first[models.App](s.reader(ctx).Where("name = ?", name), "app")
}

// Apps returns all Apps by name; a non-nil owner keeps only the owner's.
func (s *Store) Apps(ctx context.Context, owner *models.ID) ([]models.App, error) {
	query := s.reader(ctx).Order("name")
	if owner != nil {
		query = query.Where("owner_id = ?", *owner)
	}
	return all[models.App](query, "apps")
}

// UpdateApp reads the App for update, lets change edit it and writes it back,
// in one transaction. It returns the App as written.
func (s *Store) UpdateApp(ctx context.Context, id models.ID, change func(*models.App) error) (models.App, error) {
	var app models.App
	err := s.Transact(ctx, func(tx *Store) error {
		var err error
		if app, err = first[models.App](forUpdate(tx.writer(ctx)).Where("id = ?", id), "app"); err != nil {
			return err
		}
		if err := change(&app); err != nil {
			return err
		}
		return tx.save(ctx, &app, "app "+app.Name)
	})
	return app, err
}

// DeleteApp removes the App and all rows that hang on it but its Events.
func (s *Store) DeleteApp(ctx context.Context, id models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		for _, row := range []any{
			&models.Instance{}, &models.Deployment{}, &models.Release{}, &models.Build{}, &models.EnvVar{},
		} {
			if err := tx.writer(ctx).Where("app_id = ?", id).Delete(row).Error; err != nil {
				return fmt.Errorf("delete what hangs on the app: %w", err)
			}
		}
		if err := tx.writer(ctx).Delete(&models.App{}, "id = ?", id).Error; err != nil {
			return fmt.Errorf("delete app: %w", err)
		}
		return nil
	})
}

// EnvVars returns the App's sealed variables by key.
func (s *Store) EnvVars(ctx context.Context, app models.ID) ([]models.EnvVar, error) {
	return all[models.EnvVar](s.reader(ctx).Where("app_id = ?", app).Order("key"), "environment")
}

// ChangeEnv sets and unsets sealed variables of the App in one transaction.
func (s *Store) ChangeEnv(ctx context.Context, app models.ID, set []models.EnvVar, unset []string) error {
	return s.Transact(ctx, func(tx *Store) error {
		gone := append([]string(nil), unset...)
		for _, variable := range set {
			gone = append(gone, variable.Key)
		}
		if len(gone) > 0 {
			err := tx.writer(ctx).Where("app_id = ? AND key IN ?", app, gone).Delete(&models.EnvVar{}).Error
			if err != nil {
				return fmt.Errorf("unset environment: %w", err)
			}
		}
		if len(set) == 0 {
			return nil
		}
		return tx.create(ctx, &set, "environment variable")
	})
}

// HasSealed reports whether the database holds anything that was sealed with
// the master key.
func (s *Store) HasSealed(ctx context.Context) (bool, error) {
	var count int64
	if err := s.reader(ctx).Model(&models.Release{}).Limit(1).Count(&count).Error; err != nil {
		return false, fmt.Errorf("count releases: %w", err)
	}
	if count > 0 {
		return true, nil
	}
	if err := s.reader(ctx).Model(&models.EnvVar{}).Limit(1).Count(&count).Error; err != nil {
		return false, fmt.Errorf("count environment: %w", err)
	}
	return count > 0, nil
}
