package main

import (
	"context"
	"fmt"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

func (c *cli) domainsCommand() *cobra.Command {
	verb := func(use, short string, args cobra.PositionalArgs, run func(ctx context.Context, client *v1.Client, app string, args []string) error) *cobra.Command {
		return c.appFlag(&cobra.Command{Use: use, Short: short, Args: args, RunE: c.onApp(run)})
	}
	return group("domains", "Lead domains of your own to an app",
		verb("list", "List an app's domains", cobra.NoArgs, func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			domains, err := client.Domains(ctx, app)
			return listed(c, domains, err, "HOST\tSTATE\tLAST CHECK", func(row v1.Domain) []string {
				return []string{row.Host, row.State, row.Error}
			})
		}),
		verb("add HOST", "Add a domain, and show the DNS records that it needs", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
			domain, err := client.AddDomain(ctx, app, args[0])
			return c.domain(domain, err)
		}),
		verb("verify HOST", "Check a domain's DNS now", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
			domain, err := client.VerifyDomain(ctx, app, args[0])
			return c.domain(domain, err)
		}),
		verb("rm HOST", "Remove a domain", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, app string, args []string) error {
			return c.gone(client.RemoveDomain(ctx, app, args[0]), "removed %s", args[0])
		}),
	)
}

func (c *cli) domain(domain v1.Domain, err error) error {
	if err != nil {
		return err
	}
	return c.show(domain, func() {
		if domain.State == "verified" {
			fmt.Fprintf(c.out, "%s leads to %s\n", domain.Host, domain.App)
			return
		}
		fmt.Fprintf(c.out, "%s is %s", domain.Host, domain.State)
		if domain.Error != "" {
			fmt.Fprintf(c.out, ": %s", domain.Error)
		}
		fmt.Fprintln(c.out, "\nmake these records where your domain's DNS is kept; Sky looks for them every few minutes:")
		var rows [][]string
		for _, record := range domain.Records {
			rows = append(rows, []string{record.Type, record.Name, record.Value, record.Purpose})
		}
		c.table("TYPE\tNAME\tVALUE\tPURPOSE", rows)
	})
}
