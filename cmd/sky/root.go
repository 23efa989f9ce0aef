package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// streams are what a command reads and writes.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// newRoot returns the whole command line.
func newRoot(s streams) *cobra.Command {
	c := &cli{streams: s}
	root := &cobra.Command{
		Use:           "sky",
		Short:         "Deploy by git push, on your own machines",
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(command *cobra.Command, _ []string) error { return fromEnvironment(command.Flags()) },
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON")
	root.AddGroup(&cobra.Group{ID: "app", Title: "Apps:"}, &cobra.Group{ID: "account", Title: "You:"}, &cobra.Group{ID: "server", Title: "The server:"})
	for _, command := range []*cobra.Command{
		c.appsCommand(), c.buildsCommand(), c.releasesCommand(), c.rollbackCommand(), c.promoteCommand(), c.envCommand(), c.scaleCommand(),
		c.psCommand(), c.execCommand(), c.runCommand(), c.operateCommand("restart", "Restart an app without losing a request"),
		c.operateCommand("stop", "Stop an app; it keeps all it has"), c.operateCommand("start", "Start a stopped app"),
		c.logsCommand(), c.openCommand(), c.domainsCommand(), c.githubCommand(), c.deployCommand(), c.detectCommand(), c.metricsCommand(),
	} {
		command.GroupID = "app"
		root.AddCommand(command)
	}
	for _, command := range []*cobra.Command{c.loginCommand(), c.logoutCommand(), c.setupCommand(), c.accountCommand(), c.tokensCommand(), c.sessionsCommand(), c.whoamiCommand(), c.keysCommand(), c.orgsCommand(), c.membersCommand(), c.billingCommand(), c.plansCommand(), c.runtimesCommand(), c.regionsCommand(), c.apiCommand()} {
		command.GroupID = "account"
		root.AddCommand(command)
	}
	for _, command := range []*cobra.Command{
		upCommand(s), serverCommand(s), agentCommand(s), stackCommand(s), c.adminCommand(), c.versionCommand(),
	} {
		command.GroupID = "server"
		root.AddCommand(command)
	}
	checkArguments(root)
	return root
}

// checkArguments has every command answer wrong arguments with its usage.
func checkArguments(command *cobra.Command) {
	for _, child := range command.Commands() {
		checkArguments(child)
	}
	if check := command.Args; check != nil {
		command.Args = func(command *cobra.Command, args []string) error {
			if check(command, args) != nil {
				return usagef("usage: %s", command.UseLine())
			}
			return nil
		}
	}
}

// fromEnvironment gives every flag that was not set the value of its variable:
// --data-dir is SKY_DATA_DIR.
func fromEnvironment(flags *pflag.FlagSet) error {
	var failure error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := "SKY_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value, set := os.LookupEnv(name)
		if flag.Changed || !set || failure != nil || slices.Contains([]string{"json", "app", "org"}, flag.Name) {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			failure = usagef("%s=%q: %w", name, value, err)
		}
	})
	return failure
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return c.show(map[string]string{"version": version}, func() { fmt.Fprintln(c.out, "sky", version) })
		},
	}
}
