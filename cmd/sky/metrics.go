package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/spf13/cobra"
)

// span is what --since and --step ask for.
type span struct{ since, step time.Duration }

func (s *span) flags(command *cobra.Command, since time.Duration, usage string) *cobra.Command {
	command.Flags().DurationVar(&s.since, "since", since, usage)
	command.Flags().DurationVar(&s.step, "step", 0, "how long each line is; by default the finest that makes few")
	return command
}

func (s *span) wire() v1.Span {
	asked := v1.Span{Step: s.step}
	if s.since != 0 {
		asked.From = time.Now().Add(-s.since)
	}
	return asked
}

func (c *cli) metricsCommand() *cobra.Command {
	asked := &span{}
	command := &cobra.Command{
		Use: "metrics [APP]", Short: "Show what an app's instances use, or its requests and their usage over time",
		Example: "  sky metrics shop\n  sky metrics shop --since 1h",
		Args:    cobra.MaximumNArgs(1),
		RunE: c.onNamedApp(func(ctx context.Context, client *v1.Client, app string, _ []string) error {
			if asked.since == 0 {
				return c.showInstances(ctx, client, app)
			}
			history, err := client.AppHistory(ctx, app, asked.wire())
			if err != nil {
				return err
			}
			return c.show(history, func() { c.printHistory(history) })
		}),
	}
	return c.appFlag(asked.flags(command, 0, "how far back, such as 1h; without it, what is used now"))
}

func (c *cli) showInstances(ctx context.Context, client *v1.Client, app string) error {
	metrics, err := client.Metrics(ctx, app)
	return listed(c, metrics, err, "INSTANCE\tCPU\tMEMORY\tRECEIVED\tSENT\tMEASURED", func(row v1.InstanceMetrics) []string {
		measured := "not yet"
		if row.At != nil {
			measured = ago(*row.At)
		}
		return []string{
			fmt.Sprintf("%s.%d", row.Process, row.Ordinal), percent(row.CPUPercent),
			units.BytesSize(float64(row.MemoryBytes)) + " of " + units.BytesSize(float64(row.MemoryLimitBytes)),
			units.BytesSize(float64(row.ReceivedBytes)), units.BytesSize(float64(row.SentBytes)), measured,
		}
	})
}

// printHistory prints an app's requests, and then what each process type used.
func (c *cli) printHistory(history v1.AppHistory) {
	var rows [][]string
	var requests []float64
	for _, point := range history.Traffic {
		requests = append(requests, float64(point.Requests))
		rows = append(rows, []string{
			clock(point.At), count(point.Requests), count(point.Status2xx), count(point.Status3xx), count(point.Status4xx), count(point.Status5xx),
			count(point.Sky502 + point.Sky503 + point.Sky504), milliseconds(point.P50Ms), milliseconds(point.P95Ms), milliseconds(point.P99Ms),
			units.BytesSize(float64(point.BytesIn)), units.BytesSize(float64(point.BytesOut)), count(point.WebSockets),
		})
	}
	if len(rows) == 0 {
		fmt.Fprintln(c.out, "no requests")
	} else {
		fmt.Fprintf(c.out, "requests  %s\n", sparkline(requests))
		c.table("FROM\tREQUESTS\t2XX\t3XX\t4XX\t5XX\tNO INSTANCE\tP50\tP95\tP99\tIN\tOUT\tWEBSOCKETS", rows)
	}
	for _, process := range history.Processes {
		fmt.Fprintf(c.out, "\n%s\n", process.Process)
		c.table("FROM\tCPU\tPEAK\tMEMORY\tPEAK\tRECEIVED\tSENT", usageRows(process.Points))
	}
}

func usageRows(points []v1.UsagePoint) (rows [][]string) {
	for _, point := range points {
		rows = append(rows, []string{
			clock(point.At), percent(point.CPUPercent), percent(point.CPUPeakPercent), units.BytesSize(float64(point.MemoryBytes)),
			units.BytesSize(float64(point.MemoryPeakBytes)), units.BytesSize(float64(point.ReceivedBytes)), units.BytesSize(float64(point.SentBytes)),
		})
	}
	return rows
}

func (c *cli) nodesMetrics() *cobra.Command {
	asked := &span{}
	command := c.verb("metrics NAME", "Show what a node used", cobra.ExactArgs(1), func(ctx context.Context, client *v1.Client, args []string) error {
		history, err := client.NodeHistory(ctx, args[0], asked.wire())
		if err != nil {
			return err
		}
		return c.show(history, func() { c.printNode(history) })
	})
	return asked.flags(command, time.Hour, "how far back")
}

func (c *cli) printNode(history v1.NodeHistory) {
	var rows [][]string
	var busy []float64
	for _, point := range history.Points {
		busy = append(busy, point.CPUPercent)
		rows = append(rows, []string{
			clock(point.At), percent(point.CPUPercent), percent(point.CPUPeakPercent), units.BytesSize(float64(point.MemoryBytes)),
			units.BytesSize(float64(point.MemoryPeakBytes)),
			units.BytesSize(float64(point.DiskBytes)) + " of " + units.BytesSize(float64(point.DiskTotalBytes)), count(point.Containers),
		})
	}
	fmt.Fprintf(c.out, "cpu  %s\n", sparkline(busy))
	c.table("FROM\tCPU\tPEAK\tMEMORY\tPEAK\tDISK\tCONTAINERS", rows)
}

// sparkline draws values in a line, the largest highest.
func sparkline(values []float64) string {
	if len(values) == 0 {
		return ""
	}
	const bars = "▁▂▃▄▅▆▇█"
	levels, most := []rune(bars), slices.Max(values)
	var line strings.Builder
	for _, value := range values {
		level := 0
		if most > 0 {
			level = int(value / most * float64(len(levels)-1))
		}
		line.WriteRune(levels[level])
	}
	return line.String()
}

func clock(at time.Time) string         { return at.Local().Format("01-02 15:04:05") }
func count(n int64) string              { return strconv.FormatInt(n, 10) }
func percent(value float64) string      { return fmt.Sprintf("%.1f%%", value) }
func milliseconds(value float64) string { return fmt.Sprintf("%.1f ms", value) }
