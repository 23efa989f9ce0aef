package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm/clause"
)

// SBOM returns the list of packages of the App's image, or NotFound where none was
// made yet.
func (s *Store) SBOM(ctx context.Context, app models.ID, image string) (models.SBOM, error) {
	return first[models.SBOM](s.reader(ctx).Where("app_id = ? AND image = ?", app, image), "list of packages")
}

// KeepSBOM inserts list, unless the image has one.
func (s *Store) KeepSBOM(ctx context.Context, list *models.SBOM) error {
	if err := s.writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(list).Error; err != nil {
		return fmt.Errorf("keep list of packages: %w", err)
	}
	return nil
}
