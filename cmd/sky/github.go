package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (c *cli) githubCommand() *cobra.Command {
	return group("github", "Deploy what is pushed to GitHub",
		c.githubConnect(),
		c.verb("disconnect", "Disconnect your account at GitHub, and have the token revoked", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			return c.gone(client.DisconnectGitHub(ctx), "disconnected")
		}),
		c.verb("status", "Show your account at GitHub", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			connection, err := client.GitHubConnection(ctx)
			return c.githubConnection(connection, err)
		}),
		c.githubRepos(), c.githubBranches(), c.githubLink(), c.githubInfo(), c.githubChange(), c.githubUnlink(), c.githubRepair(), c.githubDeploy(),
		c.githubDeliveries(), c.githubDelivery(), c.githubReplay(),
		group("previews", "See and steer the apps of pull requests", c.previewsList(), c.previewsApprove(), c.previewsClose()))
}

func (c *cli) githubConnection(connection v1.GitHubConnection, err error) error {
	if err != nil {
		return err
	}
	return c.show(connection, func() {
		fmt.Fprintf(c.out, "connected with %s as %s\n", connection.URL, connection.Login)
		if connection.Trouble != "" {
			fmt.Fprintf(c.out, "it does not work: %s; connect again: sky github connect\n", connection.Trouble)
		}
	})
}

// githubConnect connects in one go at a terminal; a script begins with --json and
// finishes with --authorization and --code.
func (c *cli) githubConnect() *cobra.Command {
	public, authorization, code := false, "", ""
	command := c.verb("connect", "Connect your account at GitHub", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		if (authorization == "") != (code == "") {
			return usagef("--authorization and --code belong together")
		}
		if code == "" {
			begun, err := client.AuthorizeGitHub(ctx, public)
			if err != nil || c.json {
				return errors.Join(err, c.showUnless(err, begun))
			}
			fmt.Fprintf(c.out, "Open this address in a browser, and let Sky in:\n\n  %s\n\nCode that the browser shows then: ", begun.URL)
			if code, err = c.readCode(); err != nil {
				return err
			}
			authorization = begun.ID
		}
		connection, err := client.ConfirmGitHub(ctx, v1.GitHubCode{Authorization: authorization, Code: code})
		return c.githubConnection(connection, err)
	})
	command.Flags().BoolVar(&public, "public", false, "ask for public repositories only")
	command.Flags().StringVar(&authorization, "authorization", "", "finish the connection with this id")
	command.Flags().StringVar(&code, "code", "", "the code that the browser showed")
	return command
}

func (c *cli) showUnless(err error, value any) error {
	if err != nil {
		return nil
	}
	return c.show(value, func() {})
}

func (c *cli) readCode() (string, error) {
	if c.lines == nil {
		c.lines = bufio.NewReader(c.in)
	}
	line, err := c.lines.ReadString('\n')
	if line = strings.TrimSpace(line); line == "" {
		return "", errors.Join(usagef("no code was typed"), err)
	}
	return line, nil
}

func (c *cli) githubRepos() *cobra.Command {
	search := ""
	command := c.verb("repos", "List the repositories that you reach", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		repositories, err := client.GitHubRepositories(ctx, search)
		return listed(c, repositories, err, "REPOSITORY\tBRANCH\tPRIVATE\tLINKABLE", func(row v1.GitHubRepository) []string {
			return []string{row.Name, row.DefaultBranch, strconv.FormatBool(row.Private), strconv.FormatBool(row.Linkable)}
		})
	})
	command.Flags().StringVar(&search, "search", "", "only those whose name holds this")
	return command
}

func (c *cli) githubBranches() *cobra.Command {
	prefix := ""
	command := c.verb("branches OWNER/NAME", "List a repository's branches", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
		if strings.Count(args[0], "/") != 1 {
			return usagef("%q is not OWNER/NAME", args[0])
		}
		branches, err := client.GitHubBranches(ctx, args[0], prefix)
		return listed(c, branches, err, "BRANCH\tCOMMIT", func(row v1.GitHubBranch) []string { return []string{row.Name, row.Commit} })
	})
	command.Flags().StringVar(&prefix, "prefix", "", "only those that begin with this")
	return command
}

// linkFlags are the settings of a link, of which only those that are given change.
func linkFlags(flags *pflag.FlagSet) {
	flags.String("branch", "", "the branch that deploys; by default the repository's own default branch")
	flags.StringSlice("path", nil, "deploy only changes of files that this pattern matches, such as apps/web/** or !**/*.md; may be repeated")
	flags.Bool("auto", true, "deploy pushes by themselves")
	flags.Bool("previews", false, "make an app for every pull request")
	flags.String("preview-plan", "", "the plan of previews; empty is the app's own")
	flags.Int("preview-hours", 72, "how long a preview lives after the last change")
	flags.Int("preview-most", 5, "how many previews there are at a time")
	flags.StringSlice("preview-hide", nil, "a variable that previews do not get; may be repeated")
}

func linkChange(flags *pflag.FlagSet) v1.GitHubLinkChange {
	return v1.GitHubLinkChange{
		Branch: given(flags, "branch", flags.GetString), Paths: given(flags, "path", flags.GetStringSlice),
		AutoDeploy: given(flags, "auto", flags.GetBool), Previews: given(flags, "previews", flags.GetBool),
		PreviewPlan: given(flags, "preview-plan", flags.GetString), PreviewHours: given(flags, "preview-hours", flags.GetInt),
		PreviewMost: given(flags, "preview-most", flags.GetInt), PreviewHidden: given(flags, "preview-hide", flags.GetStringSlice),
	}
}

func (c *cli) showLink(link v1.GitHubLink, err error) error {
	if err != nil {
		return err
	}
	return c.show(link, func() {
		rows := [][]string{
			{"repository", link.Repository}, {"ref", link.Ref}, {"deploys", map[bool]string{true: "by itself", false: "by hand"}[link.AutoDeploy]},
			{"paths", strings.Join(link.Paths, " ")}, {"head", link.Head}, {"linked by", link.LinkedBy}, {"through", link.Through},
		}
		if link.Previews {
			rows = append(rows, []string{"previews", fmt.Sprintf("%d at most, for %d hours", link.PreviewMost, link.PreviewHours)})
		}
		if link.Trouble != "" {
			rows = append(rows, []string{"trouble", link.Trouble})
		}
		c.table("NAME\tVALUE", rows)
	})
}

func (c *cli) githubLink() *cobra.Command {
	var command *cobra.Command
	command = c.appFlag(&cobra.Command{
		Use: "link OWNER/NAME", Short: "Link an app with a repository: its branch is deployed, now and whenever it moves", Args: cobra.ExactArgs(1),
		Example: "  sky github link acme/shop -a shop --branch main --path 'apps/web/**'",
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, args []string) error {
			link, err := client.LinkGitHub(ctx, app, v1.NewGitHubLink{Repository: args[0], GitHubLinkChange: linkChange(command.Flags())})
			return c.showLink(link, err)
		}),
	})
	linkFlags(command.Flags())
	return command
}

func (c *cli) githubChange() *cobra.Command {
	var command *cobra.Command
	command = c.appFlag(&cobra.Command{
		Use: "change", Short: "Change an app's link", Args: cobra.NoArgs,
		RunE: c.onApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			link, err := client.ChangeGitHubLink(ctx, app, linkChange(command.Flags()))
			return c.showLink(link, err)
		}),
	})
	linkFlags(command.Flags())
	return command
}

// onLink makes a command about an app's link.
func (c *cli) onLink(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, client *v1.Client, app string, args []string) error) *cobra.Command {
	return c.appFlag(&cobra.Command{Use: use, Short: short, Args: args, RunE: c.onApp(run)})
}

func (c *cli) githubInfo() *cobra.Command {
	return c.onLink("info", "Show an app's link", cobra.NoArgs, func(ctx context.Context, client *v1.Client, app string, _ []string) error {
		link, err := client.GitHubLink(ctx, app)
		return c.showLink(link, err)
	})
}

func (c *cli) githubUnlink() *cobra.Command {
	return c.onLink("unlink", "End an app's link; what is live goes on", cobra.NoArgs, func(ctx context.Context, client *v1.Client, app string, _ []string) error {
		return c.gone(client.UnlinkGitHub(ctx, app), "unlinked")
	})
}

func (c *cli) githubRepair() *cobra.Command {
	return c.onLink("repair", "Make the webhook anew, and take the link over", cobra.NoArgs, func(ctx context.Context, client *v1.Client, app string, _ []string) error {
		link, err := client.RepairGitHubLink(ctx, app)
		return c.showLink(link, err)
	})
}

func (c *cli) githubDeploy() *cobra.Command {
	return c.onLink("deploy [BRANCH|TAG|COMMIT]", "Deploy something of the linked repository", cobra.MaximumNArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
		build, err := client.DeployFromGitHub(ctx, app, strings.Join(args, ""))
		return did(c, build, err, "build #%d: sky builds attach %d", build.Number, build.Number)
	})
}

func (c *cli) githubDeliveries() *cobra.Command {
	outcome := ""
	command := c.onLink("deliveries", "List what GitHub delivered, and what became of it", cobra.NoArgs, func(ctx context.Context, client *v1.Client, app string, _ []string) error {
		deliveries, err := client.Deliveries(ctx, app, outcome)
		return listed(c, deliveries, err, "ID\tCAME\tEVENT\tREF\tCOMMIT\tOUTCOME\tBUILD\tREASON", func(row v1.Delivery) []string {
			build := ""
			if row.Build != 0 {
				build = fmt.Sprintf("#%d %s", row.Build, row.BuildState)
			}
			said := row.Outcome
			if row.Repeats > 0 {
				said += fmt.Sprintf(" (came %d times)", row.Repeats+1)
			}
			return []string{row.ID, ago(row.CreatedAt), row.Event, row.Ref, row.Commit[:min(7, len(row.Commit))], said, build, row.Reason}
		})
	})
	command.Flags().StringVar(&outcome, "outcome", "", "only those of which this became, such as deployed or failed")
	return command
}

func (c *cli) githubDelivery() *cobra.Command {
	return c.onLink("delivery ID", "Show what GitHub sent", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
		delivery, err := client.Delivery(ctx, app, args[0])
		return did(c, delivery, err, "%s", delivery.Payload)
	})
}

func (c *cli) githubReplay() *cobra.Command {
	return c.onLink("replay ID", "Decide on a delivery once more", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
		delivery, err := client.ReplayDelivery(ctx, app, args[0])
		return did(c, delivery, err, "%s is decided on again: sky github deliveries", delivery.Delivery)
	})
}

func (c *cli) previewsList() *cobra.Command {
	return c.onLink("list", "List the previews of an app's pull requests", cobra.NoArgs, func(ctx context.Context, client *v1.Client, app string, _ []string) error {
		previews, err := client.Previews(ctx, app)
		return listed(c, previews, err, "PULL\tSTATE\tCOMMIT\tBY\tURL\tREASON", func(row v1.Preview) []string {
			author := row.Author
			if row.Fork {
				author += " (fork)"
			}
			return []string{"#" + strconv.Itoa(row.Number), row.State, row.Commit[:min(7, len(row.Commit))], author, row.URL, row.Reason}
		})
	})
}

func pullNumber(text string) (int, error) {
	number, err := strconv.Atoi(strings.TrimPrefix(text, "#"))
	if err != nil || number < 1 {
		return 0, usagef("%q is not the number of a pull request", text)
	}
	return number, nil
}

func (c *cli) previewsApprove() *cobra.Command {
	approval := v1.PreviewApproval{}
	command := c.onLink("approve NUMBER", "Let a fork's newest commit be built", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
		number, err := pullNumber(args[0])
		if err != nil {
			return err
		}
		if approval.Commit == "" {
			return usagef("--commit is missing: look at the pull request's newest commit, and pass its whole name")
		}
		preview, err := client.ApprovePreview(ctx, app, number, approval)
		return did(c, preview, err, "%s of pull request #%d is built", preview.Approved[:min(7, len(preview.Approved))], number)
	})
	command.Flags().StringVar(&approval.Commit, "commit", "", "the whole name of the commit that you looked at; refused when there is a newer one")
	command.Flags().BoolVar(&approval.Config, "config", false, "let the fork's code read the app's variables")
	return command
}

func (c *cli) previewsClose() *cobra.Command {
	return c.onLink("close NUMBER", "End a preview", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
		number, err := pullNumber(args[0])
		if err != nil {
			return err
		}
		return c.gone(client.ClosePreview(ctx, app, number), "closed the preview of pull request #%d", number)
	})
}

func (c *cli) adminGitHub() *cobra.Command {
	return group("github", "Connect Sky with a GitHub", c.adminGitHubSet(),
		c.verb("show", "Show the GitHub that Sky is connected with", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			host, err := client.GitHub(ctx)
			return c.githubHost(host, err)
		}),
		c.verb("rm", "Disconnect Sky from its GitHub", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			return c.gone(client.ForgetGitHub(ctx), "disconnected")
		}))
}

func (c *cli) githubHost(host v1.GitHubHost, err error) error {
	if err != nil {
		return err
	}
	return c.show(host, func() { c.fields(host) })
}

// adminGitHubSet reads secrets from files: a command line is seen by others.
func (c *cli) adminGitHubSet() *cobra.Command {
	host := v1.NewGitHubHost{}
	secretFile, keyFile, hookFile := "", "", ""
	command := c.verb("set", "Connect Sky with a GitHub, by an OAuth app or a GitHub App", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		for path, into := range map[*string]*string{&secretFile: &host.ClientSecret, &keyFile: &host.PrivateKey, &hookFile: &host.WebhookSecret} {
			if *path == "" {
				continue
			}
			text, err := os.ReadFile(*path)
			if err != nil {
				return err
			}
			*into = strings.TrimSpace(string(text))
		}
		set, err := client.SetGitHub(ctx, host)
		return c.githubHost(set, err)
	})
	flags := command.Flags()
	flags.StringVar(&host.URL, "url", "https://github.com", "the GitHub, or a GitHub Enterprise server")
	flags.StringVar(&host.ClientID, "client-id", "", "of the OAuth app, or of the GitHub App")
	flags.StringVar(&secretFile, "client-secret-file", "", "a file with the client's secret")
	flags.Int64Var(&host.AppID, "app-id", 0, "of a GitHub App")
	flags.StringVar(&keyFile, "private-key-file", "", "a file with the GitHub App's private key, in PEM")
	flags.StringVar(&hookFile, "webhook-secret-file", "", "a file with the secret of the GitHub App's webhook")
	return command
}
