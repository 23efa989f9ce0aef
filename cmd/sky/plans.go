package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const planHeadings = "NAME\tCPU\tMEMORY\tSTORAGE\tINSTANCES\tPRICE/H\tPRICE/MONTH\tSTATE"

func planRow(plan v1.Plan) []string {
	state := "active"
	if !plan.Active {
		state = "inactive"
	}
	return []string{
		plan.Name, strconv.FormatFloat(float64(plan.CPUMillis)/1000, 'f', -1, 64), units.BytesSize(float64(plan.MemoryBytes)),
		units.BytesSize(float64(plan.StorageBytes)), strconv.Itoa(plan.MaxInstances), money(plan.PriceHourMicros), money(plan.PriceMonthMicros), state,
	}
}

func (c *cli) plansCommand() *cobra.Command {
	return group("plans", "See what plans there are",
		c.verb("list", "List the plans that can be chosen", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			plans, err := client.Plans(ctx)
			return listed(c, plans, err, planHeadings, planRow)
		}))
}

func (c *cli) runtimesCommand() *cobra.Command {
	kind := ""
	list := c.verb("list", "List the runtimes that can be used", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		runtimes, err := client.Runtimes(ctx, kind)
		return listed(c, runtimes, err, runtimeHeadings, runtimeRow)
	})
	list.Flags().StringVar(&kind, "type", "", "only these, such as node")
	return group("runtimes", "See what apps can be built on", list)
}

const runtimeHeadings = "TYPE\tVERSION\tDEFAULT\tSTATE\tBUILD IMAGE\tRUN IMAGE"

func runtimeRow(row v1.Runtime) []string {
	state, preferred := "active", ""
	if !row.Active {
		state = "inactive"
	}
	if row.Default {
		preferred = "yes"
	}
	return []string{row.Type, row.Version, preferred, state, row.BuildImage, row.RunImage}
}

func (c *cli) regionsCommand() *cobra.Command {
	return group("regions", "See where apps can run",
		c.verb("list", "List regions and their capacity", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			regions, err := client.Regions(ctx)
			return c.regions(regions, err)
		}))
}

func (c *cli) regions(regions []v1.Region, err error) error {
	return listed(c, regions, err, "REGION\tNODES\tCPU\tMEMORY\tPROMISED CPU\tPROMISED MEMORY", func(row v1.Region) []string {
		cpus := func(millis int64) string { return strconv.FormatFloat(float64(millis)/1000, 'f', -1, 64) }
		return []string{
			row.Name, strconv.Itoa(row.Nodes), cpus(row.CPUMillis), units.BytesSize(float64(row.MemoryBytes)),
			cpus(row.ReservedMillis), units.BytesSize(float64(row.ReservedBytes)),
		}
	})
}

func (c *cli) adminPlans() *cobra.Command {
	return group("plans", "Manage plans",
		c.verb("list", "List every plan", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			plans, err := client.AllPlans(ctx)
			return listed(c, plans, err, planHeadings, planRow)
		}),
		c.verb("info NAME", "Show a plan", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			plan, err := client.Plan(ctx, args[0])
			if err != nil {
				return err
			}
			return c.show(plan, func() {
				c.table(planHeadings, [][]string{planRow(plan)})
				fmt.Fprintf(c.out, "%d apps; runtimes: %s\n", plan.Apps, strings.Join(plan.Runtimes, ", "))
			})
		}),
		c.planVerb("create NAME", "Create a plan", func(ctx context.Context, client *v1.Client, name string, change v1.PlanChange) (v1.Plan, error) {
			change.Name = &name
			return client.CreatePlan(ctx, change)
		}),
		c.planVerb("set NAME", "Change a plan; what runs keeps its price", func(ctx context.Context, client *v1.Client, name string, change v1.PlanChange) (v1.Plan, error) {
			return client.ChangePlan(ctx, name, change)
		}),
		c.verb("rm NAME", "Delete a plan that nothing has", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			return c.gone(client.DeletePlan(ctx, args[0]), "deleted %s", args[0])
		}),
	)
}

// planVerb makes a command with a flag for each of a plan's settings.
func (c *cli) planVerb(use, short string, run func(context.Context, *v1.Client, string, v1.PlanChange) (v1.Plan, error)) *cobra.Command {
	command := c.verb(use, short, cobra.ExactArgs(1), nil)
	flags := command.Flags()
	flags.String("description", "", "what it is for")
	flags.Float64("cpu", 0, "CPUs, such as 0.5")
	flags.String("memory", "", "memory, such as 512MiB")
	flags.String("storage", "", "storage, such as 5GiB")
	flags.Int64("pids", 0, "processes and threads")
	flags.Float64("build-cpu", 0, "CPUs of each step of a build; 0 is all of the builder's")
	flags.String("build-memory", "", "memory of each step of a build, such as 2GiB")
	flags.Int("build-minutes", 0, "how long a build may take")
	flags.Int("max-instances", 0, "of one app")
	flags.String("price-hour", "", "of each running instance, such as 0.0096")
	flags.String("price-month", "", "for the price list")
	flags.Int("position", 0, "in the price list")
	flags.Bool("active", true, "whether it can be chosen")
	flags.StringSlice("runtimes", nil, "all that it allows, such as \"node 22,go 1.26\"")
	command.RunE = c.verb("", "", nil, func(ctx context.Context, client *v1.Client, args []string) error {
		change, err := planFlags(flags)
		if err != nil {
			return err
		}
		plan, err := run(ctx, client, args[0], change)
		return listed(c, []v1.Plan{plan}, err, planHeadings, planRow)
	}).RunE
	return command
}

// planFlags reads the flags that were given.
func planFlags(flags *pflag.FlagSet) (v1.PlanChange, error) {
	change := v1.PlanChange{
		Description: given(flags, "description", flags.GetString), Pids: given(flags, "pids", flags.GetInt64),
		MaxInstances: given(flags, "max-instances", flags.GetInt), Position: given(flags, "position", flags.GetInt),
		BuildMinutes: given(flags, "build-minutes", flags.GetInt),
		Active:       given(flags, "active", flags.GetBool), Runtimes: given(flags, "runtimes", flags.GetStringSlice),
	}
	for name, into := range map[string]**int64{"cpu": &change.CPUMillis, "build-cpu": &change.BuildCPUMillis} {
		if cpus := given(flags, name, flags.GetFloat64); cpus != nil {
			*into = new(int64(*cpus * 1000))
		}
	}
	sizes := map[string]**int64{"memory": &change.MemoryBytes, "storage": &change.StorageBytes, "build-memory": &change.BuildMemoryBytes}
	for name, into := range sizes {
		if text := given(flags, name, flags.GetString); text != nil {
			bytes, err := units.RAMInBytes(*text)
			if err != nil {
				return change, usagef("--%s %q is not a size: write it as 512MiB", name, *text)
			}
			*into = &bytes
		}
	}
	for name, into := range map[string]**int64{"price-hour": &change.PriceHourMicros, "price-month": &change.PriceMonthMicros} {
		if text := given(flags, name, flags.GetString); text != nil {
			amount, err := models.ParseMoney(*text)
			if err != nil {
				return change, usagef("--%s: %w", name, err)
			}
			micros := int64(amount)
			*into = &micros
		}
	}
	return change, nil
}

// given returns the value of a flag that was set, or nil.
func given[T any](flags *pflag.FlagSet, name string, get func(string) (T, error)) *T {
	if !flags.Changed(name) {
		return nil
	}
	value, err := get(name)
	if err != nil {
		return nil // a flag of another type: the tests run every command
	}
	return &value
}

func (c *cli) adminRuntimes() *cobra.Command {
	kind, force := "", false
	list := c.verb("list", "List every runtime", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		runtimes, err := client.AllRuntimes(ctx, kind)
		return listed(c, runtimes, err, runtimeHeadings, runtimeRow)
	})
	list.Flags().StringVar(&kind, "type", "", "only these, such as node")
	remove := c.verb("rm TYPE:VERSION", "Delete a runtime", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
		return c.gone(client.DeleteRuntime(ctx, args[0], force), "deleted %s", args[0])
	})
	remove.Flags().BoolVar(&force, "force", false, "also one that live apps were built with")
	return group("runtimes", "Manage runtimes", list, remove,
		c.verb("info TYPE:VERSION", "Show a runtime", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			runtime, err := client.Runtime(ctx, args[0])
			return listed(c, []v1.Runtime{runtime}, err, runtimeHeadings, runtimeRow)
		}),
		c.runtimeVerb("create TYPE:VERSION", "Create a runtime that every plan allows", func(ctx context.Context, client *v1.Client, name string, change v1.RuntimeChange) (v1.Runtime, error) {
			kind, version, _ := strings.Cut(name, ":")
			change.Type, change.Version = &kind, &version
			return client.CreateRuntime(ctx, change)
		}),
		c.runtimeVerb("set TYPE:VERSION", "Change a runtime; the next build sees it", func(ctx context.Context, client *v1.Client, name string, change v1.RuntimeChange) (v1.Runtime, error) {
			return client.ChangeRuntime(ctx, name, change)
		}),
	)
}

func (c *cli) runtimeVerb(use, short string, run func(context.Context, *v1.Client, string, v1.RuntimeChange) (v1.Runtime, error)) *cobra.Command {
	command := c.verb(use, short, cobra.ExactArgs(1), nil)
	flags := command.Flags()
	flags.String("build-image", "", "the image that builds")
	flags.String("run-image", "", "the image that runs")
	flags.String("build-command", "", "in place of the buildpack's, where the app has none of its own")
	flags.String("start-command", "", "in place of the buildpack's, where neither the app nor its Procfile has one")
	flags.Bool("default", false, "taken when an app asks for no version")
	flags.Bool("active", true, "whether it can be used")
	command.RunE = c.verb("", "", nil, func(ctx context.Context, client *v1.Client, args []string) error {
		runtime, err := run(ctx, client, args[0], v1.RuntimeChange{
			BuildImage: given(flags, "build-image", flags.GetString), RunImage: given(flags, "run-image", flags.GetString),
			BuildCommand: given(flags, "build-command", flags.GetString), StartCommand: given(flags, "start-command", flags.GetString),
			Default: given(flags, "default", flags.GetBool), Active: given(flags, "active", flags.GetBool),
		})
		return listed(c, []v1.Runtime{runtime}, err, runtimeHeadings, runtimeRow)
	}).RunE
	return command
}
