package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/go-units"
	"github.com/skypanel/sky/agent/protocol"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/spf13/cobra"
)

func (c *cli) adminCommand() *cobra.Command {
	return group("admin", "Administer the platform",
		c.adminNodes(), c.adminUsers(), c.adminPlans(), c.adminRuntimes(), c.adminOrgs(), c.adminSettings(), c.adminBilling(), c.adminEvents(), c.adminGitHub(),
		c.verb("stats", "Count what there is", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			stats, err := client.Stats(ctx)
			if err != nil {
				return err
			}
			return c.show(stats, func() { c.fields(stats) })
		}),
		c.verb("capacity", "Show what the nodes have, by region", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			regions, err := client.Capacity(ctx)
			return c.regions(regions, err)
		}),
		c.verb("disk", "Account for the disk space of builds and data", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			disk, err := client.Disk(ctx)
			if err != nil {
				return err
			}
			return c.show(disk, func() { c.disk(disk) })
		}),
		group("keys", "Manage the keys that seal secrets",
			c.verb("rotate", "Seal all secrets with a fresh master key", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
				rotation, err := client.RotateKeys(ctx)
				return did(c, rotation, err, "key %s seals from now on; %d secrets were sealed anew", rotation.Key, rotation.Resealed)
			})),
		c.verb("seed", "Add default plans and runtimes that were never there", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			done, err := client.Seed(ctx)
			return c.outcome(done, err)
		}),
		c.adminBackup(), c.adminRestore())
}

func (c *cli) disk(disk v1.Disk) {
	size := func(bytes int64) string { return units.BytesSize(float64(bytes)) }
	rows := make([][]string, 0, len(disk.Items))
	for _, item := range disk.Items {
		count := ""
		if item.Count > 0 {
			count = strconv.Itoa(item.Count)
		}
		rows = append(rows, []string{item.Name, size(item.Bytes), count, item.Note})
	}
	c.table("WHAT\tSIZE\tCOUNT\tNOTE", rows)
	fmt.Fprintf(c.out, "%s of %s free; nothing is built below %s: --min-free-mb\n", size(disk.FreeBytes), size(disk.TotalBytes), size(disk.FloorBytes))
}

// fields prints a flat value, a line for each of its fields.
func (c *cli) fields(value any) {
	text, err := json.Marshal(value)
	if err != nil {
		return // every wire type can be encoded
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	_, _ = decoder.Token()
	var rows [][]string
	for decoder.More() {
		key, _ := decoder.Token()
		field, _ := decoder.Token()
		rows = append(rows, []string{strings.ReplaceAll(fmt.Sprint(key), "_", "-"), fmt.Sprint(field)})
	}
	c.table("NAME\tVALUE", rows)
}

func (c *cli) adminNodes() *cobra.Command {
	const headings = "NAME\tREGION\tSTATE\tCPUS\tMEMORY\tDISK\tINSTANCES\tLOAD"
	named := func(use, short string, run func(context.Context, *v1.Client, string) (v1.Node, error)) *cobra.Command {
		return c.verb(use, short, cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			node, err := run(ctx, client, args[0])
			return listed(c, []v1.Node{node}, err, headings, nodeRow)
		})
	}
	cordon := func(cordoned bool) func(context.Context, *v1.Client, string) (v1.Node, error) {
		return func(ctx context.Context, client *v1.Client, name string) (v1.Node, error) {
			return client.ChangeNode(ctx, name, v1.NodeChange{Cordoned: &cordoned})
		}
	}
	return group("nodes", "Manage the machines that run apps",
		c.verb("list", "List nodes", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			nodes, err := client.Nodes(ctx)
			return listed(c, nodes, err, headings, nodeRow)
		}),
		c.nodesAdd(),
		named("info NAME", "Show a node", func(ctx context.Context, client *v1.Client, name string) (v1.Node, error) {
			return client.Node(ctx, name)
		}),
		c.nodesMetrics(),
		named("cordon NAME", "Give a node nothing new", cordon(true)),
		named("uncordon NAME", "Give a node new instances again", cordon(false)),
		c.verb("region NAME REGION", "Move a node to another region", cobra.ExactArgs(2), func(ctx context.Context, client *v1.Client, args []string) error {
			node, err := client.ChangeNode(ctx, args[0], v1.NodeChange{Region: &args[1]})
			return listed(c, []v1.Node{node}, err, headings, nodeRow)
		}),
		c.verb("rejoin NAME", "Make a fresh join token for a node", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			join, err := client.RejoinNode(ctx, args[0])
			return c.joinCommand(client, join, err)
		}),
		c.verb("drain NAME", "Move what a node runs to others", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			done, err := client.DrainNode(ctx, args[0])
			return c.outcome(done, err)
		}),
		c.verb("rm NAME", "Delete a node that runs nothing", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			return c.gone(client.RemoveNode(ctx, args[0]), "deleted %s", args[0])
		}),
	)
}

func nodeRow(node v1.Node) []string {
	state := node.State
	if node.Cordoned {
		state += ", cordoned"
	}
	if node.Builds > 0 {
		state += ", builder"
	}
	return []string{
		node.Name, node.Region, state, strconv.Itoa(node.CPUs),
		units.BytesSize(float64(node.MemoryUsedBytes)) + " of " + units.BytesSize(float64(node.MemoryBytes)),
		units.BytesSize(float64(node.DiskUsedBytes)) + " of " + units.BytesSize(float64(node.DiskBytes)),
		strconv.Itoa(node.Instances), strconv.Itoa(node.CPUPercent) + "%",
	}
}

func (c *cli) nodesAdd() *cobra.Command {
	wanted := v1.NewNode{}
	command := c.verb("add NAME", "Add a node and print how its agent joins", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
		wanted.Name = args[0]
		join, err := client.AddNode(ctx, wanted)
		return c.joinCommand(client, join, err)
	})
	command.Flags().StringVar(&wanted.Region, "region", "", "where it is; by default \"default\"")
	return command
}

func (c *cli) joinCommand(client *v1.Client, join v1.JoinToken, err error) error {
	return did(c, join, err, "run this on the node, as root, within an hour:\n  %s", installCommand(strings.TrimSuffix(client.URL, "/"), join.Token))
}

// installCommand makes a machine a node. Where the control plane has an authority of
// its own, that is fetched first, and held against the token's pin.
func installCommand(server, token string) string {
	script := server + "/api/internal/paas/install.sh"
	_, pin := protocol.SplitJoinToken(token)
	if pin == "" {
		return fmt.Sprintf("curl -fsSL %s | SKY_JOIN=%s sh", script, token)
	}
	const ca = "/tmp/sky-ca.pem"
	return fmt.Sprintf("curl -fsSk %s -o %s && echo '%s  %s' | sha256sum -c --quiet && curl -fsSL --cacert %s %s | SKY_CA=%s SKY_JOIN=%s sh",
		server+protocol.AuthorityPath, ca, pin, ca, ca, script, ca, token)
}

func (c *cli) adminOrgs() *cobra.Command {
	const headings = "NAME\tTITLE\tROLE\tSTATE"
	suspend := func(use, short string, suspended bool) *cobra.Command {
		reason := ""
		command := c.verb(use, short, cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			organisation, err := client.SuspendOrganisation(ctx, args[0], v1.Suspension{Suspended: suspended, Reason: reason})
			return listed(c, []v1.Organisation{organisation}, err, headings, orgRow)
		})
		command.Flags().StringVar(&reason, "reason", "", "what its members read")
		return command
	}
	return group("orgs", "Manage organisations",
		c.verb("list", "List every organisation", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			all, err := client.AllOrganisations(ctx)
			return listed(c, all, err, headings, orgRow)
		}),
		suspend("suspend NAME", "Stop all that an organisation runs; nothing is deleted", true),
		suspend("resume NAME", "Run again what was suspended", false),
		c.adminCredit(),
	)
}

func (c *cli) adminCredit() *cobra.Command {
	credit := v1.Credit{}
	command := c.verb("credit NAME AMOUNT", "Put money into an organisation's wallet", cobra.ExactArgs(2), func(ctx context.Context, client *v1.Client, args []string) error {
		amount, err := models.ParseMoney(args[1])
		if err != nil {
			return usagef("%w", err)
		}
		credit.AmountMicros = int64(amount)
		entry, err := client.TopUp(ctx, args[0], credit)
		return did(c, entry, err, "%s has %s", args[0], money(entry.BalanceMicros))
	})
	command.Flags().StringVar(&credit.Kind, "kind", "top-up", "top-up, credit or adjustment")
	command.Flags().StringVar(&credit.Ref, "ref", "", "of the payment: the same ref is posted once only")
	command.Flags().StringVar(&credit.Detail, "detail", "", "what the ledger says")
	return command
}

func (c *cli) adminSettings() *cobra.Command {
	return group("settings", "Manage the platform's settings",
		c.verb("show", "Show all settings", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			settings, err := client.Settings(ctx)
			if err != nil {
				return err
			}
			return c.show(settings, func() { c.fields(settings) })
		}),
		c.verb("set NAME=VALUE ...", "Change settings, such as billing=on grace-hours=48", cobra.MinimumNArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
			change, err := readSettingsChange(args)
			if err != nil {
				return err
			}
			settings, err := client.ChangeSettings(ctx, change)
			if err != nil {
				return err
			}
			return c.show(settings, func() { c.fields(settings) })
		}),
	)
}

// readSettingsChange turns NAME=VALUE into the wire's own types, by way of its
// JSON: on and off are true and false.
func readSettingsChange(args []string) (v1.SettingsChange, error) {
	fields := map[string]json.RawMessage{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return v1.SettingsChange{}, usagef("%q is not NAME=VALUE", arg)
		}
		switch value {
		case "on", "off":
			value = strconv.FormatBool(value == "on")
		default:
			if _, err := strconv.Atoi(value); err != nil {
				value = strconv.Quote(value)
			}
		}
		fields[strings.ReplaceAll(name, "-", "_")] = json.RawMessage(value)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return v1.SettingsChange{}, err
	}
	change := v1.SettingsChange{}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&change); err != nil {
		return change, usagef("no such setting, or not its kind of value: %w; `sky admin settings show` lists them", err)
	}
	return change, nil
}

func (c *cli) adminBilling() *cobra.Command {
	return group("billing", "Check the books",
		c.verb("verify", "Replay all usage and compare every total", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
			found, err := client.VerifyBilling(ctx)
			if err != nil {
				return err
			}
			err = c.show(found, func() {
				fmt.Fprintf(c.out, "%d intervals, %d ledgers, %s billed\n", found.Intervals, found.Ledgers, money(found.BilledMicros))
				for _, row := range found.Mismatches {
					fmt.Fprintf(c.out, "%s: expected %s, found %s\n", row.Subject, money(row.ExpectedMicros), money(row.FoundMicros))
				}
			})
			if err == nil && len(found.Mismatches) > 0 {
				err = errors.New("the books do not agree with the usage")
			}
			return err
		}))
}

func (c *cli) adminEvents() *cobra.Command {
	kind, limit := "", 50
	command := c.verb("events", "Show the audit log", cobra.NoArgs, func(ctx context.Context, client *v1.Client, _ []string) error {
		events, err := client.Events(ctx, kind, limit)
		return c.events(events, err)
	})
	command.Flags().StringVar(&kind, "kind", "", "only these, such as app or app.create")
	command.Flags().IntVarP(&limit, "lines", "n", 50, "how many")
	return command
}
