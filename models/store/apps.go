package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
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

// AllApps returns every App by name.
func (s *Store) AllApps(ctx context.Context) ([]models.App, error) {
	return all[models.App](s.reader(ctx).Order("name"), "apps")
}

// AppFilter narrows a list of Apps.
type AppFilter struct {
	Organisation *models.ID
	Member       *models.ID // only those of Organisations that this User is a member of
	Search       string
	Plan         *models.ID
}

// Apps returns a page of Apps.
func (s *Store) Apps(ctx context.Context, filter AppFilter, ask models.PageRequest) (models.Page[models.App], error) {
	query := containing(s.reader(ctx), filter.Search, "name")
	if filter.Organisation != nil {
		query = query.Where("organisation_id = ?", *filter.Organisation)
	}
	if filter.Member != nil {
		query = query.Where("organisation_id IN (?)", s.reader(ctx).Model(&models.Membership{}).
			Select("organisation_id").Where("user_id = ? AND role <> ?", *filter.Member, models.RoleBilling))
	}
	if filter.Plan != nil {
		query = query.Where("plan_id = ?", *filter.Plan)
	}
	return page[models.App](query, ask, "apps", "name", "created_at", "updated_at")
}

// AppsOf returns all Apps of an Organisation by name.
func (s *Store) AppsOf(ctx context.Context, organisation models.ID) ([]models.App, error) {
	return all[models.App](s.reader(ctx).Where("organisation_id = ?", organisation).Order("name"), "apps")
}

// AppsByID returns the Apps with these ids.
func (s *Store) AppsByID(ctx context.Context, ids []models.ID) (map[models.ID]models.App, error) {
	rows, err := all[models.App](s.reader(ctx).Where("id IN ?", ids), "apps")
	return byID(rows, func(row models.App) models.ID { return row.ID }), err
}

// suspended selects the ids of Organisations that are suspended.
func (s *Store) suspended(ctx context.Context) *gorm.DB {
	return s.reader(ctx).Model(&models.Organisation{}).Select("id").Where("suspended = ?", true)
}

// AppsToSuspend returns the Apps that run although their Organisation is
// suspended.
func (s *Store) AppsToSuspend(ctx context.Context) ([]models.App, error) {
	running := s.reader(ctx).Model(&models.Instance{}).Select("app_id")
	query := s.reader(ctx).Where("organisation_id IN (?)", s.suspended(ctx)).
		Where("(id IN (?) OR (stopped = ? AND suspended = ? AND live_release_id IS NOT NULL))", running, false, false)
	return all[models.App](query.Order("name"), "apps to suspend")
}

// AppsToResume returns the Apps that are suspended although their Organisation
// is not.
func (s *Store) AppsToResume(ctx context.Context) ([]models.App, error) {
	query := s.reader(ctx).Where("suspended = ? AND organisation_id NOT IN (?)", true, s.suspended(ctx))
	return all[models.App](query.Order("name"), "apps to resume")
}

// CountApps counts the Organisation's Apps.
func (s *Store) CountApps(ctx context.Context, organisation models.ID) (int64, error) {
	return count(s.reader(ctx).Model(&models.App{}).Where("organisation_id = ?", organisation), "apps")
}

// UpdateApp reads the App for update, lets change edit it and writes it back,
// in one transaction. It returns the App as written.
func (s *Store) UpdateApp(ctx context.Context, id models.ID, change func(*models.App) error) (models.App, error) {
	return update(ctx, s, id, "app", change)
}

// DeleteApp removes the App and all rows that hang on it but its Events.
func (s *Store) DeleteApp(ctx context.Context, id models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		for _, row := range []any{
			&models.Instance{}, &models.Deployment{}, &models.Release{}, &models.Build{}, &models.EnvVar{}, &models.Domain{}, &models.SBOM{},
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
	sealed := map[any]string{
		&models.Release{}: "config IS NOT NULL", &models.EnvVar{}: "value IS NOT NULL", &models.User{}: "totp_secret IS NOT NULL",
		&models.GitHubHost{}: "client_secret IS NOT NULL", &models.GitHubConnection{}: "token IS NOT NULL", &models.GitHubLink{}: "secret IS NOT NULL",
	}
	for table, condition := range sealed {
		rows, err := count(s.reader(ctx).Model(table).Where(condition).Limit(1), "sealed values")
		if err != nil || rows > 0 {
			return rows > 0, err
		}
	}
	return false, nil
}

// AppNames returns the names of all Apps.
func (s *Store) AppNames(ctx context.Context) (map[models.ID]string, error) {
	rows, err := all[models.App](s.reader(ctx).Select("id", "name"), "apps")
	names := make(map[models.ID]string, len(rows))
	for _, row := range rows {
		names[row.ID] = row.Name
	}
	return names, err
}
