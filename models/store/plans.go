package store

import (
	"context"
	"fmt"

	"github.com/skypanel/sky/models"
)

// CreatePlan inserts plan; a taken name is a Conflict.
func (s *Store) CreatePlan(ctx context.Context, plan *models.Plan) error {
	return s.create(ctx, plan, "plan "+plan.Name)
}

// Plan returns the Plan with this id.
func (s *Store) Plan(ctx context.Context, id models.ID) (models.Plan, error) {
	return first[models.Plan](s.reader(ctx).Where("id = ?", id), "plan")
}

// PlansByID returns the Plans with these ids.
func (s *Store) PlansByID(ctx context.Context, ids []models.ID) (map[models.ID]models.Plan, error) {
	rows, err := all[models.Plan](s.reader(ctx).Where("id IN ?", ids), "plans")
	return byID(rows, func(row models.Plan) models.ID { return row.ID }), err
}

// PlanByName returns the Plan with this name.
func (s *Store) PlanByName(ctx context.Context, name string) (models.Plan, error) {
	return first[models.Plan](s.reader(ctx).Where("name = ?", name), "plan")
}

// PlanFilter narrows a list of Plans.
type PlanFilter struct {
	Active *bool
	Search string
}

// Plans returns a page of Plans.
func (s *Store) Plans(ctx context.Context, filter PlanFilter, ask models.PageRequest) (models.Page[models.Plan], error) {
	query := containing(s.reader(ctx), filter.Search, "name", "description")
	if filter.Active != nil {
		query = query.Where("active = ?", *filter.Active)
	}
	return page[models.Plan](query, ask, "plans", "position", "name", "price_hour_micros", "memory_bytes", "created_at")
}

// UpdatePlan reads the Plan for update, lets change edit it and writes it back.
func (s *Store) UpdatePlan(ctx context.Context, id models.ID, change func(*models.Plan) error) (models.Plan, error) {
	return update(ctx, s, id, "plan", change)
}

// DeletePlan removes a Plan. One that an App or an Instance has is a Conflict.
func (s *Store) DeletePlan(ctx context.Context, id models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		for _, user := range []any{&models.App{}, &models.Instance{}, &models.Database{}} {
			users, err := count(tx.writer(ctx).Model(user).Where("plan_id = ?", id), "users of the plan")
			if err != nil {
				return err
			}
			if users > 0 {
				return models.Errorf(models.Conflict, "the plan is in use by %d", users).
					WithRemedy("make it inactive, so that it is chosen no more, or move what uses it to another plan")
			}
		}
		return gone(tx.writer(ctx).Where("id = ?", id).Delete(&models.Plan{}), "plan")
	})
}

// AppsByPlan counts the Apps of each Plan.
func (s *Store) AppsByPlan(ctx context.Context) (map[models.ID]int64, error) {
	var rows []struct {
		PlanID models.ID
		Apps   int64
	}
	err := s.reader(ctx).Model(&models.App{}).Where("plan_id IS NOT NULL").Group("plan_id").
		Select("plan_id, COUNT(*) AS apps").Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("count apps by plan: %w", err)
	}
	apps := make(map[models.ID]int64, len(rows))
	for _, row := range rows {
		apps[row.PlanID] = row.Apps
	}
	return apps, nil
}

// RuntimesOfPlans returns the ids of the Runtimes that each of the Plans allows.
func (s *Store) RuntimesOfPlans(ctx context.Context, plans []models.ID) (map[models.ID][]models.ID, error) {
	links, err := all[models.PlanRuntime](s.reader(ctx).Where("plan_id IN ?", plans), "runtimes of the plans")
	linked := make(map[models.ID][]models.ID, len(plans))
	for _, link := range links {
		linked[link.PlanID] = append(linked[link.PlanID], link.RuntimeID)
	}
	return linked, err
}

// SetPlanRuntimes makes runtimes all that the Plan allows.
func (s *Store) SetPlanRuntimes(ctx context.Context, plan models.ID, runtimes []models.ID) error {
	return s.Transact(ctx, func(tx *Store) error {
		if err := tx.writer(ctx).Where("plan_id = ?", plan).Delete(&models.PlanRuntime{}).Error; err != nil {
			return fmt.Errorf("unlink runtimes: %w", err)
		}
		for _, runtime := range runtimes {
			if err := tx.create(ctx, &models.PlanRuntime{PlanID: plan, RuntimeID: runtime}, "link"); err != nil {
				return err
			}
		}
		return nil
	})
}

// GivePlansToApps gives the Plan to every App that has none.
func (s *Store) GivePlansToApps(ctx context.Context, plan models.ID) error {
	result := s.writer(ctx).Model(&models.App{}).Where("plan_id IS NULL").UpdateColumn("plan_id", plan)
	if result.Error != nil {
		return fmt.Errorf("give apps a plan: %w", result.Error)
	}
	return nil
}

// RuntimeFilter narrows a list of Runtimes.
type RuntimeFilter struct {
	Type   string
	Active *bool
	Search string
}

// RuntimePage returns a page of Runtimes.
func (s *Store) RuntimePage(ctx context.Context, filter RuntimeFilter, ask models.PageRequest) (models.Page[models.Runtime], error) {
	query := containing(s.reader(ctx), filter.Search, "type", "version", "build_image", "run_image")
	if filter.Type != "" {
		query = query.Where("type = ?", filter.Type)
	}
	if filter.Active != nil {
		query = query.Where("active = ?", *filter.Active)
	}
	return page[models.Runtime](query, ask, "runtimes", "type", "version", "created_at")
}

// Runtimes returns all Runtimes by type and version.
func (s *Store) Runtimes(ctx context.Context) ([]models.Runtime, error) {
	return all[models.Runtime](s.reader(ctx).Order("type, version"), "runtimes")
}

// Runtime returns the Runtime with this id.
func (s *Store) Runtime(ctx context.Context, id models.ID) (models.Runtime, error) {
	return first[models.Runtime](s.reader(ctx).Where("id = ?", id), "runtime")
}

// CreateRuntime inserts runtime; a type and version that exist are a Conflict.
func (s *Store) CreateRuntime(ctx context.Context, runtime *models.Runtime) error {
	return s.create(ctx, runtime, "runtime "+runtime.Type+" "+runtime.Version)
}

// UpdateRuntime reads the Runtime for update, lets change edit it and writes it
// back.
func (s *Store) UpdateRuntime(ctx context.Context, id models.ID, change func(*models.Runtime) error) (models.Runtime, error) {
	return update(ctx, s, id, "runtime", change)
}

// DeleteRuntime removes a Runtime.
func (s *Store) DeleteRuntime(ctx context.Context, id models.ID) error {
	return gone(s.writer(ctx).Where("id = ?", id).Delete(&models.Runtime{}), "runtime")
}

// AppsLiveOn counts the Apps whose live Release was built on the Runtime of this
// type and version.
func (s *Store) AppsLiveOn(ctx context.Context, kind, version string) (int64, error) {
	live := s.reader(ctx).Model(&models.Release{}).Select("build_id").
		Where("id IN (?)", s.reader(ctx).Model(&models.App{}).Select("live_release_id"))
	return count(s.reader(ctx).Model(&models.Build{}).Where("runtime_type = ? AND runtime_version = ? AND id IN (?)", kind, version, live), "apps of the runtime")
}
