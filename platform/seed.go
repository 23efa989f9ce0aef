package platform

import (
	"context"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/models/store"
)

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// What a build may use on a plan that does not say.
const (
	defaultBuildMemory  = 2 * gib
	defaultBuildMinutes = 30
)

// defaultPlans are the plans of a fresh installation, cheapest first.
func defaultPlans() []models.Plan {
	row := func(name, description string, millis, memory, storage int64, instances int, month models.Money) models.Plan {
		const hoursInMonth = 730
		return models.Plan{
			Name: name, Description: description, CPUMillis: millis, MemoryBytes: memory, StorageBytes: storage, Pids: 256,
			BuildMemoryBytes: max(defaultBuildMemory, memory), BuildMinutes: defaultBuildMinutes,
			MaxInstances: instances, PriceMonth: month, PriceHour: month / hoursInMonth, Active: true,
		}
	}
	plans := []models.Plan{
		row("starter", "To try things out", 500, 256*mib, 1*gib, 2, 3*models.MoneyUnit),
		row("basic", "For small apps", 1000, 512*mib, 5*gib, 5, 7*models.MoneyUnit),
		row("standard", "For apps that people rely on", 1000, 1*gib, 10*gib, 20, 15*models.MoneyUnit),
		row("professional", "For busy apps", 2000, 2*gib, 20*gib, 50, 35*models.MoneyUnit),
		row("enterprise", "For the heaviest", 4000, 8*gib, 50*gib, 100, 120*models.MoneyUnit),
	}
	for i := range plans {
		plans[i].Position = i + 1
	}
	return plans
}

// defaultPlan is what an App gets that asks for none, until an admin decides
// otherwise.
const defaultPlan = "basic"

// defaultRuntimes are the rows of a fresh installation. Images that begin with
// "sky-stack/" are made by Sky itself, from the distribution's packages.
func defaultRuntimes() []models.Runtime {
	row := func(kind, version, build, run string, preferred bool) models.Runtime {
		return models.Runtime{
			Type: kind, Version: version, BuildImage: build, RunImage: run, Default: preferred, Active: true,
		}
	}
	var rows []models.Runtime
	for _, version := range []string{"18", "20", "22", "24"} {
		rows = append(rows, row("node", version, "node:"+version+"-bookworm", "node:"+version+"-bookworm-slim", version == "22"))
	}
	for _, version := range []string{"3.10", "3.11", "3.12", "3.13"} {
		rows = append(rows, row("python", version, "python:"+version+"-bookworm", "python:"+version+"-slim-bookworm", version == "3.11"))
	}
	for _, version := range []string{"3.1", "3.2", "3.3", "3.4"} {
		rows = append(rows, row("ruby", version, "ruby:"+version+"-bookworm", "ruby:"+version+"-slim-bookworm", version == "3.3"))
	}
	for _, version := range []string{"17", "21", "25"} {
		rows = append(rows, row("java", version, "maven:3-eclipse-temurin-"+version, "eclipse-temurin:"+version+"-jre", version == "17"))
	}
	return append(rows,
		row("go", "1.26", "golang:1.26-bookworm", "debian:bookworm-slim", true),
		row("php", "8.2", "sky-stack/php-build:8.2", "sky-stack/php-run:8.2", true),
		row("rust", "1", "rust:1-bookworm", "sky-stack/rust-run:1", true),
		row("static", "1", "sky-stack/static-build:1", "sky-stack/static-run:1", true),
		row("docker", "1", "", "", true),
	)
}

// seeded is the setting that lists what was seeded once: a row that an admin
// deleted does not come back.
const seeded = "seeded"

// Seed adds the default plans and runtimes, each once in the life of an
// installation, and links new ones with each other. What an admin edited or
// deleted stays as it is. It returns how many rows it added.
func (p *Platform) Seed(ctx context.Context) (int, error) {
	added := 0
	err := p.Store.Transact(ctx, func(tx *store.Store) error {
		before, err := seededBefore(ctx, tx)
		if err != nil {
			return err
		}
		plans, err := seedPlans(ctx, tx, before)
		if err != nil {
			return err
		}
		runtimes, err := seedRuntimes(ctx, tx, before)
		if err != nil {
			return err
		}
		added = len(plans) + len(runtimes)
		if err := linkSeeded(ctx, tx, plans, runtimes); err != nil || added == 0 {
			return err
		}
		return tx.PutSetting(ctx, seeded, before)
	})
	if err != nil {
		return 0, err
	}
	return added, p.givePlans(ctx)
}

// SeedFor is Seed, for an admin of the platform who asks for it.
func (p *Platform) SeedFor(ctx context.Context, actor models.Actor) (int, error) {
	if err := permitPlatform(actor); err != nil {
		return 0, err
	}
	p.record(ctx, actor, fact{kind: "settings.seed"})
	return p.Seed(ctx)
}

func seededBefore(ctx context.Context, tx *store.Store) (map[string]bool, error) {
	before := map[string]bool{}
	err := tx.LockSetting(ctx, seeded, &before)
	return before, err
}

func seedPlans(ctx context.Context, tx *store.Store, before map[string]bool) ([]models.Plan, error) {
	var added []models.Plan
	for _, plan := range defaultPlans() {
		if before["plan "+plan.Name] {
			continue
		}
		before["plan "+plan.Name] = true
		if _, err := tx.PlanByName(ctx, plan.Name); !models.IsCode(err, models.NotFound) {
			if err != nil {
				return nil, err
			}
			continue
		}
		plan.ID, plan.CreatedAt = models.NewID(), now()
		if err := tx.CreatePlan(ctx, &plan); err != nil {
			return nil, err
		}
		added = append(added, plan)
	}
	return added, nil
}

func seedRuntimes(ctx context.Context, tx *store.Store, before map[string]bool) ([]models.Runtime, error) {
	present, err := tx.Runtimes(ctx)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, runtime := range present {
		there[runtime.Type+" "+runtime.Version] = true
	}
	var added []models.Runtime
	for _, runtime := range defaultRuntimes() {
		name := runtime.Type + " " + runtime.Version
		if before["runtime "+name] {
			continue
		}
		before["runtime "+name] = true
		if there[name] {
			continue
		}
		runtime.ID, runtime.CreatedAt = models.NewID(), now()
		if err := tx.CreateRuntime(ctx, &runtime); err != nil {
			return nil, err
		}
		added = append(added, runtime)
	}
	return added, nil
}

// linkSeeded allows every plan the runtimes that are new, and new plans every
// runtime.
func linkSeeded(ctx context.Context, tx *store.Store, plans []models.Plan, runtimes []models.Runtime) error {
	if len(plans)+len(runtimes) == 0 {
		return nil
	}
	allRuntimes, err := tx.Runtimes(ctx)
	if err != nil {
		return err
	}
	allPlans, err := tx.Plans(ctx, store.PlanFilter{}, models.Everything())
	if err != nil {
		return err
	}
	fresh := map[models.ID]bool{}
	for _, plan := range plans {
		fresh[plan.ID] = true
	}
	for _, plan := range allPlans.Items {
		linked := runtimes
		if fresh[plan.ID] {
			linked = allRuntimes
		}
		if err := allow(ctx, tx, plan, linked); err != nil {
			return err
		}
	}
	return nil
}

func allow(ctx context.Context, tx *store.Store, plan models.Plan, runtimes []models.Runtime) error {
	linked, err := tx.RuntimesOfPlans(ctx, []models.ID{plan.ID})
	if err != nil {
		return err
	}
	ids := linked[plan.ID]
	for _, runtime := range runtimes {
		ids = append(ids, runtime.ID)
	}
	return tx.SetPlanRuntimes(ctx, plan.ID, ids)
}

// givePlans gives Apps from before there were plans the default one.
func (p *Platform) givePlans(ctx context.Context) error {
	plan, err := p.choosePlan(ctx, "")
	if err != nil || plan == nil {
		return err
	}
	return p.Store.GivePlansToApps(ctx, *plan)
}
