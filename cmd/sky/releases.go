package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/joho/godotenv"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) releasesCommand() *cobra.Command {
	command := c.appFlag(&cobra.Command{
		Use: "releases", Short: "List releases, newest first", Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			releases, err := client.Releases(ctx, app)
			if err != nil {
				return err
			}
			return c.show(releases, func() {
				var rows [][]string
				for _, release := range releases {
					state := release.State
					if release.State == "live" && !release.Live {
						state = "was live"
					}
					rows = append(rows, []string{release.Name, state, ago(release.CreatedAt), release.Description})
				}
				c.table("RELEASE\tSTATE\tCREATED\tDESCRIPTION", rows)
			})
		}),
	})
	command.AddCommand(c.releasesSBOM())
	return command
}

func (c *cli) releasesSBOM() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "sbom RELEASE", Short: "List the packages in a release's image, as a CycloneDX document",
		Example: "  sky releases sbom v3 -a shop > shop.cdx.json", Args: cobra.ExactArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			document, err := client.SBOM(ctx, app, args[0])
			if err == nil {
				_, err = fmt.Fprintf(c.out, "%s", document)
			}
			return err
		}),
	})
}

func (c *cli) rollbackCommand() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "rollback [RELEASE]", Short: "Go back to a release, with its config; by default to the one before",
		Example: "  sky rollback -a shop v3", Args: cobra.MaximumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			return c.outcome(client.Rollback(ctx, app, strings.Join(args, "")))
		}),
	})
}

func (c *cli) promoteCommand() *cobra.Command {
	to := ""
	command := &cobra.Command{
		Use: "promote [RELEASE] --to APP", Short: "Make a release of this app a release of another, without a build",
		Example: "  sky promote -a staging --to shop", Args: cobra.MaximumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			if to == "" {
				return usagef("--to is missing: name the app that gets the release")
			}
			return c.outcome(client.Promote(ctx, app, v1.Promotion{To: to, Release: strings.Join(args, "")}))
		}),
	}
	command.Flags().StringVar(&to, "to", "", "the app that gets the release")
	return c.appFlag(command)
}

func (c *cli) envCommand() *cobra.Command {
	command := &cobra.Command{Use: "env", Short: "Manage an app's environment variables"}
	command.AddCommand(c.envSet(), c.envUnset(), c.envList(), c.envImport())
	return command
}

func (c *cli) envSet() *cobra.Command {
	build := false
	command := &cobra.Command{
		Use: "set KEY=VALUE ...", Short: "Set variables and release them", Args: cobra.MinimumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			set := map[string]string{}
			for _, arg := range args {
				key, value, ok := strings.Cut(arg, "=")
				if !ok {
					return usagef("%q is not KEY=VALUE", arg)
				}
				set[key] = value
			}
			if build {
				if err := letBuildsRead(ctx, client, app, slices.Collect(maps.Keys(set))); err != nil {
					return err
				}
			}
			return c.changeEnv(ctx, client, app, v1.EnvChange{Set: set})
		}),
	}
	command.Flags().BoolVar(&build, "build", false, "let builds read them too, as secrets")
	return c.appFlag(command)
}

// letBuildsRead adds names to the variables that the app's builds may read.
func letBuildsRead(ctx context.Context, client *v1.Client, app string, names []string) error {
	settings, err := client.App(ctx, app)
	if err != nil {
		return err
	}
	all := append(settings.BuildVariables, names...)
	_, err = client.ChangeApp(ctx, app, v1.AppChange{BuildSettingsChange: v1.BuildSettingsChange{BuildVariables: &all}})
	return err
}

func (c *cli) changeEnv(ctx context.Context, client *v1.Client, app string, change v1.EnvChange) error {
	done, err := client.ChangeEnv(ctx, app, change)
	if err == nil && len(done.Log) == 0 {
		done.Log = []string{"saved; nothing had to be released"}
	}
	return c.outcome(done, err)
}

func (c *cli) envUnset() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "unset KEY ...", Short: "Unset variables and release that", Args: cobra.MinimumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			return c.changeEnv(ctx, client, app, v1.EnvChange{Unset: args})
		}),
	})
}

func (c *cli) envList() *cobra.Command {
	reveal := false
	command := &cobra.Command{
		Use: "list", Short: "List variables; values only with --reveal", Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			variables, err := client.Env(ctx, app, reveal)
			if err != nil {
				return err
			}
			return c.show(variables, func() {
				keys := make([]string, 0, len(variables))
				for key := range variables {
					keys = append(keys, key)
				}
				slices.Sort(keys)
				for _, key := range keys {
					if reveal {
						fmt.Fprintf(c.out, "%s=%s\n", key, quoteValue(variables[key]))
					} else {
						fmt.Fprintln(c.out, key)
					}
				}
			})
		}),
	}
	command.Flags().BoolVar(&reveal, "reveal", false, "show the values; this is audited")
	return c.appFlag(command)
}

// quoteValue writes a value so that `sky env import` reads it back.
func quoteValue(value string) string {
	if value != "" && !strings.ContainsAny(value, " \t\r\n'\"\\$#`!") {
		return value
	}
	return strconv.Quote(value)
}

func (c *cli) envImport() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "import FILE", Short: "Set all variables of a .env file, in one release", Args: cobra.ExactArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("read %s: %w", args[0], err)
			}
			defer func() { _ = file.Close() }()
			set, err := godotenv.Parse(file)
			if err != nil {
				return fmt.Errorf("%s is not a .env file: %w", args[0], err)
			}
			return c.changeEnv(ctx, client, app, v1.EnvChange{Set: set})
		}),
	})
}
