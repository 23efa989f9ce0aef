package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) deployCommand() *cobra.Command {
	wanted := v1.Deploy{}
	command := c.appFlag(&cobra.Command{
		Use: "deploy [REF]", Short: "Deploy a commit that was pushed already, or a prebuilt image, and show its log", Args: cobra.MaximumNArgs(1),
		Example: "  sky deploy            the deploy branch again\n  sky deploy feature    a branch that was pushed\n" +
			"  sky deploy --image registry.example.com/team/app:1.2",
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			if wanted.Ref = strings.Join(args, ""); wanted.Ref != "" && wanted.Image != "" {
				return usagef("name either a commit or an image")
			}
			build, err := client.Deploy(ctx, app, wanted)
			if err != nil {
				return err
			}
			return c.follow(ctx, client, app, build.Number, true)
		}),
	})
	command.Flags().StringVar(&wanted.Image, "image", "", "a prebuilt image to take in place of a build")
	return command
}

func (c *cli) buildsWhy() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "why [NUMBER]", Short: "Explain what a build took from its cache, what it did, and why", Args: cobra.MaximumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			number, err := buildNumber(args)
			if err != nil {
				return err
			}
			why, err := client.ExplainBuild(ctx, app, number)
			if err != nil {
				return err
			}
			return c.show(why, func() { c.explanation(why) })
		}),
	})
}

func (c *cli) explanation(why v1.BuildExplanation) {
	fmt.Fprintf(c.out, "build #%d %s\n", why.Build.Number, why.Build.State)
	if why.Former > 0 {
		fmt.Fprintf(c.out, "compared with build #%d:\n", why.Former)
	}
	for _, reason := range why.Reasons {
		fmt.Fprintf(c.out, "  %s\n", reason)
	}
	var rows [][]string
	for _, step := range why.Steps {
		did := fmt.Sprintf("%.1fs", float64(step.Millis)/1000)
		if step.Cached {
			did = "cached"
		}
		rows = append(rows, []string{did, step.Name})
	}
	if len(rows) > 0 {
		c.table("DID\tSTEP", rows)
	}
}

func (c *cli) buildsCommand() *cobra.Command {
	command := &cobra.Command{Use: "builds", Short: "Show and control builds"}
	command.AddCommand(c.buildsList(), c.buildsCancel(), c.buildsWhy(),
		c.buildLog("logs [NUMBER]", "Show a build's full log", false),
		c.buildLog("attach [NUMBER]", "Show what a pusher reads, from the start, and follow it", true))
	return command
}

// buildNumber reads an optional build number, 0 for the newest.
func buildNumber(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	number, err := strconv.Atoi(strings.TrimPrefix(args[0], "#"))
	if err != nil || number < 1 {
		return 0, usagef("%q is not a build number", args[0])
	}
	return number, nil
}

func (c *cli) buildsList() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "list", Short: "List builds, newest first", Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			builds, err := client.Builds(ctx, app)
			if err != nil {
				return err
			}
			return c.show(builds, func() {
				var rows [][]string
				for _, build := range builds {
					rows = append(rows, []string{
						strconv.Itoa(build.Number), build.State, shortCommit(build.Commit), build.Runtime, ago(build.CreatedAt), build.Subject,
					})
				}
				c.table("BUILD\tSTATE\tCOMMIT\tRUNTIME\tCREATED\tSUBJECT", rows)
			})
		}),
	})
}

func shortCommit(commit string) string { return commit[:min(7, len(commit))] }

func (c *cli) buildsCancel() *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: "cancel [NUMBER]", Short: "Cancel a build; the newest by default", Args: cobra.MaximumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			number, err := buildNumber(args)
			if err != nil {
				return err
			}
			build, err := client.CancelBuild(ctx, app, number)
			if err != nil {
				return err
			}
			return c.show(build, func() { fmt.Fprintf(c.out, "build #%d is cancelled\n", build.Number) })
		}),
	})
}

// buildLog shows a build's log and follows it to its end. It fails when the
// build did.
func (c *cli) buildLog(use, short string, narrative bool) *cobra.Command {
	return c.appFlag(&cobra.Command{
		Use: use, Short: short, Args: cobra.MaximumNArgs(1),
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			number, err := buildNumber(args)
			if err != nil {
				return err
			}
			return c.follow(ctx, client, app, number, narrative)
		}),
	})
}

// follow prints a build's log to its end: all of it, or what a pusher reads.
func (c *cli) follow(ctx context.Context, client *v1.Client, app string, number int, narrative bool) error {
	failed := ""
	err := client.BuildLog(ctx, app, number, true, func(line v1.LogLine) error {
		if line.Kind == "end" {
			failed = line.Text
			return nil
		}
		if narrative && line.Kind != "say" {
			return nil
		}
		return c.line(line, func() { fmt.Fprintln(c.out, line.Text) })
	})
	if err == nil && failed != "" {
		err = errors.New(failed)
	}
	return err
}
