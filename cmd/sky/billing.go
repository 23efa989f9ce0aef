package main

import (
	"context"
	"fmt"
	"strconv"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/spf13/cobra"
)

// money writes millionths for people.
func money(micros int64) string { return models.Money(micros).String() }

func (c *cli) billingCommand() *cobra.Command {
	return group("billing", "Show what your organisation's apps cost",
		c.onOrg("show", "Show balance and month to date", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
			balance, err := client.Balance(ctx, org)
			return c.balance(balance, err)
		}),
		c.onOrg("invoices", "List invoices", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
			invoices, err := client.Invoices(ctx, org)
			return listed(c, invoices, err, "MONTH\tTOTAL\tCLOSED", func(row v1.Invoice) []string {
				return []string{row.Month, money(row.TotalMicros) + " " + row.Currency, strconv.FormatBool(row.Closed)}
			})
		}),
		c.onOrg("invoice MONTH", "Show an itemised invoice, such as 2026-11", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, org string, args []string) error {
			invoice, err := client.Invoice(ctx, org, args[0])
			if err != nil {
				return err
			}
			return c.show(invoice, func() { c.invoice(invoice) })
		}),
		c.billingUsage(),
		c.onOrg("ledger", "List the movements of the wallet", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
			entries, err := client.Ledger(ctx, org)
			return listed(c, entries, err, "WHEN\tKIND\tAMOUNT\tBALANCE\tREF\tDETAIL", func(row v1.LedgerEntry) []string {
				return []string{row.CreatedAt.Local().Format("2006-01-02 15:04"), row.Kind, money(row.AmountMicros), money(row.BalanceMicros), row.Ref, row.Detail}
			})
		}),
		c.onOrg("alert AMOUNT", "Be told when a month's usage passes a sum; 0 is never", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, org string, args []string) error {
			amount, err := models.ParseMoney(args[0])
			if err != nil {
				return usagef("%w", err)
			}
			balance, err := client.SetSpendingAlert(ctx, org, int64(amount))
			return c.balance(balance, err)
		}),
	)
}

func (c *cli) billingUsage() *cobra.Command {
	month := ""
	command := c.onOrg("usage", "List for how long which instances ran", cobra.NoArgs, func(ctx context.Context, client *v1.Client, org string, _ []string) error {
		usage, err := client.Usage(ctx, org, month)
		return listed(c, usage, err, "APP\tPROCESS\tPLAN\tPRICE/H\tFROM\tTO", func(row v1.Usage) []string {
			to := "runs"
			if row.EndedAt != nil {
				to = row.EndedAt.Local().Format("2006-01-02 15:04:05")
			}
			return []string{row.App, row.Process, row.Plan, money(row.PriceHourMicros), row.StartedAt.Local().Format("2006-01-02 15:04:05"), to}
		})
	})
	command.Flags().StringVar(&month, "month", "", "such as 2026-11; by default this one")
	return command
}

func (c *cli) balance(balance v1.Balance, err error) error {
	if err != nil {
		return err
	}
	return c.show(balance, func() {
		rows := [][]string{
			{"BALANCE", money(balance.BalanceMicros) + " " + balance.Currency},
			{"RUNS FOR", money(balance.HourMicros) + " " + balance.Currency + " per hour"},
			{balance.Month, money(balance.MonthToDateMicros) + " " + balance.Currency},
		}
		if balance.SpendingAlertMicros > 0 {
			rows = append(rows, []string{"ALERT AT", money(balance.SpendingAlertMicros) + " " + balance.Currency})
		}
		if balance.GraceUntil != nil {
			rows = append(rows, []string{"GRACE", "apps are suspended from " + balance.GraceUntil.Local().Format("2006-01-02 15:04")})
		}
		if !balance.Billing {
			rows = append(rows, []string{"NOTE", "usage costs nothing on this platform"})
		}
		c.table("ORGANISATION\t"+balance.Organisation, rows)
	})
}

func (c *cli) invoice(invoice v1.Invoice) {
	var rows [][]string
	for _, line := range invoice.Lines {
		rows = append(rows, []string{
			line.App, line.Process, line.Plan, strconv.FormatInt(line.Instances, 10), strconv.FormatFloat(line.Hours, 'f', 2, 64),
			money(line.PriceHourMicros), money(line.AmountMicros),
		})
	}
	rows = append(rows, []string{"", "", "", "", "", "TOTAL " + invoice.Currency, money(invoice.TotalMicros)})
	fmt.Fprintf(c.out, "%s, %s\n", invoice.Organisation, invoice.Month)
	c.table("APP\tPROCESS\tPLAN\tINSTANCES\tHOURS\tPRICE/H\tAMOUNT", rows)
}
