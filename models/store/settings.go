package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm/clause"
)

// Setting decodes the setting into target. One that was never put leaves target
// as it is.
func (s *Store) Setting(ctx context.Context, key string, target any) error {
	row, err := first[models.Setting](s.reader(ctx).Where("key = ?", key), "setting")
	return decodeSetting(row, err, target)
}

// LockSetting decodes the setting into target and keeps other transactions from
// it until this one ends.
func (s *Store) LockSetting(ctx context.Context, key string, target any) error {
	unset := models.Setting{Key: key, Value: "null"}
	if err := s.writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&unset).Error; err != nil {
		return fmt.Errorf("lock setting %s: %w", key, err)
	}
	row, err := first[models.Setting](forUpdate(s.writer(ctx)).Where("key = ?", key), "setting")
	return decodeSetting(row, err, target)
}

func decodeSetting(row models.Setting, err error, target any) error {
	if models.IsCode(err, models.NotFound) || (err == nil && row.Value == "null") {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(row.Value), target); err != nil {
		return fmt.Errorf("setting %s: %w", row.Key, err)
	}
	return nil
}

// PutSetting stores value under key.
func (s *Store) PutSetting(ctx context.Context, key string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode setting %s: %w", key, err)
	}
	return s.save(ctx, &models.Setting{Key: key, Value: string(text)}, "setting "+key)
}
