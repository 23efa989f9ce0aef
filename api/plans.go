package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
	"github.com/skypanel/sky/rollout"
)

// PlanInput is a request about one Plan.
type PlanInput struct {
	Plan string `path:"plan" maxLength:"40" doc:"The plan's name"`
}

// RuntimeInput is a request about one Runtime.
type RuntimeInput struct {
	Runtime string `path:"runtime" maxLength:"41" doc:"Type and version, as node:22, or the id"`
}

func (s *server) plans(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, customerPrefix+"/plans", "list-plans", "List the plans that can be chosen", models.AccountRead), s.listPlans)
	huma.Register(routes, operation(http.MethodPost, appPath+"/plan", "change-app-plan", "Move an app to another plan, at once", models.AppConfigure), s.changeAppPlan)
	const all, one = adminPrefix + "/plans", adminPrefix + "/plans/{plan}"
	huma.Register(routes, operation(http.MethodGet, all, "list-all-plans", "List every plan", models.PlatformManage), s.listAllPlans)
	huma.Register(routes, creating(all, "create-plan", "Create a plan", models.PlatformManage), s.createPlan)
	huma.Register(routes, operation(http.MethodGet, one, "get-plan", "Show a plan", models.PlatformManage), s.getPlan)
	huma.Register(routes, operation(http.MethodPatch, one, "change-plan", "Change a plan", models.PlatformManage), s.changePlan)
	huma.Register(routes, operation(http.MethodDelete, one, "delete-plan", "Delete a plan that nothing has", models.PlatformManage), s.deletePlan)
}

func (s *server) runtimes(routes huma.API) {
	huma.Register(routes, operation(http.MethodGet, customerPrefix+"/runtimes", "list-runtimes", "List the runtimes that can be used", models.AccountRead), s.listRuntimes)
	const all, one = adminPrefix + "/runtimes", adminPrefix + "/runtimes/{runtime}"
	huma.Register(routes, operation(http.MethodGet, all, "list-all-runtimes", "List every runtime", models.PlatformManage), s.listAllRuntimes)
	huma.Register(routes, creating(all, "create-runtime", "Create a runtime", models.PlatformManage), s.createRuntime)
	huma.Register(routes, operation(http.MethodGet, one, "get-runtime", "Show a runtime", models.PlatformManage), s.getRuntime)
	huma.Register(routes, operation(http.MethodPatch, one, "change-runtime", "Change a runtime", models.PlatformManage), s.changeRuntime)
	huma.Register(routes, operation(http.MethodDelete, one, "delete-runtime", "Delete a runtime", models.PlatformManage), s.deleteRuntime)
}

func wirePlan(view platform.PlanView) v1.Plan {
	plan := view.Plan
	return v1.Plan{
		Name: plan.Name, Description: plan.Description, CPUMillis: plan.CPUMillis, MemoryBytes: plan.MemoryBytes,
		StorageBytes: plan.StorageBytes, Pids: plan.Pids, MaxInstances: plan.MaxInstances,
		BuildCPUMillis: plan.BuildCPUMillis, BuildMemoryBytes: plan.BuildMemoryBytes, BuildMinutes: plan.BuildMinutes,
		PriceMonthMicros: int64(plan.PriceMonth), PriceHourMicros: int64(plan.PriceHour), Position: plan.Position,
		Active: plan.Active, Apps: view.Apps, CreatedAt: plan.CreatedAt,
		Runtimes: each(view.Runtimes, func(row models.Runtime) string { return row.Type + " " + row.Version }),
	}
}

func planChange(wire v1.PlanChange) platform.PlanChange {
	return platform.PlanChange{
		Name: wire.Name, Description: wire.Description, CPUMillis: wire.CPUMillis, MemoryBytes: wire.MemoryBytes,
		StorageBytes: wire.StorageBytes, Pids: wire.Pids, MaxInstances: wire.MaxInstances, Position: wire.Position,
		BuildLimits: platform.BuildLimits{CPUMillis: wire.BuildCPUMillis, MemoryBytes: wire.BuildMemoryBytes, Minutes: wire.BuildMinutes},
		PriceMonth:  (*models.Money)(wire.PriceMonthMicros), PriceHour: (*models.Money)(wire.PriceHourMicros),
		Active: wire.Active, Runtimes: wire.Runtimes,
	}
}

func (s *server) listPlans(ctx context.Context, input *PageInput) (*body[v1.Page[v1.Plan]], error) {
	views, err := s.Platform.Plans(ctx, actor(ctx), input.page())
	return pageOf(ctx, s, views, wirePlan, err)
}

func (s *server) changeAppPlan(ctx context.Context, input *struct {
	AppInput
	Body v1.AppPlan
}) (*body[v1.Outcome], error) {
	return s.operate(ctx, input.App, models.AppConfigure, func(app models.App, log rollout.Log) (string, error) {
		return "", s.Platform.ChangeAppPlan(ctx, actor(ctx), app, input.Body.Plan, log)
	})
}

func (s *server) listAllPlans(ctx context.Context, input *struct {
	PageInput
	Active OptionalBool `query:"active" doc:"Only those that can be chosen, or only those that cannot"`
	Search string       `query:"search" maxLength:"100" doc:"Only those that have this in a text of theirs"`
}) (*body[v1.Page[v1.Plan]], error) {
	views, err := s.Platform.AllPlans(ctx, actor(ctx), platform.PlansAsked{Active: input.Active.value(), Search: input.Search}, input.page())
	return pageOf(ctx, s, views, wirePlan, err)
}

func (s *server) createPlan(ctx context.Context, input *body[v1.PlanChange]) (*tagged[v1.Plan], error) {
	view, err := s.Platform.CreatePlan(ctx, actor(ctx), planChange(input.Body))
	return revised(ctx, s, wirePlan(view), view.Revision(), err)
}

func (s *server) getPlan(ctx context.Context, input *PlanInput) (*tagged[v1.Plan], error) {
	view, err := s.Platform.Plan(ctx, actor(ctx), input.Plan)
	return revised(ctx, s, wirePlan(view), view.Revision(), err)
}

func (s *server) changePlan(ctx context.Context, input *struct {
	PlanInput
	IfMatchInput
	Body v1.PlanChange
}) (*tagged[v1.Plan], error) {
	view, err := s.Platform.ChangePlan(ctx, actor(ctx), input.Plan, input.revision(), planChange(input.Body))
	return revised(ctx, s, wirePlan(view), view.Revision(), err)
}

func (s *server) deletePlan(ctx context.Context, input *PlanInput) (*struct{}, error) {
	return s.done(ctx, s.Platform.DeletePlan(ctx, actor(ctx), input.Plan))
}

func wireRuntime(row models.Runtime) v1.Runtime {
	return v1.Runtime{
		ID: row.ID.String(), Type: row.Type, Version: row.Version, BuildImage: row.BuildImage, RunImage: row.RunImage,
		BuildCommand: row.BuildCommand, StartCommand: row.StartCommand, Default: row.Default, Active: row.Active, CreatedAt: row.CreatedAt,
	}
}

func (s *server) listRuntimes(ctx context.Context, input *struct {
	PageInput
	Type   string `query:"type" maxLength:"20" doc:"Only those of this language"`
	Search string `query:"search" maxLength:"100" doc:"Only those that have this in a text of theirs"`
}) (*body[v1.Page[v1.Runtime]], error) {
	rows, err := s.Platform.Runtimes(ctx, actor(ctx), platform.RuntimesAsked{Type: input.Type, Search: input.Search}, input.page())
	return pageOf(ctx, s, rows, wireRuntime, err)
}

func (s *server) listAllRuntimes(ctx context.Context, input *struct {
	PageInput
	Type   string       `query:"type" maxLength:"20" doc:"Only those of this language"`
	Active OptionalBool `query:"active" doc:"Only those that can be used, or cannot"`
	Search string       `query:"search" maxLength:"100" doc:"Only those that have this in a text of theirs"`
}) (*body[v1.Page[v1.Runtime]], error) {
	asked := platform.RuntimesAsked{Type: input.Type, Active: input.Active.value(), Search: input.Search}
	rows, err := s.Platform.AllRuntimes(ctx, actor(ctx), asked, input.page())
	return pageOf(ctx, s, rows, wireRuntime, err)
}

func (s *server) createRuntime(ctx context.Context, input *body[v1.RuntimeChange]) (*tagged[v1.Runtime], error) {
	row, err := s.Platform.CreateRuntime(ctx, actor(ctx), platform.RuntimeChange(input.Body))
	return revised(ctx, s, wireRuntime(row), row.Revision(), err)
}

func (s *server) getRuntime(ctx context.Context, input *RuntimeInput) (*tagged[v1.Runtime], error) {
	row, err := s.Platform.Runtime(ctx, actor(ctx), input.Runtime)
	return revised(ctx, s, wireRuntime(row), row.Revision(), err)
}

func (s *server) changeRuntime(ctx context.Context, input *struct {
	RuntimeInput
	IfMatchInput
	Body v1.RuntimeChange
}) (*tagged[v1.Runtime], error) {
	row, err := s.Platform.ChangeRuntime(ctx, actor(ctx), input.Runtime, input.revision(), platform.RuntimeChange(input.Body))
	return revised(ctx, s, wireRuntime(row), row.Revision(), err)
}

func (s *server) deleteRuntime(ctx context.Context, input *struct {
	RuntimeInput
	Force bool `query:"force" doc:"Also one that live apps were built with"`
}) (*struct{}, error) {
	return s.done(ctx, s.Platform.DeleteRuntime(ctx, actor(ctx), input.Runtime, input.Force))
}
