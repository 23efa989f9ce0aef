package store

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm/clause"
)

// GitHubHost returns the one that Sky is connected with; NotFound where there is
// none.
func (s *Store) GitHubHost(ctx context.Context) (models.GitHubHost, error) {
	return first[models.GitHubHost](s.reader(ctx), "GitHub host")
}

// PutGitHubHost makes host the only one.
func (s *Store) PutGitHubHost(ctx context.Context, host *models.GitHubHost) error {
	return s.Transact(ctx, func(tx *Store) error {
		if err := tx.DeleteGitHubHost(ctx); err != nil {
			return err
		}
		return tx.create(ctx, host, "GitHub host")
	})
}

// DeleteGitHubHost forgets the host; without one it does nothing.
func (s *Store) DeleteGitHubHost(ctx context.Context) error {
	if err := s.writer(ctx).Where("1 = 1").Delete(&models.GitHubHost{}).Error; err != nil {
		return fmt.Errorf("forget GitHub host: %w", err)
	}
	return nil
}

// GitHubConnection returns the User's.
func (s *Store) GitHubConnection(ctx context.Context, user models.ID) (models.GitHubConnection, error) {
	return first[models.GitHubConnection](s.reader(ctx).Where("user_id = ?", user), "connection with GitHub")
}

// PutGitHubConnection inserts the User's connection, or replaces it.
func (s *Store) PutGitHubConnection(ctx context.Context, connection *models.GitHubConnection) error {
	replace := clause.OnConflict{
		Columns:   []clause.Column{{Name: "user_id"}},
		DoUpdates: clause.AssignmentColumns([]string{"account", "login", "scopes", "token", "refresh", "expires_at", "trouble", "updated_at"}),
	}
	if err := s.writer(ctx).Clauses(replace).Create(connection).Error; err != nil {
		return fmt.Errorf("keep the connection with GitHub: %w", err)
	}
	return nil
}

// UpdateGitHubConnection reads the connection for update, lets change edit it and
// writes it back.
func (s *Store) UpdateGitHubConnection(ctx context.Context, id models.ID, change func(*models.GitHubConnection) error) (models.GitHubConnection, error) {
	return update(ctx, s, id, "connection with GitHub", change)
}

// DeleteGitHubConnection removes the User's.
func (s *Store) DeleteGitHubConnection(ctx context.Context, user models.ID) error {
	return gone(s.writer(ctx).Where("user_id = ?", user).Delete(&models.GitHubConnection{}), "connection with GitHub")
}

// DeleteGitHubConnections removes everybody's: the host they were with is another.
func (s *Store) DeleteGitHubConnections(ctx context.Context) error {
	if err := s.writer(ctx).Where("1 = 1").Delete(&models.GitHubConnection{}).Error; err != nil {
		return fmt.Errorf("forget connections with GitHub: %w", err)
	}
	return nil
}

// CreateGitHubAuthorization inserts authorization.
func (s *Store) CreateGitHubAuthorization(ctx context.Context, authorization *models.GitHubAuthorization) error {
	return s.create(ctx, authorization, "authorization")
}

// GitHubAuthorization returns the one with this id.
func (s *Store) GitHubAuthorization(ctx context.Context, id models.ID) (models.GitHubAuthorization, error) {
	return first[models.GitHubAuthorization](s.reader(ctx).Where("id = ?", id), "authorization")
}

// GitHubAuthorizationByState returns the one that GitHub was given this state for.
func (s *Store) GitHubAuthorizationByState(ctx context.Context, hash []byte) (models.GitHubAuthorization, error) {
	return first[models.GitHubAuthorization](s.reader(ctx).Where("state_hash = ?", hash), "authorization")
}

// UpdateGitHubAuthorization reads the authorization for update, lets change edit
// it and writes it back.
func (s *Store) UpdateGitHubAuthorization(ctx context.Context, id models.ID, change func(*models.GitHubAuthorization) error) (models.GitHubAuthorization, error) {
	return update(ctx, s, id, "authorization", change)
}

// DeleteGitHubAuthorization removes the authorization: it counts once.
func (s *Store) DeleteGitHubAuthorization(ctx context.Context, id models.ID) error {
	return gone(s.writer(ctx).Where("id = ?", id).Delete(&models.GitHubAuthorization{}), "authorization")
}

// PurgeGitHubAuthorizations removes those that ended before a time.
func (s *Store) PurgeGitHubAuthorizations(ctx context.Context, before time.Time) error {
	if err := s.writer(ctx).Where("expires_at < ?", before).Delete(&models.GitHubAuthorization{}).Error; err != nil {
		return fmt.Errorf("purge authorizations: %w", err)
	}
	return nil
}

// CreateGitHubLink inserts link; an App that has one is a Conflict.
func (s *Store) CreateGitHubLink(ctx context.Context, link *models.GitHubLink) error {
	return s.create(ctx, link, "the link with GitHub")
}

// GitHubLink returns the link with this id.
func (s *Store) GitHubLink(ctx context.Context, id models.ID) (models.GitHubLink, error) {
	return first[models.GitHubLink](s.reader(ctx).Where("id = ?", id), "link with GitHub")
}

// GitHubLinkOf returns the App's link.
func (s *Store) GitHubLinkOf(ctx context.Context, app models.ID) (models.GitHubLink, error) {
	return first[models.GitHubLink](s.reader(ctx).Where("app_id = ?", app), "link with GitHub")
}

// GitHubLinksOf returns the links of a repository that go through a GitHub App.
func (s *Store) GitHubLinksOf(ctx context.Context, repository int64) ([]models.GitHubLink, error) {
	query := s.reader(ctx).Where("repository_id = ? AND installation <> 0", repository)
	return all[models.GitHubLink](query.Order("id"), "links with GitHub")
}

// GitHubLinksThrough returns the links that go through an installation of a GitHub
// App.
func (s *Store) GitHubLinksThrough(ctx context.Context, installation int64) ([]models.GitHubLink, error) {
	query := s.reader(ctx).Where("installation = ?", installation)
	return all[models.GitHubLink](query.Order("id"), "links with GitHub")
}

// GitHubLinks returns every link that was not looked at since a time.
func (s *Store) GitHubLinks(ctx context.Context, checkedBefore time.Time) ([]models.GitHubLink, error) {
	query := s.reader(ctx).Where("checked_at IS NULL OR checked_at < ?", checkedBefore)
	return all[models.GitHubLink](query.Order("id"), "links with GitHub")
}

// CountGitHubLinks counts all links.
func (s *Store) CountGitHubLinks(ctx context.Context) (int64, error) {
	return count(s.reader(ctx).Model(&models.GitHubLink{}), "links with GitHub")
}

// UpdateGitHubLink reads the link for update, lets change edit it and writes it
// back.
func (s *Store) UpdateGitHubLink(ctx context.Context, id models.ID, change func(*models.GitHubLink) error) (models.GitHubLink, error) {
	return update(ctx, s, id, "link with GitHub", change)
}

// DeleteGitHubLink removes the link with its previews.
func (s *Store) DeleteGitHubLink(ctx context.Context, id models.ID) error {
	return gone(s.writer(ctx).Where("id = ?", id).Delete(&models.GitHubLink{}), "link with GitHub")
}

// CreateGitHubPreview inserts preview; a pull request that has one is a Conflict.
func (s *Store) CreateGitHubPreview(ctx context.Context, preview *models.GitHubPreview) error {
	return s.create(ctx, preview, "the preview")
}

// GitHubPreview returns the link's preview of a pull request.
func (s *Store) GitHubPreview(ctx context.Context, link models.ID, number int) (models.GitHubPreview, error) {
	return first[models.GitHubPreview](s.reader(ctx).Where("link_id = ? AND number = ?", link, number), "preview")
}

// GitHubPreviewOf returns the preview whose own App this is.
func (s *Store) GitHubPreviewOf(ctx context.Context, app models.ID) (models.GitHubPreview, error) {
	return first[models.GitHubPreview](s.reader(ctx).Where("app_id = ?", app), "preview")
}

// GitHubPreviews returns the link's previews by number, but for closed ones.
func (s *Store) GitHubPreviews(ctx context.Context, link models.ID) ([]models.GitHubPreview, error) {
	query := s.reader(ctx).Where("link_id = ? AND state <> ?", link, models.PreviewClosed)
	return all[models.GitHubPreview](query.Order("number"), "previews")
}

// ExpiredGitHubPreviews returns those whose time is over.
func (s *Store) ExpiredGitHubPreviews(ctx context.Context, at time.Time) ([]models.GitHubPreview, error) {
	query := s.reader(ctx).Where("state <> ? AND expires_at < ?", models.PreviewClosed, at)
	return all[models.GitHubPreview](query.Order("id"), "previews")
}

// UpdateGitHubPreview reads the preview for update, lets change edit it and writes
// it back.
func (s *Store) UpdateGitHubPreview(ctx context.Context, id models.ID, change func(*models.GitHubPreview) error) (models.GitHubPreview, error) {
	return update(ctx, s, id, "preview", change)
}

// GitHubReport returns what GitHub was told of a Build; the zero report where it
// was told nothing.
func (s *Store) GitHubReport(ctx context.Context, build models.ID) (models.GitHubReport, error) {
	report, err := first[models.GitHubReport](s.reader(ctx).Where("build_id = ?", build), "report")
	if models.IsCode(err, models.NotFound) {
		return models.GitHubReport{BuildID: build}, nil
	}
	return report, err
}

// GitHubReports returns what GitHub was told of Builds, by Build.
func (s *Store) GitHubReports(ctx context.Context, builds []models.ID) (map[models.ID]models.GitHubReport, error) {
	rows, err := all[models.GitHubReport](s.reader(ctx).Where("build_id IN ?", builds), "reports")
	return byID(rows, func(row models.GitHubReport) models.ID { return row.BuildID }), err
}

// PutGitHubReport writes all of report.
func (s *Store) PutGitHubReport(ctx context.Context, report *models.GitHubReport) error {
	report.UpdatedAt = now()
	if err := s.writer(ctx).Clauses(clause.OnConflict{UpdateAll: true}).Create(report).Error; err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	return nil
}

// PreviewAppsOf returns the Apps that preview pull requests through links that the
// User made.
func (s *Store) PreviewAppsOf(ctx context.Context, user models.ID) ([]models.App, error) {
	previews := s.reader(ctx).Model(&models.GitHubPreview{}).Select("paas_github_previews.app_id").
		Joins("JOIN paas_github_links ON paas_github_links.id = paas_github_previews.link_id").
		Where("paas_github_links.user_id = ?", user)
	return all[models.App](s.reader(ctx).Where("id IN (?)", previews), "preview apps")
}
