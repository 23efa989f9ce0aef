package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
)

// CreateBuild numbers build within its App and inserts it.
func (s *Store) CreateBuild(ctx context.Context, build *models.Build) error {
	return s.Transact(ctx, func(tx *Store) error {
		number, err := tx.nextNumber(ctx, &models.Build{}, build.AppID)
		if err != nil {
			return err
		}
		build.Number = number
		return tx.create(ctx, build, fmt.Sprintf("build #%d", number))
	})
}

// nextNumber returns the next number of table's rows within app. The App's row
// is locked, so that two transactions never get the same.
func (s *Store) nextNumber(ctx context.Context, table any, app models.ID) (int, error) {
	if _, err := first[models.App](forUpdate(s.writer(ctx)).Where("id = ?", app), "app"); err != nil {
		return 0, err
	}
	var highest int
	query := s.writer(ctx).Model(table).Where("app_id = ?", app).Select("COALESCE(MAX(number), 0)")
	if err := query.Scan(&highest).Error; err != nil {
		return 0, fmt.Errorf("number the row: %w", err)
	}
	return highest + 1, nil
}

// SaveBuild writes all of build.
func (s *Store) SaveBuild(ctx context.Context, build *models.Build) error {
	return s.save(ctx, build, fmt.Sprintf("build #%d", build.Number))
}

// Build returns the Build with this id.
func (s *Store) Build(ctx context.Context, id models.ID) (models.Build, error) {
	return first[models.Build](s.reader(ctx).Where("id = ?", id), "build")
}

// BuildsByID returns the Builds with these ids.
func (s *Store) BuildsByID(ctx context.Context, ids []models.ID) (map[models.ID]models.Build, error) {
	rows, err := all[models.Build](s.reader(ctx).Where("id IN ?", ids), "builds")
	return byID(rows, func(row models.Build) models.ID { return row.ID }), err
}

// BuildByNumber returns the App's Build with this number.
func (s *Store) BuildByNumber(ctx context.Context, app models.ID, number int) (models.Build, error) {
	return first[models.Build](s.reader(ctx).Where("app_id = ? AND number = ?", app, number), "build")
}

// BuildPage returns a page of the App's Builds, by default the newest first; an
// empty state is any.
func (s *Store) BuildPage(ctx context.Context, app models.ID, state models.BuildState, ask models.PageRequest) (models.Page[models.Build], error) {
	query := s.reader(ctx).Where("app_id = ?", app)
	if state != "" {
		query = query.Where("state = ?", state)
	}
	return page[models.Build](query, ask, "builds", "-number", "created_at")
}

// ReleasePage returns a page of the App's Releases, by default the newest first.
func (s *Store) ReleasePage(ctx context.Context, app models.ID, ask models.PageRequest) (models.Page[models.Release], error) {
	return page[models.Release](s.reader(ctx).Where("app_id = ?", app), ask, "releases", "-number", "created_at")
}

// SetManifest notes by which digest nodes pull a Release's image.
func (s *Store) SetManifest(ctx context.Context, release models.ID, manifest string) error {
	row := s.writer(ctx).Model(&models.Release{}).Where("id = ?", release)
	if err := row.UpdateColumn("manifest", manifest).Error; err != nil {
		return fmt.Errorf("note the image's manifest: %w", err)
	}
	return nil
}

// DeploymentsOf returns the newest Deployment of each of the Releases.
func (s *Store) DeploymentsOf(ctx context.Context, releases []models.ID) (map[models.ID]models.Deployment, error) {
	rows, err := all[models.Deployment](s.reader(ctx).Where("release_id IN ?", releases).Order("id"), "deployments")
	return byID(rows, func(row models.Deployment) models.ID { return row.ReleaseID }), err
}

// Builds returns the App's newest Builds, newest first.
func (s *Store) Builds(ctx context.Context, app models.ID, limit int) ([]models.Build, error) {
	return all[models.Build](newest(s.reader(ctx), app, limit), "builds")
}

// UnfinishedBuilds returns every Build that is queued or running, oldest first.
func (s *Store) UnfinishedBuilds(ctx context.Context) ([]models.Build, error) {
	states := []models.BuildState{models.BuildQueued, models.BuildRunning}
	return all[models.Build](s.reader(ctx).Where("state IN ?", states).Order("id"), "builds")
}

// CreateRelease numbers release within its App and inserts it.
func (s *Store) CreateRelease(ctx context.Context, release *models.Release) error {
	return s.Transact(ctx, func(tx *Store) error {
		number, err := tx.nextNumber(ctx, &models.Release{}, release.AppID)
		if err != nil {
			return err
		}
		release.Number = number
		return tx.create(ctx, release, "release "+release.Name())
	})
}

// Release returns the Release with this id.
func (s *Store) Release(ctx context.Context, id models.ID) (models.Release, error) {
	return first[models.Release](s.reader(ctx).Where("id = ?", id), "release")
}

// ReleaseByNumber returns the App's Release with this number.
func (s *Store) ReleaseByNumber(ctx context.Context, app models.ID, number int) (models.Release, error) {
	return first[models.Release](s.reader(ctx).Where("app_id = ? AND number = ?", app, number), "release")
}

// Releases returns the App's newest Releases, newest first.
func (s *Store) Releases(ctx context.Context, app models.ID, limit int) ([]models.Release, error) {
	return all[models.Release](newest(s.reader(ctx), app, limit), "releases")
}

// FormerBuild returns the newest Build that succeeded before this one.
func (s *Store) FormerBuild(ctx context.Context, build models.Build) (models.Build, error) {
	query := s.reader(ctx).Where("app_id = ? AND number < ? AND state = ? AND fingerprint <> ''", build.AppID, build.Number, models.BuildSucceeded)
	return first[models.Build](query.Order("number DESC"), "build")
}

// ReleaseOfBuild returns the Release that build became.
func (s *Store) ReleaseOfBuild(ctx context.Context, build models.ID) (models.Release, error) {
	return first[models.Release](s.reader(ctx).Where("build_id = ?", build).Order("number"), "release")
}

func newest(query *gorm.DB, app models.ID, limit int) *gorm.DB {
	return query.Where("app_id = ?", app).Order("number DESC").Limit(limit)
}

// CreateDeployment inserts deployment.
func (s *Store) CreateDeployment(ctx context.Context, deployment *models.Deployment) error {
	return s.create(ctx, deployment, "deployment")
}

// SaveDeployment writes all of deployment.
func (s *Store) SaveDeployment(ctx context.Context, deployment *models.Deployment) error {
	return s.save(ctx, deployment, "deployment")
}

// DeploymentOf returns the newest Deployment of the Release.
func (s *Store) DeploymentOf(ctx context.Context, release models.ID) (models.Deployment, error) {
	query := s.reader(ctx).Where("release_id = ?", release).Order("id DESC").Limit(1)
	return first[models.Deployment](query, "deployment")
}

// UnfinishedDeployments returns every Deployment that has not ended, oldest
// first.
func (s *Store) UnfinishedDeployments(ctx context.Context) ([]models.Deployment, error) {
	states := []models.DeploymentState{models.DeploymentPending, models.DeploymentReleasing, models.DeploymentRolling}
	return all[models.Deployment](s.reader(ctx).Where("state IN ?", states).Order("id"), "deployments")
}
