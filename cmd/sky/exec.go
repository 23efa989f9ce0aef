package main

import (
	"context"
	"fmt"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

const terminalHelp = `Standard input, output and error are the command's own: with pipes, byte by byte. Where
input and output are a terminal, or with -t, it gets a terminal of the window's size.
The exit code is the command's; it is 255 where the command was refused or its end is not known.`

func (c *cli) execCommand() *cobra.Command {
	asked := v1.TerminalRequest{}
	command := &cobra.Command{
		Use: "exec [APP] [flags] -- COMMAND...", Short: "Run a command in a running instance", Args: behindDash,
		Long: "Runs a command in an instance that is healthy: the one that --instance names, or the newest\n" +
			"of a process type. It ends with its terminal.\n\n" + terminalHelp,
		Example: "  sky exec shop -- sh\n  sky exec shop --process worker -- cat /proc/1/status\n  sky exec shop --instance web.2 -- tar c data > data.tar",
		RunE: c.onCommand(func(ctx context.Context, client *v1.Client, app string, arguments []string, tty *bool) error {
			asked.Command = arguments
			return c.terminal(ctx, client, v1.TerminalPath(app, "exec"), asked, tty)
		}),
	}
	command.Flags().StringVar(&asked.Process, "process", "", "an instance of this process type")
	command.Flags().StringVar(&asked.Instance, "instance", "", "this instance, as `sky ps` names it, such as web.1, or its id")
	return c.terminalFlags(command)
}

func (c *cli) runCommand() *cobra.Command {
	detach := false
	command := &cobra.Command{
		Use: "run [APP] [flags] -- COMMAND...", Short: "Run a command by itself, with the app's code and config", Args: behindDash,
		Long: "Runs a command in an instance of its own, of the app's live release and with its config. It ends\n" +
			"with its terminal. With --detach it has none, and goes on by itself for a day at most; its output\n" +
			"is in `sky logs`, and `sky ps stop` ends it.\n\n" + terminalHelp,
		Example: "  sky run shop -- python manage.py shell\n  sky run shop --detach -- ./import.sh",
		RunE: c.onCommand(func(ctx context.Context, client *v1.Client, app string, arguments []string, tty *bool) error {
			if detach {
				started, err := client.StartRun(ctx, app, arguments)
				return did(c, started, err, "started %s.%d; its output: sky logs -f -a %s", started.Process, started.Ordinal, app)
			}
			return c.terminal(ctx, client, v1.TerminalPath(app, "run"), v1.TerminalRequest{Command: arguments}, tty)
		}),
	}
	command.Flags().BoolVarP(&detach, "detach", "d", false, "start it, and leave it to itself")
	return c.terminalFlags(command)
}

func (c *cli) terminalFlags(command *cobra.Command) *cobra.Command {
	command.Flags().BoolP("tty", "t", false, "give it a terminal; by default where input and output are one")
	return c.appFlag(command)
}

// behindDash wants a command behind "--", and at most an app before.
func behindDash(command *cobra.Command, args []string) error {
	dash := command.ArgsLenAtDash()
	if dash < 0 || dash > 1 || len(args) == dash {
		return fmt.Errorf("%s", command.UseLine())
	}
	return nil
}

// onCommand runs what takes an app before "--" and a command behind it. tty is nil
// where nobody said whether it gets a terminal.
func (c *cli) onCommand(run func(ctx context.Context, client *v1.Client, app string, arguments []string, tty *bool) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		dash := command.ArgsLenAtDash()
		var tty *bool
		if wanted, err := command.Flags().GetBool("tty"); err == nil && command.Flags().Changed("tty") {
			tty = &wanted
		}
		return c.onNamedApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			return run(ctx, client, app, args[dash:], tty)
		})(command, args[:dash])
	}
}
