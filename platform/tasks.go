package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	// taskWorkers is how many Tasks run at once.
	taskWorkers = 4
	// taskLease is how long a Task is its worker's without being renewed.
	taskLease = time.Minute
	// taskPatience is how long what cannot be done now is tried again.
	taskPatience = 24 * time.Hour
	// taskRest is the longest pause between two looks for Tasks that are due.
	taskRest = time.Minute
	// maxTaskPause is the longest pause between two tries of one Task.
	maxTaskPause = 5 * time.Minute
	// keepFailedTasks is how long those that failed for good can be looked at.
	keepFailedTasks = 30 * 24 * time.Hour
)

// The kinds of Tasks, by what their payload is about.
const (
	taskDeliveries = "github.deliveries" // of an App
	taskCatchUp    = "github.catch-up"   // of a link
	taskReport     = "github.report"     // of a Build
	taskPreview    = "github.preview"    // of a preview
)

// about is a Task's payload: what it is about. What is to be done is read from the
// rows when it is done, so that one Task stands for all that happened before.
type about struct {
	ID models.ID `json:"id"`
}

// queueTask adds a Task about something to do from a time on, in a transaction.
// While one about the same waits there is no second.
func queueTask(ctx context.Context, tx *store.Store, kind string, what about, at time.Time) error {
	payload, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode task: %w", err)
	}
	key := kind + " " + what.ID.String()
	return tx.AddTask(ctx, &models.Task{
		ID: models.NewID(), Kind: kind, UniqueKey: &key, Payload: string(payload), State: models.TaskQueued,
		RunAt: at, CreatedAt: now(), UpdatedAt: now(),
	})
}

// askFor queues a Task to do now, outside of a transaction.
func (p *Platform) askFor(ctx context.Context, kind string, what about) error {
	if err := queueTask(ctx, p.Store, kind, what, now()); err != nil {
		return err
	}
	p.work.ring()
	return nil
}

// worker names this process among those that share the database. It is the same
// after a restart, so that what it had claimed is taken up at once.
func (p *Platform) worker() string {
	host, _ := os.Hostname()
	return host + " " + p.Settings.DataDir
}

// doTasks does Tasks until the platform stops.
func (p *Platform) doTasks() {
	for {
		news := p.work.next()
		task, err := p.Store.ClaimTask(p.ctx, p.worker(), now(), taskLease)
		switch {
		case err == nil:
			p.doTask(task)
			continue
		case !models.IsCode(err, models.NotFound) && p.ctx.Err() == nil:
			p.Log.Error("claim task", "error", err)
		}
		select {
		case <-p.ctx.Done():
			return
		case <-news:
		case <-time.After(p.untilTask()):
		}
	}
}

// untilTask is how long until a Task is due that waits for its time.
func (p *Platform) untilTask() time.Duration {
	due, err := p.Store.NextTask(p.ctx)
	if err != nil || due == nil {
		return taskRest
	}
	return max(10*time.Millisecond, min(time.Until(*due), taskRest))
}

// doTask does one Task and records how it ended.
func (p *Platform) doTask(task models.Task) {
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	renewing := make(chan struct{})
	go func() {
		defer close(renewing)
		p.renew(ctx, cancel, task)
	}()
	err := p.perform(ctx, task)
	cancel()
	<-renewing
	if p.ctx.Err() != nil {
		return // the next start takes it up
	}
	if err = p.conclude(task, err); err != nil {
		p.Log.Error("task", "kind", task.Kind, "error", err)
	}
}

// renew keeps the lease while the Task runs, and ends the Task where it is lost.
func (p *Platform) renew(ctx context.Context, cancel context.CancelFunc, task models.Task) {
	ticker := time.NewTicker(taskLease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := p.Store.RenewTask(ctx, task, now().Add(taskLease)); models.IsCode(err, models.NotFound) {
			cancel()
		}
	}
}

// conclude records how a Task ended: what may go better later is tried again.
func (p *Platform) conclude(task models.Task, err error) error {
	ctx := context.WithoutCancel(p.ctx)
	if err == nil {
		defer p.work.ring() // it may have been asked for again
		return p.Store.FinishTask(ctx, task)
	}
	reason := narrative.Clean(err.Error())
	if wait := pauseAfter(err, task.Attempt); wait > 0 && now().Sub(task.CreatedAt) < taskPatience {
		return p.Store.RetryTask(ctx, task, now().Add(wait), reason)
	}
	return errors.Join(err, p.Store.FailTask(ctx, task, reason))
}

// pauseAfter is how long to wait after an error before another try; 0 is for
// ever.
func pauseAfter(err error, attempt int) time.Duration {
	coded := models.AsError(err)
	switch {
	case err == nil:
		return 0
	case coded != nil && coded.RetryAfter > 0:
		return min(coded.RetryAfter+time.Second, time.Hour)
	case coded == nil, coded.Code == models.Unavailable, coded.Code == models.Internal, coded.Code == models.TooMany:
		return min(time.Second<<min(attempt-1, 10), maxTaskPause)
	default:
		return 0
	}
}

// reasonOf is an error as the ledger keeps it: what is wrong, and what to do.
func reasonOf(err error) string {
	reason := err.Error()
	if coded := models.AsError(err); coded != nil && coded.Remedy != "" {
		reason += "; " + coded.Remedy
	}
	return narrative.Clean(reason)
}

// perform does what the Task is about.
func (p *Platform) perform(ctx context.Context, task models.Task) error {
	what := about{}
	if err := json.Unmarshal([]byte(task.Payload), &what); err != nil {
		return models.Errorf(models.Invalid, "the task %s is not readable", task.Kind)
	}
	switch task.Kind {
	case taskDeliveries:
		return p.decideDeliveries(ctx, what.ID)
	case taskCatchUp:
		return p.catchUp(ctx, what.ID)
	case taskReport:
		return p.report(ctx, what.ID)
	case taskPreview:
		return p.refreshPreview(ctx, what.ID)
	}
	return models.Errorf(models.Invalid, "there is no task %q", task.Kind)
}

// purgeTasks forgets Tasks that failed long ago.
func (p *Platform) purgeTasks(ctx context.Context, at time.Time) error {
	return p.Store.PurgeTasks(ctx, at.Add(-keepFailedTasks))
}
