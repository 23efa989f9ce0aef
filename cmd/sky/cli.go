package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

// cli is what the client commands share.
type cli struct {
	streams
	json bool
	app  string
	org  string
	// lines is standard input, once something was read of it.
	lines *bufio.Reader
}

// login is what `sky login` keeps, for one server.
type login struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	// Own says that login made the token, so that logout revokes it.
	Own bool `json:"own,omitempty"`
}

func loginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find your configuration directory: %w", err)
	}
	return filepath.Join(dir, "sky", "login.json"), nil
}

// client returns a client for the server that SKY_URL and SKY_TOKEN name, or
// that `sky login` kept.
func (c *cli) client() (*v1.Client, error) {
	kept := login{}
	path, err := loginFile()
	if err == nil {
		if text, err := os.ReadFile(path); err == nil {
			if err := json.Unmarshal(text, &kept); err != nil {
				return nil, fmt.Errorf("%s is damaged: run `sky login` again", path)
			}
		}
	}
	if value := os.Getenv("SKY_URL"); value != "" {
		kept.URL = value
	}
	if value := os.Getenv("SKY_TOKEN"); value != "" {
		kept.Token = value
	}
	if kept.URL == "" || kept.Token == "" {
		return nil, errors.New("you are not logged in: run `sky login URL`, or set SKY_URL and SKY_TOKEN")
	}
	return &v1.Client{URL: kept.URL, Token: kept.Token, HTTP: http.DefaultClient}, nil
}

// show prints value as JSON when that was asked for, and else what human prints.
func (c *cli) show(value any, human func()) error {
	if !c.json {
		human()
		return nil
	}
	encoder := json.NewEncoder(c.out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// line prints one value of a stream, as one line of JSON when that was asked
// for.
func (c *cli) line(value any, human func()) error {
	if !c.json {
		human()
		return nil
	}
	return json.NewEncoder(c.out).Encode(value)
}

// table prints rows under headings, in columns.
func (c *cli) table(headings string, rows [][]string) {
	writer := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(writer, headings)
	for _, row := range rows {
		fmt.Fprintln(writer, strings.Join(row, "\t"))
	}
	_ = writer.Flush()
}

// appFlag adds -a to a command about one app.
func (c *cli) appFlag(command *cobra.Command) *cobra.Command {
	command.Flags().StringVarP(&c.app, "app", "a", "", "the app; by default that of the checkout's remote \"sky\"")
	return command
}

// orgFlag adds --org, which SKY_ORG stands in for.
func (c *cli) orgFlag(command *cobra.Command, to *string, usage string) {
	command.Flags().StringVar(to, "org", "", usage)
}

// appName returns the app that -a names, or that the checkout's remote pushes
// to.
func (c *cli) appName(ctx context.Context) (string, error) {
	if c.app != "" {
		return c.app, nil
	}
	output, err := exec.CommandContext(ctx, "git", "remote", "get-url", "sky").Output()
	if err != nil {
		return "", usagef("which app? Pass -a APP, or run this in a checkout with a remote named sky")
	}
	address, err := url.Parse(strings.TrimSpace(string(output)))
	if err != nil {
		return "", fmt.Errorf("the remote sky: %w", err)
	}
	return strings.TrimSuffix(strings.TrimPrefix(address.Path, "/"), ".git"), nil
}

// onApp runs a command about one app.
func (c *cli) onApp(run func(ctx context.Context, client *v1.Client, app string, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		client, err := c.client()
		if err != nil {
			return err
		}
		app, err := c.appName(command.Context())
		if err != nil {
			return err
		}
		return run(command.Context(), client, app, args)
	}
}

// onNamedApp runs a command about the app that its argument may name.
func (c *cli) onNamedApp(run func(ctx context.Context, client *v1.Client, app string, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		if len(args) == 1 {
			c.app = args[0]
		}
		return c.onApp(run)(command, nil)
	}
}

// verb makes a command that asks the server.
func (c *cli) verb(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, client *v1.Client, args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(command *cobra.Command, args []string) error {
			client, err := c.client()
			if err != nil {
				return err
			}
			return run(command.Context(), client, args)
		},
	}
}

// group makes a command of several.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	made := &cobra.Command{Use: use, Short: short}
	made.AddCommand(commands...)
	return made
}

// listed shows a list, a row each.
func listed[T any](c *cli, items []T, err error, headings string, row func(T) []string) error {
	if err != nil {
		return err
	}
	return c.show(items, func() {
		var rows [][]string
		for _, item := range items {
			rows = append(rows, row(item))
		}
		c.table(headings, rows)
	})
}

// did shows a thing that was changed, and says so.
func did[T any](c *cli, thing T, err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return c.show(thing, func() { fmt.Fprintf(c.out, format+"\n", args...) })
}

// gone says that something was removed.
func (c *cli) gone(err error, format string, args ...any) error {
	return did(c, struct{}{}, err, format, args...)
}

// organisation returns the one that --org or SKY_ORG names, or else the only one
// that you are in, or the one of your name.
func (c *cli) organisation(ctx context.Context, client *v1.Client) (string, error) {
	if c.org != "" {
		return c.org, nil
	}
	if name := os.Getenv("SKY_ORG"); name != "" {
		return name, nil
	}
	mine, err := client.Organisations(ctx)
	if err != nil {
		return "", err
	}
	who, err := client.Whoami(ctx)
	if err != nil {
		return "", err
	}
	for _, organisation := range mine {
		if len(mine) == 1 || organisation.Name == who.Name {
			return organisation.Name, nil
		}
	}
	return "", usagef("which organisation? Pass --org NAME; `sky orgs list` shows yours")
}

// onOrg makes a command about one organisation.
func (c *cli) onOrg(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, client *v1.Client, org string, args []string) error) *cobra.Command {
	command := c.verb(use, short, args, func(ctx context.Context, client *v1.Client, args []string) error {
		org, err := c.organisation(ctx, client)
		if err != nil {
			return err
		}
		return run(ctx, client, org, args)
	})
	c.orgFlag(command, &c.org, "the organisation; by default your own, or SKY_ORG")
	return command
}

// outcome shows what an operation did.
func (c *cli) outcome(done v1.Outcome, err error) error {
	if err != nil {
		return err
	}
	return c.show(done, func() {
		for _, line := range done.Log {
			fmt.Fprintln(c.out, line)
		}
	})
}
