package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) appsCommand() *cobra.Command {
	command := &cobra.Command{Use: "apps", Short: "Manage apps"}
	command.AddCommand(c.appsCreate(), c.appsList(), c.appsInfo(), c.appsSet(), c.appsPlan(), c.appsDestroy())
	return command
}

func (c *cli) appsCreate() *cobra.Command {
	wanted := v1.NewApp{}
	command := &cobra.Command{
		Use: "create NAME", Short: "Create an app, and the remote sky in this checkout", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			wanted.Name = args[0]
			app, err := client.CreateApp(command.Context(), wanted)
			if err != nil {
				return err
			}
			remote := addRemote(command.Context(), app.GitURL)
			return c.show(app, func() {
				fmt.Fprintf(c.out, "created %s\n%s\ndeploy it with: git push sky %s\n", app.Name, remote, app.DeployBranch)
			})
		},
	}
	c.orgFlag(command, &wanted.Organisation, "the organisation that it belongs to; by default your own")
	command.Flags().StringVar(&wanted.Plan, "plan", "", "its plan; by default the platform's default")
	command.Flags().StringVar(&wanted.Region, "region", "", "where its instances run; by default anywhere")
	return command
}

// addRemote adds the remote sky to the checkout, if this is one and has none.
// It says what it did.
func addRemote(ctx context.Context, address string) string {
	by := "git remote add sky " + address
	if exec.CommandContext(ctx, "git", "rev-parse", "--git-dir").Run() != nil {
		return "add the remote in your checkout: " + by
	}
	if existing, err := exec.CommandContext(ctx, "git", "remote", "get-url", "sky").Output(); err == nil {
		return fmt.Sprintf("the remote sky leads to %s already; to change it: git remote set-url sky %s",
			strings.TrimSpace(string(existing)), address)
	}
	if err := exec.CommandContext(ctx, "git", "remote", "add", "sky", address).Run(); err != nil {
		return "add the remote in your checkout: " + by
	}
	return "added the remote sky: " + address
}

func (c *cli) appsList() *cobra.Command {
	organisation := ""
	command := &cobra.Command{
		Use: "list", Short: "List apps", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			apps, err := client.Apps(command.Context(), organisation)
			if err != nil {
				return err
			}
			return c.show(apps, func() {
				var rows [][]string
				for _, app := range apps {
					rows = append(rows, []string{app.Name, app.State, app.Release, counts(app.Formation), app.URL})
				}
				c.table("NAME\tSTATE\tRELEASE\tRUNS\tURL", rows)
			})
		},
	}
	c.orgFlag(command, &organisation, "only this organisation's")
	return command
}

func (c *cli) appsInfo() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "info [APP]", Short: "Show an app", Args: cobra.MaximumNArgs(1),
		RunE: c.onNamedApp(func(ctx context.Context, client *v1.Client, name string, _ []string) error {
			app, err := client.App(ctx, name)
			if err != nil {
				return err
			}
			return c.show(app, func() {
				c.table("NAME\t"+app.Name, [][]string{
					{"ORGANISATION", app.Organisation}, {"PLAN", app.Plan}, {"STATE", app.State}, {"URL", app.URL}, {"GIT", app.GitURL}, {"BRANCH", app.DeployBranch},
					{"RELEASE", app.Release}, {"COMMIT", app.Commit}, {"RUNS", counts(app.Formation)},
					{"health-path", app.HealthPath}, {"buildpack", app.Buildpack}, {"root-dir", app.RootDir},
					{"build-command", app.BuildCommand}, {"start-command", app.StartCommand},
					{"dockerfile", app.Dockerfile}, {"docker-target", app.DockerTarget},
					{"build-variables", strings.Join(app.BuildVariables, ",")}, {"build-arguments", strings.Join(app.BuildArguments, ",")},
					{"writable-root", strconv.FormatBool(app.WritableRoot)}, {"root-user", strconv.FormatBool(app.RootUser)},
				})
			})
		}),
	})
}

func (c *cli) appsSet() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "set SETTING=VALUE ...", Short: "Change an app's settings",
		Long: "Settings: deploy-branch, health-path, writable-root (on or off), root-user (on or off).\n" +
			"Settings of builds: buildpack, root-dir, build-command, start-command, dockerfile, docker-target,\n" +
			"build-variables and build-arguments (names of variables, with commas between them).\n" +
			"Those of builds apply to the next push. Those of instances apply to instances that start from then on: `sky restart` makes fresh ones.",
		Args: cobra.MinimumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, name string, args []string) error {
			change, err := readSettings(args)
			if err != nil {
				return err
			}
			app, err := client.ChangeApp(ctx, name, change)
			if err != nil {
				return err
			}
			return c.show(app, func() { fmt.Fprintf(c.out, "changed %s\n", app.Name) })
		}),
	})
}

func (c *cli) appsPlan() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "plan NAME", Short: "Move an app to another plan, at once and without losing a request", Args: cobra.ExactArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, name string, args []string) error {
			done, err := client.ChangeAppPlan(ctx, name, args[0])
			return c.outcome(done, err)
		}),
	})
}

func readSettings(args []string) (v1.AppChange, error) {
	change := v1.AppChange{}
	texts := map[string]**string{
		"deploy-branch": &change.DeployBranch, "health-path": &change.HealthPath, "buildpack": &change.Buildpack,
		"root-dir": &change.RootDir, "build-command": &change.BuildCommand, "start-command": &change.StartCommand,
		"dockerfile": &change.Dockerfile, "docker-target": &change.DockerTarget,
	}
	lists := map[string]**[]string{"build-variables": &change.BuildVariables, "build-arguments": &change.BuildArguments}
	switches := map[string]**bool{"writable-root": &change.WritableRoot, "root-user": &change.RootUser}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return change, usagef("%q is not SETTING=VALUE", arg)
		}
		if text, known := texts[name]; known {
			*text = &value
			continue
		}
		if list, known := lists[name]; known {
			*list = new(strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }))
			continue
		}
		setting, known := switches[name]
		if !known {
			return change, usagef("there is no setting %q", name)
		}
		if value != "on" && value != "off" {
			return change, usagef("%s is on or off", name)
		}
		on := value == "on"
		*setting = &on
	}
	return change, nil
}

func (c *cli) appsDestroy() *cobra.Command {
	confirm := ""
	command := &cobra.Command{
		Use: "destroy [APP]", Short: "Destroy an app with all it has", Args: cobra.MaximumNArgs(1),
		RunE: c.onNamedApp(func(ctx context.Context, client *v1.Client, name string, _ []string) error {
			if err := client.DestroyApp(ctx, name, confirm); err != nil {
				return err
			}
			return c.show(struct{}{}, func() { fmt.Fprintf(c.out, "destroyed %s\n", name) })
		}),
	}
	command.Flags().StringVar(&confirm, "confirm", "", "repeat the app's name")
	return c.appFlag(command)
}

// counts writes a formation: "web=3 worker=1".
func counts(formation map[string]int) string {
	var parts []string
	for process, count := range formation {
		parts = append(parts, fmt.Sprintf("%s=%d", process, count))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// ago writes a time as people compare it.
func ago(at time.Time) string {
	since := time.Since(at)
	switch {
	case since < time.Minute:
		return "just now"
	case since < time.Hour:
		return fmt.Sprintf("%dm ago", int(since.Minutes()))
	case since < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(since.Hours()))
	default:
		return at.Format(time.DateOnly)
	}
}
