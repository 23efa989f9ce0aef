package platform

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/skypanel/sky/agent/protocol"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// TestSeedIsOnce: defaults come once; what an admin edited or deleted stays so.
func TestSeedIsOnce(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		plans, err := b.AllPlans(ctx, b.admin, PlansAsked{}, models.PageRequest{})
		require.NoError(t, err)
		var names []string
		for _, plan := range plans.Items {
			names = append(names, plan.Name)
			require.Len(t, plan.Runtimes, len(defaultRuntimes()), "every plan allows every runtime")
		}
		require.Equal(t, []string{"starter", "basic", "standard", "professional", "enterprise"}, names)
		added, err := b.Seed(ctx)
		require.NoError(t, err)
		require.Zero(t, added)

		price := models.Money(42)
		_, err = b.ChangePlan(ctx, b.admin, "starter", "", PlanChange{PriceHour: &price})
		require.NoError(t, err)
		require.NoError(t, b.DeletePlan(ctx, b.admin, "enterprise"))
		require.NoError(t, b.DeleteRuntime(ctx, b.admin, "ruby:3.3", false))
		var group sync.WaitGroup
		for range 4 { // several control planes start at once
			group.Go(func() {
				if added, err := b.Seed(context.WithoutCancel(ctx)); err != nil || added != 0 {
					t.Error(added, err)
				}
			})
		}
		group.Wait()
		starter, err := b.Plan(ctx, b.admin, "starter")
		require.NoError(t, err)
		require.Equal(t, price, starter.PriceHour)
		_, err = b.Plan(ctx, b.admin, "enterprise")
		require.True(t, models.IsCode(err, models.NotFound))
	})
}

func TestPlansAreChecked(t *testing.T) {
	s := newStage(t)
	number := func(value int64) *int64 { return &value }
	count := func(value int) *int { return &value }
	amount := func(value models.Money) *models.Money { return &value }
	name := func(value string) *string { return &value }
	names := func(values ...string) *[]string { return &values }
	for field, change := range map[string]PlanChange{
		"name":               {Name: name("Big Plan")},
		"cpu_millis":         {Name: name("p"), CPUMillis: number(0)},
		"memory_bytes":       {Name: name("p"), MemoryBytes: number(1 << 20)},
		"storage_bytes":      {Name: name("p"), StorageBytes: number(-1)},
		"pids":               {Name: name("p"), Pids: number(1)},
		"max_instances":      {Name: name("p"), MaxInstances: count(0)},
		"price_hour_micros":  {Name: name("p"), PriceHour: amount(-1)},
		"price_month_micros": {Name: name("p"), PriceMonth: amount(-1)},
		"runtimes":           {Name: name("p"), Runtimes: names("cobol 85")},
	} {
		_, err := s.CreatePlan(t.Context(), s.actor, change)
		require.True(t, models.IsCode(err, models.Invalid), field)
		require.Equal(t, field, models.AsError(err).Field)
		require.NotEmpty(t, models.AsError(err).Remedy)
	}
	_, err := s.CreatePlan(t.Context(), s.actor, PlanChange{Name: name("basic")})
	require.True(t, models.IsCode(err, models.Conflict))
	_, err = s.CreatePlan(t.Context(), s.actor, PlanChange{Name: name("tiny"), Runtimes: names("go 1.26", "go 1.26")})
	require.True(t, models.IsCode(err, models.Invalid), "the same runtime twice: %v", err)
	made, err := s.CreatePlan(t.Context(), s.actor, PlanChange{Name: name("tiny"), Runtimes: names("go 1.26")})
	require.NoError(t, err)
	require.Len(t, made.Runtimes, 1)
	_, err = s.ChangePlan(t.Context(), s.actor, "tiny", "some other revision", PlanChange{Pids: number(100)})
	require.True(t, models.IsCode(err, models.Stale))
	_, err = s.ChangePlan(t.Context(), s.actor, "tiny", made.Revision(), PlanChange{Pids: number(100)})
	require.NoError(t, err)
}

// TestPlansLimit: an app's plan decides what it is built on, how many instances
// run, and what each gets; a change of plan is at once.
func TestPlansLimit(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	var offered []string
	s.build.build = func(_ context.Context, job buildpipeline.Job) error {
		offered = nil
		for _, row := range job.Runtimes {
			offered = append(offered, row.Type+" "+row.Version)
		}
		return nil
	}
	runtimes, two, memory := []string{"go 1.26", "docker 1"}, 2, 64*mib
	name := "tiny"
	_, err := s.CreatePlan(ctx, s.actor, PlanChange{Name: &name, Runtimes: &runtimes, MaxInstances: &two, MemoryBytes: &memory})
	require.NoError(t, err)
	require.NoError(t, s.ChangeAppPlan(ctx, s.actor, s.live(t), "tiny", silent{}))
	_, err = s.push(t, 1)
	require.NoError(t, err)
	slices.Sort(offered)
	require.Equal(t, []string{"docker 1", "go 1.26"}, offered)

	off := false
	_, err = s.ChangeOptions(ctx, s.actor, OptionsChange{CustomImages: &off})
	require.NoError(t, err)
	_, err = s.push(t, 2)
	require.NoError(t, err)
	require.Equal(t, []string{"go 1.26"}, offered)

	err = s.Scale(ctx, s.actor, s.live(t), models.Formation{"web": 2, "worker": 1}, silent{})
	require.ErrorContains(t, err, "3 instances, and the plan tiny allows an app 2")
	require.NoError(t, s.Scale(ctx, s.actor, s.live(t), models.Formation{"web": 1, "worker": 1}, silent{}))

	node, err := s.EnsureNode(ctx, "local")
	require.NoError(t, err)
	limits := func() (memories []int64) {
		assignment, err := s.Assignment(ctx, node.ID)
		require.NoError(t, err)
		for _, instance := range assignment.Instances {
			memories = append(memories, instance.Limits.MemoryBytes)
		}
		return memories
	}
	require.Equal(t, []int64{memory, memory}, limits())
	more := 128 * mib
	_, err = s.ChangePlan(ctx, s.actor, "tiny", "", PlanChange{MemoryBytes: &more})
	require.NoError(t, err)
	require.NoError(t, s.ChangeAppPlan(ctx, s.actor, s.live(t), "standard", silent{}))
	require.Equal(t, []int64{gib, gib}, limits())

	one := 1
	_, err = s.ChangePlan(ctx, s.actor, "starter", "", PlanChange{MaxInstances: &one})
	require.NoError(t, err)
	err = s.ChangeAppPlan(ctx, s.actor, s.live(t), "starter", silent{})
	require.ErrorContains(t, err, "2 instances, and the plan starter allows an app 1", "a downgrade is checked")
	err = s.DeletePlan(ctx, s.actor, "standard")
	require.ErrorContains(t, err, "in use")
}

func TestRuntimesAreChecked(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	text := func(value string) *string { return &value }
	good := RuntimeChange{Type: text("node"), Version: text("23"), BuildImage: text("node:23"), RunImage: text("node:23-slim")}
	for name, test := range map[string]struct {
		spoil func(*RuntimeChange)
		field string
	}{
		"type":         {func(c *RuntimeChange) { c.Type = text("cobol") }, "type"},
		"version":      {func(c *RuntimeChange) { c.Version = text("latest; id") }, "version"},
		"shell":        {func(c *RuntimeChange) { c.BuildImage = text("node:$(id)") }, "build_image"},
		"option":       {func(c *RuntimeChange) { c.RunImage = text("--privileged") }, "run_image"},
		"empty":        {func(c *RuntimeChange) { c.RunImage = text("") }, "run_image"},
		"upper case":   {func(c *RuntimeChange) { c.RunImage = text("Node:23") }, "run_image"},
		"short digest": {func(c *RuntimeChange) { c.RunImage = text("node@sha256:abc") }, "run_image"},
		"two lines":    {func(c *RuntimeChange) { c.StartCommand = text("a\nb") }, "start_command"},
	} {
		change := good
		test.spoil(&change)
		_, err := s.CreateRuntime(ctx, s.actor, change)
		require.True(t, models.IsCode(err, models.Invalid), "%s: %v", name, err)
		require.Equal(t, test.field, models.AsError(err).Field, name)
	}
	off, yes := false, true
	_, err := s.ChangeOptions(ctx, s.actor, OptionsChange{CustomImages: &off})
	require.NoError(t, err)
	custom := good
	custom.BuildImage = text("registry.example.com:5000/team/node:23")
	_, err = s.CreateRuntime(ctx, s.actor, custom)
	require.True(t, models.IsCode(err, models.Forbidden), "custom images are off: %v", err)
	good.Default = &yes
	_, err = s.CreateRuntime(ctx, s.actor, good)
	require.NoError(t, err)
	rows, err := s.Store.Runtimes(ctx)
	require.NoError(t, err)
	var defaults []string
	for _, row := range rows {
		if row.Type == "node" && row.Default {
			defaults = append(defaults, row.Version)
		}
	}
	require.Equal(t, []string{"23"}, defaults, "a type has one default")
	_, err = s.CreateRuntime(ctx, s.actor, good)
	require.True(t, models.IsCode(err, models.Conflict))
}

// TestAPlanThatNothingStartsOnIsNotTaken: the App runs on, with the plan that it
// had, and may try again.
func TestAPlanThatNothingStartsOnIsNotTaken(t *testing.T) {
	s := newStage(t)
	_, err := s.push(t, 1)
	require.NoError(t, err)
	before := s.live(t)
	s.nodes.become = func(instance protocol.Instance) protocol.InstanceStatus {
		if instance.Limits.NanoCPUs > 1_000_000_000 {
			return protocol.InstanceStatus{State: string(models.InstanceFailed), Reason: "as there are only 1 CPUs available"}
		}
		return protocol.InstanceStatus{State: string(models.InstanceHealthy)}
	}
	for range 2 {
		err = s.ChangeAppPlan(t.Context(), s.actor, before, "enterprise", silent{})
		require.ErrorContains(t, err, "only 1 CPUs")
		require.Equal(t, before.PlanID, s.live(t).PlanID)
	}
	require.NoError(t, s.Restart(t.Context(), s.actor, before, silent{}))
	require.NoError(t, s.ChangeAppPlan(t.Context(), s.actor, before, "starter", silent{}))
}

// TestAHealthPathCanBeAskedFor: one that no agent can ask for is refused where it
// is set, not when the app starts.
func TestAHealthPathCanBeAskedFor(t *testing.T) {
	for path, fine := range map[string]bool{
		"": true, "/": true, "/healthz?deep=1": true, "/a%20b": true, "/ü": true,
		"healthz": false, "/%zz": false, "/a b": false, "/a\tb": false, "/\x7f": false, "http://elsewhere/": false,
	} {
		require.Equal(t, fine, isHealthPath(path), path)
	}
}

// TestInvitationsOfWhoIsTakenOutAreVoid: a way back in that somebody left is shut
// with their role.
func TestInvitationsOfWhoIsTakenOutAreVoid(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		acme := b.organisation(t, "acme")
		for name, takeOut := range map[string]func(models.Membership) error{
			"removed": func(member models.Membership) error { return b.RemoveMember(ctx, b.admin, "acme", "removed") },
			"lowered": func(member models.Membership) error {
				_, err := b.ChangeMember(ctx, b.admin, "acme", "lowered", models.RoleDeveloper)
				return err
			},
			"disabled": func(member models.Membership) error {
				yes := true
				_, err := b.ChangeUser(ctx, b.admin, "disabled", "", UserChange{Disabled: &yes})
				return err
			},
			"stays": func(models.Membership) error { return nil },
		} {
			user := models.User{ID: models.NewID(), Name: name}
			require.NoError(t, b.Store.CreateUser(ctx, &user))
			member := models.Membership{ID: models.NewID(), OrganisationID: acme.ID, UserID: user.ID, Role: models.RoleAdmin}
			require.NoError(t, b.Store.CreateMembership(ctx, &member))
			inviter := models.Actor{UserID: user.ID, Name: name, Scopes: models.AllScopes()}
			_, token, err := b.Invite(ctx, inviter, "acme", name+"@example.com", models.RoleAdmin)
			require.NoError(t, err)
			require.NoError(t, takeOut(member))
			_, err = b.SignUp(ctx, NewMember{Token: token, Name: name + "-again", Password: "correct horse battery"})
			require.Equal(t, name == "stays", err == nil, "%s: %v", name, err)
		}
	})
}

// TestAPlanThatIsDeletedMeanwhile: whoever comes second is told so; nothing is a
// fault of Sky's.
func TestAPlanThatIsDeletedMeanwhile(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		b.organisation(t, "acme")
		b.Repositories = &repositories{}
		for i := range 20 {
			name := fmt.Sprintf("race-%d", i)
			_, err := b.CreatePlan(ctx, b.admin, PlanChange{Name: &name})
			require.NoError(t, err)
			var race sync.WaitGroup
			var created, deleted error
			race.Go(func() { _, created = b.CreateApp(ctx, b.admin, NewApp{Name: name, Organisation: "acme", Plan: name}) })
			race.Go(func() { deleted = b.DeletePlan(ctx, b.admin, name) })
			race.Wait()
			require.NotEqual(t, created == nil, deleted == nil, "%v, %v", created, deleted)
			for _, err := range []error{created, deleted} {
				require.False(t, models.IsCode(err, models.Internal), "%v", err)
			}
		}
	})
}

// meanwhile does something while a repository is made.
type meanwhile struct {
	*repositories
	do func()
}

func (m *meanwhile) Create(context.Context, models.ID) error {
	m.do()
	return nil
}

// TestNoAppOutlivesItsOrganisation: an App that is made while its Organisation is
// destroyed, or filled up, is not made.
func TestNoAppOutlivesItsOrganisation(t *testing.T) {
	onBothEngines(t, func(t *testing.T, b *books, _ string) {
		ctx := t.Context()
		gone := b.organisation(t, "acme")
		hook := &meanwhile{repositories: &repositories{}, do: func() {
			require.NoError(t, b.DestroyOrganisation(ctx, b.admin, "acme", "acme"))
		}}
		b.Repositories = hook
		_, err := b.CreateApp(ctx, b.admin, NewApp{Name: "shop", Organisation: "acme"})
		require.True(t, models.IsCode(err, models.NotFound), "%v", err)
		apps, err := b.Store.CountApps(ctx, gone.ID)
		require.NoError(t, err)
		require.Zero(t, apps)

		b.organisation(t, "globex")
		most := 1
		_, err = b.ChangeOptions(ctx, b.admin, OptionsChange{MaxAppsPerOrganisation: &most})
		require.NoError(t, err)
		hook.do = func() {
			hook.do = func() {}
			_, err := b.CreateApp(ctx, b.admin, NewApp{Name: "first", Organisation: "globex"})
			require.NoError(t, err)
		}
		_, err = b.CreateApp(ctx, b.admin, NewApp{Name: "second", Organisation: "globex"})
		require.ErrorContains(t, err, "as many as it may")
	})
}

// TestDeployAgain: what was pushed already is deployed without a push.
func TestDeployAgain(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	_, err := s.Deploy(ctx, s.actor, s.app, "")
	require.ErrorContains(t, err, `no branch, tag or commit "main"`)
	_, err = s.push(t, 1)
	require.NoError(t, err)
	s.repos.refs["refs/heads/feature"] = oid(2)
	build, err := s.Deploy(ctx, s.actor, s.live(t), "feature")
	require.NoError(t, err)
	require.NoError(t, s.lanes.do(ctx, s.app.ID, func(context.Context) error { return nil }))
	require.Equal(t, oid(2), s.main(t))
	build, err = s.Store.Build(ctx, build.ID)
	require.NoError(t, err)
	require.Equal(t, models.BuildSucceeded, build.State)
	for _, wrong := range []string{"HEAD;id", "--upload-pack=x", "nope", "refs/../x"} {
		_, err = s.Deploy(ctx, s.actor, s.live(t), wrong)
		require.True(t, models.IsCode(err, models.NotFound), wrong)
	}
}
