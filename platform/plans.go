package platform

import (
	"context"
	"errors"
	"slices"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
	"github.com/skypanel/sky/rollout"
)

// PlanView is a Plan with the Runtimes that it allows.
type PlanView struct {
	models.Plan
	Runtimes []models.Runtime
	Apps     int64 // that have it; counted for admins only
}

// PlansAsked narrows a list of Plans.
type PlansAsked struct {
	Active *bool
	Search string
}

// Plans lists the plans that can be chosen.
func (p *Platform) Plans(ctx context.Context, actor models.Actor, page models.PageRequest) (models.Page[PlanView], error) {
	if err := permitAccount(actor, models.AccountRead); err != nil {
		return models.Page[PlanView]{}, err
	}
	active := true
	rows, err := p.Store.Plans(ctx, store.PlanFilter{Active: &active}, page)
	if err != nil {
		return models.Page[PlanView]{}, err
	}
	views, err := p.planViews(ctx, rows.Items)
	return models.Page[PlanView]{Items: views, Next: rows.Next}, err
}

// AllPlans lists every plan, for an admin of the platform.
func (p *Platform) AllPlans(ctx context.Context, actor models.Actor, asked PlansAsked, page models.PageRequest) (models.Page[PlanView], error) {
	if err := permitPlatform(actor); err != nil {
		return models.Page[PlanView]{}, err
	}
	rows, err := p.Store.Plans(ctx, store.PlanFilter(asked), page)
	if err != nil {
		return models.Page[PlanView]{}, err
	}
	views, err := p.adminViews(ctx, rows.Items)
	return models.Page[PlanView]{Items: views, Next: rows.Next}, err
}

// planViews adds to the plans the Runtimes that each allows. What it reads does
// not grow with their number.
func (p *Platform) planViews(ctx context.Context, plans []models.Plan) ([]PlanView, error) {
	ids := make([]models.ID, 0, len(plans))
	for _, plan := range plans {
		ids = append(ids, plan.ID)
	}
	linked, err := p.Store.RuntimesOfPlans(ctx, ids)
	if err != nil {
		return nil, err
	}
	runtimes, err := p.Store.Runtimes(ctx)
	views := make([]PlanView, 0, len(plans))
	for _, plan := range plans {
		views = append(views, PlanView{Plan: plan, Runtimes: allowed(runtimes, linked[plan.ID])})
	}
	return views, err
}

// adminViews adds what only admins are told: how many Apps have each plan.
func (p *Platform) adminViews(ctx context.Context, plans []models.Plan) ([]PlanView, error) {
	views, err := p.planViews(ctx, plans)
	if err != nil {
		return nil, err
	}
	apps, err := p.Store.AppsByPlan(ctx)
	for i := range views {
		views[i].Apps = apps[views[i].ID]
	}
	return views, err
}

func (p *Platform) adminView(ctx context.Context, plan models.Plan) (PlanView, error) {
	views, err := p.adminViews(ctx, []models.Plan{plan})
	if err != nil {
		return PlanView{}, err
	}
	return views[0], nil
}

// allowedRuntimes lists the active Runtimes that a plan allows; without a plan
// it is all of them.
func (p *Platform) allowedRuntimes(ctx context.Context, plan *models.ID) ([]models.Runtime, error) {
	rows, err := p.Store.Runtimes(ctx)
	if err != nil || plan == nil {
		return slices.DeleteFunc(rows, func(row models.Runtime) bool { return !row.Active }), err
	}
	linked, err := p.Store.RuntimesOfPlans(ctx, []models.ID{*plan})
	return allowed(rows, linked[*plan]), err
}

// allowed keeps the active Runtimes that are linked.
func allowed(rows []models.Runtime, linked []models.ID) []models.Runtime {
	kept := make([]models.Runtime, 0, len(linked))
	for _, row := range rows {
		if row.Active && slices.Contains(linked, row.ID) {
			kept = append(kept, row)
		}
	}
	return kept
}

// Plan returns the named plan, for an admin of the platform.
func (p *Platform) Plan(ctx context.Context, actor models.Actor, name string) (PlanView, error) {
	if err := permitPlatform(actor); err != nil {
		return PlanView{}, err
	}
	plan, err := p.planNamed(ctx, name)
	if err != nil {
		return PlanView{}, err
	}
	return p.adminView(ctx, plan)
}

func (p *Platform) planNamed(ctx context.Context, name string) (models.Plan, error) {
	plan, err := p.Store.PlanByName(ctx, name)
	if models.IsCode(err, models.NotFound) {
		err = models.Errorf(models.NotFound, "there is no plan %q", narrative.Clean(name)).WithField("plan").
			WithRemedy("`sky plans list` shows them")
	}
	return plan, err
}

// PlanChange are what to make a plan of, or what to change of one; nil leaves a
// setting as it is. Runtimes are named "node 22"; nil leaves those allowed.
type PlanChange struct {
	Name         *string
	Description  *string
	CPUMillis    *int64
	MemoryBytes  *int64
	StorageBytes *int64
	Pids         *int64
	BuildLimits
	MaxInstances *int
	PriceMonth   *models.Money
	PriceHour    *models.Money
	Position     *int
	Active       *bool
	Runtimes     *[]string
}

// BuildLimits are what a plan gives each build; nil leaves one as it is.
type BuildLimits struct {
	CPUMillis   *int64 // 0 are all CPUs
	MemoryBytes *int64
	Minutes     *int
}

func (c PlanChange) apply(plan *models.Plan) error {
	put(&plan.Name, c.Name)
	put(&plan.Description, c.Description)
	put(&plan.CPUMillis, c.CPUMillis)
	put(&plan.MemoryBytes, c.MemoryBytes)
	put(&plan.StorageBytes, c.StorageBytes)
	put(&plan.Pids, c.Pids)
	put(&plan.BuildCPUMillis, c.BuildLimits.CPUMillis)
	put(&plan.BuildMemoryBytes, c.BuildLimits.MemoryBytes)
	put(&plan.BuildMinutes, c.BuildLimits.Minutes)
	put(&plan.MaxInstances, c.MaxInstances)
	put(&plan.PriceMonth, c.PriceMonth)
	put(&plan.PriceHour, c.PriceHour)
	put(&plan.Position, c.Position)
	put(&plan.Active, c.Active)
	return checkPlan(*plan)
}

// CreatePlan makes a plan; what wanted does not say is the default plan's.
func (p *Platform) CreatePlan(ctx context.Context, actor models.Actor, wanted PlanChange) (PlanView, error) {
	if err := permitPlatform(actor); err != nil {
		return PlanView{}, err
	}
	plan := models.Plan{
		ID: models.NewID(), CPUMillis: 1000, MemoryBytes: 512 * mib, StorageBytes: 5 * gib, Pids: 256, MaxInstances: 5, Position: 100,
		BuildMemoryBytes: defaultBuildMemory, BuildMinutes: defaultBuildMinutes, Active: true, CreatedAt: now(),
	}
	if err := wanted.apply(&plan); err != nil {
		return PlanView{}, err
	}
	err := p.commit(ctx, actor, fact{kind: "plan.create", detail: plan.Name}, func(tx *store.Store) error {
		if err := tx.CreatePlan(ctx, &plan); err != nil {
			return taken(err, "plan", plan.Name)
		}
		return linkRuntimes(ctx, tx, plan.ID, wanted.Runtimes)
	})
	if err != nil {
		return PlanView{}, err
	}
	return p.adminView(ctx, plan)
}

// taken puts a name that exists already into words.
func taken(err error, noun, name string) error {
	if models.IsCode(err, models.Conflict) {
		return models.Errorf(models.Conflict, "there is a %s %q already", noun, name).WithField("name").WithRemedy("choose another name")
	}
	return err
}

// linkRuntimes allows the plan the named Runtimes and no others; nil changes
// nothing.
func linkRuntimes(ctx context.Context, tx *store.Store, plan models.ID, names *[]string) error {
	if names == nil {
		return nil
	}
	rows, err := tx.Runtimes(ctx)
	if err != nil {
		return err
	}
	known := map[string]models.ID{}
	for _, row := range rows {
		known[row.Type+" "+row.Version] = row.ID
	}
	var ids []models.ID
	for _, name := range *names {
		id, ok := known[name]
		if !ok {
			return models.Errorf(models.Invalid, "there is no runtime %q", name).WithField("runtimes").
				WithRemedy("name them by type and version, such as \"node 22\"")
		}
		delete(known, name) // a name twice is no link twice
		ids = append(ids, id)
	}
	return tx.SetPlanRuntimes(ctx, plan, ids)
}

// ChangePlan changes a plan. What runs keeps its price and its limits until it is
// replaced.
func (p *Platform) ChangePlan(ctx context.Context, actor models.Actor, name, revision string, change PlanChange) (PlanView, error) {
	if err := permitPlatform(actor); err != nil {
		return PlanView{}, err
	}
	plan, err := p.planNamed(ctx, name)
	if err != nil {
		return PlanView{}, err
	}
	err = p.commit(ctx, actor, fact{kind: "plan.change", detail: name}, func(tx *store.Store) error {
		plan, err = tx.UpdatePlan(ctx, plan.ID, func(row *models.Plan) error {
			if err := models.CheckRevision(revision, row.Revision()); err != nil {
				return err
			}
			return change.apply(row)
		})
		if err != nil {
			return taken(err, "plan", plan.Name)
		}
		return linkRuntimes(ctx, tx, plan.ID, change.Runtimes)
	})
	if err != nil {
		return PlanView{}, err
	}
	return p.adminView(ctx, plan)
}

// DeletePlan removes a plan that nothing has.
func (p *Platform) DeletePlan(ctx context.Context, actor models.Actor, name string) error {
	if err := permitPlatform(actor); err != nil {
		return err
	}
	plan, err := p.planNamed(ctx, name)
	if err != nil {
		return err
	}
	options, err := p.Options(ctx)
	if err != nil {
		return err
	}
	if options.DefaultPlan == name {
		return models.Errorf(models.Conflict, "%s is the default plan", name).WithRemedy("make another the default: sky admin settings set default-plan=…")
	}
	return p.commit(ctx, actor, fact{kind: "plan.delete", detail: name}, func(tx *store.Store) error { return tx.DeletePlan(ctx, plan.ID) })
}

// ChangeAppPlan moves an App to another plan, at once: fresh Instances with the
// new plan's limits and price replace the running ones, without losing a
// request. A plan that is too small for what the App runs is refused; with one that
// nothing starts on, the App keeps its own.
func (p *Platform) ChangeAppPlan(ctx context.Context, actor models.Actor, app models.App, name string, log rollout.Log) error {
	id, err := p.choosePlan(ctx, name)
	if err != nil || id == nil {
		return err
	}
	plan, err := p.Store.Plan(ctx, *id)
	if err != nil {
		return err
	}
	return p.inLane(ctx, app, func(ctx context.Context, app models.App) error {
		if app.PlanID != nil && *app.PlanID == plan.ID {
			return models.Errorf(models.Conflict, "%s has the plan %s already", app.Name, plan.Name).WithField("plan")
		}
		if err := p.fitsPlan(ctx, app, plan); err != nil {
			return err
		}
		former := app.PlanID
		app, err := p.putPlan(ctx, actor, app, &plan.ID, plan.Name)
		if err != nil || app.LiveReleaseID == nil || app.Stopped || app.Suspended {
			return err
		}
		release, err := p.Store.Release(ctx, *app.LiveReleaseID)
		if err != nil {
			return err
		}
		err = p.roll(ctx, rollout.Want{App: app, Release: release, Formation: formation(app, release)}, log)
		if err == nil || p.stopping(err) {
			return err
		}
		_, back := p.putPlan(context.WithoutCancel(ctx), models.Actor{Name: "sky"}, app, former, "back: nothing started on "+plan.Name)
		return errors.Join(err, back)
	})
}

// putPlan gives the App a plan, with its audit fact.
func (p *Platform) putPlan(ctx context.Context, actor models.Actor, app models.App, plan *models.ID, detail string) (models.App, error) {
	err := p.commit(ctx, actor, fact{kind: "app.plan", detail: detail, app: &app}, func(tx *store.Store) error {
		var err error
		app, err = tx.UpdateApp(ctx, app.ID, func(row *models.App) error {
			row.PlanID = plan
			return nil
		})
		return err
	})
	return app, err
}

// fitsPlan refuses a plan that does not allow what the App runs.
func (p *Platform) fitsPlan(ctx context.Context, app models.App, plan models.Plan) error {
	if app.LiveReleaseID == nil {
		return nil
	}
	release, err := p.Store.Release(ctx, *app.LiveReleaseID)
	if err != nil {
		return err
	}
	return checkInstances(plan, formation(app, release))
}
