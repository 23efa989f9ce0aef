package store

import (
	"context"
	"fmt"
	"time"

	"github.com/skypanel/sky/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// AddTask queues a Task, unless an unfinished one has its unique key: that one
// then runs by the new one's time, and once more if it runs already. So whatever
// is committed with AddTask is seen by a run of the Task that begins after it.
func (s *Store) AddTask(ctx context.Context, task *models.Task) error {
	merge := clause.OnConflict{
		Columns:     []clause.Column{{Name: "unique_key"}},
		TargetWhere: clause.Where{Exprs: []clause.Expression{gorm.Expr("state IN ('queued','running')")}},
		DoUpdates: clause.Assignments(map[string]any{
			"again":  gorm.Expr("paas_tasks.state = 'running'"),
			"run_at": gorm.Expr("CASE WHEN excluded.run_at < paas_tasks.run_at THEN excluded.run_at ELSE paas_tasks.run_at END"),
		}),
	}
	if err := s.writer(ctx).Clauses(merge).Create(task).Error; err != nil {
		return fmt.Errorf("queue task: %w", err)
	}
	return nil
}

// ClaimTask gives the worker the Task that has been due longest, until its lease
// ends. One whose lease has ended is taken from the worker that had it. NotFound
// says that none is due.
func (s *Store) ClaimTask(ctx context.Context, worker string, at time.Time, lease time.Duration) (models.Task, error) {
	skip := ""
	if s.engine == enginePostgres {
		skip = " FOR UPDATE SKIP LOCKED"
	}
	var claimed []models.Task
	err := s.writer(ctx).Raw(`UPDATE paas_tasks SET state = 'running', worker = ?, lease_until = ?, attempt = attempt + 1, again = ?, updated_at = ?
		WHERE id = (SELECT id FROM paas_tasks
			WHERE (state = 'queued' AND run_at <= ?) OR (state = 'running' AND lease_until < ?)
			ORDER BY run_at, id LIMIT 1`+skip+`) RETURNING *`,
		worker, at.Add(lease), false, at, at, at).Scan(&claimed).Error
	if err != nil {
		return models.Task{}, fmt.Errorf("claim task: %w", err)
	}
	if len(claimed) == 0 {
		return models.Task{}, models.Errorf(models.NotFound, "no task is due")
	}
	return claimed[0], nil
}

// held is the Task as its worker claimed it: who lost the lease changes nothing.
func (s *Store) held(ctx context.Context, task models.Task) *gorm.DB {
	return s.writer(ctx).Model(&models.Task{}).
		Where("id = ? AND worker = ? AND attempt = ? AND state = ?", task.ID, task.Worker, task.Attempt, models.TaskRunning)
}

// RenewTask extends the lease. NotFound says that the worker has lost it.
func (s *Store) RenewTask(ctx context.Context, task models.Task, until time.Time) error {
	return gone(s.held(ctx, task).Update("lease_until", until), "task")
}

// FinishTask removes a Task that is done, or has it run again where that was
// asked for meanwhile.
func (s *Store) FinishTask(ctx context.Context, task models.Task) error {
	return s.Transact(ctx, func(tx *Store) error {
		removed := tx.held(ctx, task).Where("again = ?", false).Delete(&models.Task{})
		if removed.Error != nil {
			return fmt.Errorf("finish task: %w", removed.Error)
		}
		if removed.RowsAffected > 0 {
			return nil
		}
		return tx.requeue(ctx, task, map[string]any{"run_at": now(), "attempt": 0, "error": "", "created_at": now()})
	})
}

// RetryTask has the Task run again at a later time, or at once where that was asked
// for meanwhile.
func (s *Store) RetryTask(ctx context.Context, task models.Task, at time.Time, reason string) error {
	soon := gorm.Expr("CASE WHEN again THEN run_at ELSE ? END", at) // run_at has come already
	return s.requeue(ctx, task, map[string]any{"run_at": soon, "error": reason})
}

func (s *Store) requeue(ctx context.Context, task models.Task, with map[string]any) error {
	with["state"], with["again"], with["lease_until"] = models.TaskQueued, false, nil
	if err := s.held(ctx, task).Updates(with).Error; err != nil {
		return fmt.Errorf("queue task again: %w", err)
	}
	return nil
}

// FailTask ends a Task for good.
func (s *Store) FailTask(ctx context.Context, task models.Task, reason string) error {
	with := map[string]any{"state": models.TaskFailed, "error": reason, "lease_until": nil}
	if err := s.held(ctx, task).Updates(with).Error; err != nil {
		return fmt.Errorf("fail task: %w", err)
	}
	return nil
}

// ReleaseTasks queues again what a worker that is no more had claimed.
func (s *Store) ReleaseTasks(ctx context.Context, worker string) error {
	query := s.writer(ctx).Model(&models.Task{}).Where("worker = ? AND state = ?", worker, models.TaskRunning)
	with := map[string]any{"state": models.TaskQueued, "lease_until": nil}
	if err := query.Updates(with).Error; err != nil {
		return fmt.Errorf("release tasks: %w", err)
	}
	return nil
}

// NextTask returns when the next queued Task is due; nil where there is none.
func (s *Store) NextTask(ctx context.Context) (*time.Time, error) {
	tasks, err := all[models.Task](s.reader(ctx).Where("state = ?", models.TaskQueued).Order("run_at").Limit(1), "tasks")
	if err != nil || len(tasks) == 0 {
		return nil, err
	}
	return &tasks[0].RunAt, nil
}

// PurgeTasks removes those that failed before a time.
func (s *Store) PurgeTasks(ctx context.Context, before time.Time) error {
	query := s.writer(ctx).Where("state = ? AND updated_at < ?", models.TaskFailed, before)
	if err := query.Delete(&models.Task{}).Error; err != nil {
		return fmt.Errorf("purge tasks: %w", err)
	}
	return nil
}

// TasksUnderWay counts those that run, or are due by at.
func (s *Store) TasksUnderWay(ctx context.Context, at time.Time) (int64, error) {
	var count int64
	query := s.reader(ctx).Model(&models.Task{}).
		Where("state = ? OR (state = ? AND run_at <= ?)", models.TaskRunning, models.TaskQueued, at)
	if err := query.Count(&count).Error; err != nil {
		return 0, fmt.Errorf("count tasks: %w", err)
	}
	return count, nil
}
