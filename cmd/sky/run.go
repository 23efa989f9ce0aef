package main

import (
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) scaleCommand() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "scale PROCESS=COUNT ...", Short: "Set how many instances of a process type run",
		Example: "  sky scale web=3 worker=1", Args: cobra.MinimumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			formation := map[string]int{}
			for _, arg := range args {
				process, text, _ := strings.Cut(arg, "=")
				count, err := strconv.Atoi(text)
				if err != nil {
					return usagef("%q is not PROCESS=COUNT", arg)
				}
				formation[process] = count
			}
			return c.outcome(client.Scale(ctx, app, formation))
		}),
	})
}

func (c *cli) operateCommand(verb, short string) *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: verb, Short: short, Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			return c.outcome(client.Operate(ctx, app, verb))
		}),
	})
}

func (c *cli) psCommand() *cobra.Command {
	command := c.appFlag(&cobra.Command{
		Use: "ps", Short: "List what an app runs, as its nodes observe it", Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			instances, err := client.Instances(ctx, app)
			if err != nil {
				return err
			}
			return c.show(instances, func() {
				var rows [][]string
				for _, instance := range instances {
					rows = append(rows, []string{
						fmt.Sprintf("%s.%d", instance.Process, instance.Ordinal), instance.State, fmt.Sprintf("v%d", instance.Release),
						instance.Node, ago(instance.Since), strconv.Itoa(instance.Restarts), instance.Reason,
					})
				}
				c.table("INSTANCE\tSTATE\tRELEASE\tNODE\tSINCE\tRESTARTS\tREASON", rows)
			})
		}),
	})
	command.AddCommand(c.psStop())
	return command
}

func (c *cli) psStop() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "stop INSTANCE", Short: "Stop what `sky run` started, such as run.1", Args: cobra.ExactArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			return c.gone(client.EndRun(ctx, app, args[0]), "stopped %s", args[0])
		}),
	})
}

func (c *cli) logsCommand() *cobra.Command {
	follow, lines := false, 100
	command := &cobra.Command{
		Use: "logs", Short: "Show what an app's instances print", Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			return client.AppLog(ctx, app, lines, follow, func(line v1.LogLine) error {
				return c.line(line, func() {
					fmt.Fprintf(c.out, "%s %s  %s\n", line.Time.Local().Format(time.DateTime), line.Source, line.Text)
				})
			})
		}),
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "wait for more")
	command.Flags().IntVarP(&lines, "lines", "n", lines, "how many of the last lines")
	return c.appFlag(command)
}

func (c *cli) openCommand() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "open", Short: "Print an app's URL and open it in a browser", Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, name string, _ []string) error {
			app, err := client.App(ctx, name)
			if err != nil {
				return err
			}
			opener := "xdg-open"
			if runtime.GOOS == "darwin" {
				opener = "open"
			}
			if program, err := exec.LookPath(opener); err == nil {
				_ = exec.CommandContext(ctx, program, app.URL).Start() // the URL is printed anyway
			}
			return c.show(map[string]string{"url": app.URL}, func() { fmt.Fprintln(c.out, app.URL) })
		}),
	})
}
