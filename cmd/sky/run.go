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
	return c.appFlag(&cobra.Command{
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

func (c *cli) adminCommand() *cobra.Command {
	command := &cobra.Command{Use: "admin", Short: "Administer the platform"}
	command.AddCommand(c.adminNodes(), c.adminNodeAdd(), c.adminBackup(), c.adminRestore())
	return command
}

func (c *cli) adminNodes() *cobra.Command {
	return &cobra.Command{
		Use: "nodes", Short: "List nodes", Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			nodes, err := client.Nodes(command.Context())
			if err != nil {
				return err
			}
			return c.show(nodes, func() {
				var rows [][]string
				for _, node := range nodes {
					rows = append(rows, []string{
						node.Name, node.State, node.EngineVersion, strconv.Itoa(node.CPUs), fmt.Sprintf("%d MB", node.MemoryBytes>>20),
					})
				}
				c.table("NAME\tSTATE\tDOCKER\tCPUS\tMEMORY", rows)
			})
		},
	}
}

func (c *cli) adminNodeAdd() *cobra.Command {
	return &cobra.Command{
		Use: "node-add NAME", Short: "Add a node and print how its agent joins", Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			join, err := client.AddNode(command.Context(), args[0])
			if err != nil {
				return err
			}
			return c.show(join, func() {
				fmt.Fprintf(c.out, "run this on the node within an hour:\n  sky agent --server %s --join %s\n", client.URL, join.Token)
			})
		},
	}
}
